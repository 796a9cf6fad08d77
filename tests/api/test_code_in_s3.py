"""Code from S3 and functions that use S3: a real moto server next door."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import socket
import urllib.request
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import House, package
from tests.api.neighbour import Neighbour
from tests.api.served import RUNTIME, Serve, ServedHouse

from samovar.model import limits
from samovar.settings import Isolation

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
FETCHING = "Error occurred while GetObject. "


def says(word: str) -> bytes:
    return package(f"def handler(event, context):\n    return {word!r}\n")


def sha(content: bytes) -> str:
    return b64encode(hashlib.sha256(content).digest()).decode()


def put(moto: Neighbour, bucket: str, *contents: bytes) -> list[str]:
    """A versioned bucket with one object, `dir/code.zip`; the ids of its versions."""
    with moto.s3() as s3:
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return [
            s3.put_object(Bucket=bucket, Key="dir/code.zip", Body=content)["VersionId"]
            for content in contents
        ]


async def result(it: House, name: str = "f", **params: Any) -> Any:
    found = await it.call("invoke", FunctionName=name, **params)
    told = json.loads(found["Payload"].read())
    assert "FunctionError" not in found, told
    return told


def test_code_comes_from_s3_and_is_kept(serve: Serve, moto: Neighbour) -> None:
    one, two = says("one"), says("two, which is longer")
    first, second = put(moto, "kept-code", one, two)
    place = {"S3Bucket": "kept-code", "S3Key": "dir/code.zip"}

    async def scene(it: ServedHouse) -> None:
        created = await it.create(Code={**place, "S3ObjectVersion": first})
        assert (created["CodeSha256"], created["CodeSize"]) == (sha(one), len(one))
        await it.engine.registry.wait_settled("f")
        assert await result(it) == "one"

        dry = await it.call("update_function_code", FunctionName="f", DryRun=True, **place)
        assert dry["CodeSha256"] == sha(two)
        assert await result(it) == "one"

        updated = await it.call("update_function_code", FunctionName="f", **place)
        assert (updated["CodeSha256"], updated["CodeSize"]) == (sha(two), len(two))
        await it.engine.registry.wait_settled("f")
        assert await result(it) == "two, which is longer"

        def lose() -> None:
            with moto.s3() as s3:
                for version in (first, second):
                    s3.delete_object(Bucket="kept-code", Key="dir/code.zip", VersionId=version)

        await asyncio.to_thread(lose)
        found = await it.call("get_function", FunctionName="f")

        def download() -> bytes:
            with urllib.request.urlopen(found["Code"]["Location"]) as reply:
                return bytes(reply.read())

        assert sha(await asyncio.to_thread(download)) == found["Configuration"]["CodeSha256"]
        usage = (await it.call("get_account_settings"))["AccountUsage"]
        assert usage == {"TotalCodeSize": len(two), "FunctionCount": 1}

    serve(scene, aws_endpoint=moto.url)


def test_what_s3_refuses_comes_back_in_its_own_words(serve: Serve, moto: Neighbour) -> None:
    (version,) = put(moto, "refusals", b"no zip")

    async def scene(it: ServedHouse) -> None:
        created = await it.create()
        await it.engine.registry.wait_settled("f")
        for code, said in (
            (
                {"S3Bucket": "refusals", "S3Key": "none.zip"},
                f"{FETCHING}S3 Error Code: NoSuchKey. "
                "S3 Error Message: The specified key does not exist.",
            ),
            (
                {"S3Bucket": "no-such-bucket-here", "S3Key": "code.zip"},
                f"{FETCHING}S3 Error Code: NoSuchBucket. "
                "S3 Error Message: The specified bucket does not exist",
            ),
            (
                {"S3Bucket": "refusals", "S3Key": "dir/code.zip", "S3ObjectVersion": "no-version"},
                f"{FETCHING}S3 Error Code: NoSuchVersion. "
                "S3 Error Message: The specified version does not exist.",
            ),
            (
                {"S3Bucket": "refusals", "S3Key": "dir/code.zip", "S3ObjectVersion": version},
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ),
        ):
            refused = (400, "InvalidParameterValueException", said)
            assert await it.refused("create_function", **wanted("g", code)) == refused
            assert await it.refused("update_function_code", FunctionName="f", **code) == refused
        assert (await it.refused("get_function", FunctionName="g"))[0] == 404
        found = await it.call("get_function_configuration", FunctionName="f")
        assert found["LastUpdateStatus"] == "Successful"
        assert found["CodeSha256"] == created["CodeSha256"]

    serve(scene, aws_endpoint=moto.url)


def wanted(name: str, code: dict[str, str]) -> dict[str, Any]:
    return {
        "FunctionName": name,
        "Runtime": RUNTIME,
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "Code": code,
    }


def test_a_zip_in_s3_may_be_larger_than_one_in_a_request(serve: Serve, moto: Neighbour) -> None:
    buffer = io.BytesIO(package())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("large", bytes(limits.ZIPPED_INLINE_SIZE))
    put(moto, "large-code", buffer.getvalue())

    async def scene(it: ServedHouse) -> None:
        created = await it.create(Code={"S3Bucket": "large-code", "S3Key": "dir/code.zip"})
        assert created["CodeSize"] == len(buffer.getvalue()) > limits.ZIPPED_INLINE_SIZE

    serve(scene, aws_endpoint=moto.url)


def test_an_endpoint_where_nobody_answers(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # and closed again: nobody listens
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"

    async def scene(it: ServedHouse) -> None:
        refused = await it.refused(
            "create_function", **wanted("f", {"S3Bucket": "bucket", "S3Key": "k"})
        )
        assert refused == (
            400,
            "InvalidParameterValueException",
            f"{FETCHING}The package s3://bucket/k could not be fetched from {nobody}: Could not "
            f'connect to the endpoint URL: "{nobody}/bucket/k" Is S3 served there? See '
            "--aws-endpoint.",
        )

    serve(scene, aws_endpoint=nobody)


def test_no_endpoint(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        refused = await it.refused(
            "create_function", **wanted("f", {"S3Bucket": "bucket", "S3Key": "k"})
        )
        assert refused == (
            400,
            "InvalidParameterValueException",
            f"{FETCHING}Samovar knows no S3 that could have s3://bucket/k: start it with "
            "--aws-endpoint (or SAMOVAR_AWS_ENDPOINT) and the URL of one, or send the package as "
            "ZipFile.",
        )

    serve(scene)


@pytest.mark.parametrize("isolation", [Isolation.NAMESPACES, Isolation.NONE], ids=str)
def test_a_function_reaches_the_neighbour_with_boto3(
    serve: Serve, moto: Neighbour, isolation: Isolation
) -> None:
    bucket = f"reached-{isolation}"
    put(moto, bucket, b"what was there")
    code = package((FUNCTIONS / "neighbours.py").read_text())

    async def scene(it: ServedHouse) -> None:
        await it.create(Code={"ZipFile": code}, Timeout=30)
        await it.create(
            "own",
            Code={"ZipFile": code},
            Environment={"Variables": {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}},
        )
        for name in ("f", "own"):
            await it.engine.registry.wait_settled(name)
        event = json.dumps({"bucket": bucket, "key": "dir/code.zip"}).encode()
        assert await result(it, Payload=event) == {
            "endpoint": moto.url,
            "read": "what was there",
            "region": "us-east-1",
        }
        # The function's own setting wins.
        assert (await result(it, "own"))["endpoint"] == "http://127.0.0.1:9"

    serve(scene, isolation, aws_endpoint=moto.url)
    with moto.s3() as s3:
        written = s3.get_object(Bucket=bucket, Key="written")["Body"].read()
    assert written == b"WHAT WAS THERE"
