"""Layers as boto3 publishes, finds, lists, shares and deletes them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import House, RawClient, package, request, run
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.unit.registry.zips import link, zip_of

ARN = "arn:aws:lambda:us-east-1:000000000000:layer:"
MISSING = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
LESS_THAN_1 = (400, "InvalidParameterValueException", "Layer Version Cannot be less than 1")
NO_POLICY = (
    404,
    "ResourceNotFoundException",
    "No policy is associated with the given resource.",
)
OTHER_ACCOUNT = "arn:aws:lambda:us-east-1:123456789012:layer:l"
NOT_ALLOWED = (
    f"User is not authorized to perform: lambda:GetLayerVersion on resource: {OTHER_ACCOUNT} "
    "because no resource-based policy allows the lambda:GetLayerVersion action. Samovar has the "
    "layers of its own account 000000000000 only: publish it there."
)


async def publish(it: House, name: str = "l", text: str = "", **more: Any) -> Any:
    return await it.call(
        "publish_layer_version", LayerName=name, Content={"ZipFile": package(text)}, **more
    )


def fetched(url: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(url) as reply:
        return reply.headers["content-type"], reply.read()


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_what_is_published_is_found(tmp_path: Path) -> None:
    content = package("x = 1\n")
    asked = {
        "Description": "tea",
        "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.11", "python3.12"],
        "CompatibleArchitectures": ["x86_64", "arm64"],
    }

    async def scene(it: House) -> None:
        made = await publish(it, text="x = 1\n", **asked)
        assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
        location = made["Content"].pop("Location")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["CreatedDate"])
        assert bare(made) == {
            "Content": {
                "CodeSha256": b64encode(hashlib.sha256(content).digest()).decode(),
                "CodeSize": len(content),
            },
            "LayerArn": ARN + "l",
            "LayerVersionArn": ARN + "l:1",
            "Version": 1,
            "CreatedDate": made["CreatedDate"],
            **asked,
        }
        assert await asyncio.to_thread(fetched, location) == ("application/zip", content)
        by_arn = await it.call("get_layer_version_by_arn", Arn=ARN + "l:1")
        for name in ("l", ARN + "l"):
            found = await it.call("get_layer_version", LayerName=name, VersionNumber=1)
            assert found["Content"].pop("Location") != location
            assert bare(found) == bare(made)
        by_arn["Content"].pop("Location")
        assert bare(by_arn) == bare(made)

    run(tmp_path, scene)


def test_what_was_not_given_is_not_shown(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        made = await publish(it, ARN + "l")
        listed = await it.call("list_layer_versions", LayerName="l")
        shown = {"Version", "LayerVersionArn", "Description", "CreatedDate"}
        assert set(bare(made)) == shown | {"LayerArn", "Content"}
        assert [set(item) for item in listed["LayerVersions"]] == [shown]
        assert made["Description"] == ""

    run(tmp_path, scene)


def test_versions_are_numbered_and_never_again(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        for number in (1, 2):
            assert (await publish(it))["Version"] == number
        for _ in range(2):  # a version that is not there is deleted as well
            gone = await it.call("delete_layer_version", LayerName="l", VersionNumber=2)
            assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        never = await it.call("delete_layer_version", LayerName="never", VersionNumber=7)
        assert never["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert (await publish(it))["Version"] == 3
        listed = await it.call("list_layer_versions", LayerName=ARN + "l")
        assert [item["Version"] for item in listed["LayerVersions"]] == [3, 1]

    run(tmp_path, scene)


def test_lists_come_in_pages(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        for name in ("c", "a", "b"):
            await publish(it, name)
        for _ in range(52):
            await publish(it, "a")
        first = await it.call("list_layers", MaxItems=2)
        assert [item["LayerName"] for item in first["Layers"]] == ["a", "b"]
        assert first["Layers"][0]["LayerArn"] == ARN + "a"
        assert first["Layers"][0]["LatestMatchingVersion"]["LayerVersionArn"] == ARN + "a:53"
        rest = await it.call("list_layers", Marker=first["NextMarker"])
        assert [item["LayerName"] for item in rest["Layers"]] == ["c"]
        assert "NextMarker" not in rest

        page = await it.call("list_layer_versions", LayerName="a")
        seen = [item["Version"] for item in page["LayerVersions"]]
        await it.call("delete_layer_version", LayerName="a", VersionNumber=4)  # where it goes on
        page = await it.call("list_layer_versions", LayerName="a", Marker=page["NextMarker"])
        assert "NextMarker" not in page
        assert seen == list(range(53, 3, -1))
        assert [item["Version"] for item in page["LayerVersions"]] == [3, 2, 1]
        assert (await it.call("list_layer_versions", LayerName="none"))["LayerVersions"] == []
        for method, name in (("list_layers", {}), ("list_layer_versions", {"LayerName": "a"})):
            for number, rule in (
                (0, "greater than or equal to 1"),
                (51, "less than or equal to 50"),
            ):
                assert await it.refused(method, MaxItems=number, **name) == (
                    400,
                    "ValidationException",
                    f"1 validation error detected: Value '{number}' at 'maxItems' failed to "
                    f"satisfy constraint: Member must have value {rule}",
                )
            for marker in ("nonsense", "ü", ""):
                status, code, text = await it.refused(method, Marker=marker, **name)
                assert (status, code) == (400, "InvalidParameterValueException")
                assert text.endswith("pass an earlier NextMarker.")
        foreign = await it.call("list_layers", MaxItems=1)
        assert (
            await it.refused("list_layer_versions", LayerName="a", Marker=foreign["NextMarker"])
        )[1] == "InvalidParameterValueException"

    run(tmp_path, scene)


def test_lists_of_what_is_compatible(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await publish(it, "a", CompatibleRuntimes=["python3.11"])
        await publish(it, "a", CompatibleRuntimes=["python3.12"])
        await publish(it, "b", CompatibleArchitectures=["arm64"])

        async def layers(**wanted: str) -> list[tuple[str, int]]:
            found = await it.call("list_layers", **wanted)
            return [
                (item["LayerName"], item["LatestMatchingVersion"]["Version"])
                for item in found["Layers"]
            ]

        async def versions(name: str, **wanted: str) -> list[int]:
            found = await it.call("list_layer_versions", LayerName=name, **wanted)
            return [item["Version"] for item in found["LayerVersions"]]

        assert await layers() == [("a", 2), ("b", 1)]
        assert await layers(CompatibleRuntime="python3.11") == [("a", 1)]
        assert await layers(CompatibleRuntime="python3.13") == []
        assert await layers(CompatibleArchitecture="arm64") == [("b", 1)]
        assert await layers(CompatibleArchitecture="x86_64") == []
        assert await versions("a", CompatibleRuntime="python3.12") == [2]
        assert await versions("a", CompatibleArchitecture="arm64") == []
        for method, name in (("list_layers", {}), ("list_layer_versions", {"LayerName": "a"})):
            for field, value in (("Runtime", "python1"), ("Architecture", "z80")):
                status, code, text = await it.refused(
                    method, **{f"Compatible{field}": value}, **name
                )
                assert (status, code) == (400, "ValidationException")
                assert text.startswith(
                    f"1 validation error detected: Value '{value}' at 'compatible{field}' failed "
                    "to satisfy constraint: Member must satisfy enum value set: ["
                )

    run(tmp_path, scene)


def test_what_is_not_there(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await publish(it)
        place = {"LayerName": "l", "VersionNumber": 2}
        for name, number in (("l", 2), ("m", 1), (ARN + "m", 1)):
            asked = {"LayerName": name, "VersionNumber": number}
            assert await it.refused("get_layer_version", **asked) == MISSING
        assert await it.refused("get_layer_version_by_arn", Arn=ARN + "l:2") == MISSING
        assert await it.refused("get_layer_version_policy", **place) == MISSING
        for method in ("get_layer_version", "delete_layer_version", "get_layer_version_policy"):
            for number in (0, -1):
                asked = {"LayerName": "l", "VersionNumber": number}
                assert await it.refused(method, **asked) == LESS_THAN_1
        assert await it.refused("get_layer_version_by_arn", Arn=ARN + "l:0") == LESS_THAN_1
        elsewhere = ARN.replace("us-east-1", "eu-west-1") + "l"
        assert await it.refused("get_layer_version", LayerName=elsewhere, VersionNumber=1) == (
            404,
            "ResourceNotFoundException",
            "Layers from 'eu-west-1' are not reachable in this region ('us-east-1')",
        )
        assert await it.refused("get_layer_version", LayerName=OTHER_ACCOUNT, VersionNumber=1) == (
            403,
            "AccessDeniedException",
            NOT_ALLOWED,
        )

    run(tmp_path, scene)


def test_what_can_not_be_published(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async def refused(**changes: Any) -> tuple[int, str, str]:
            asked = {"LayerName": "l", "Content": {"ZipFile": package()}, **changes}
            return await it.refused("publish_layer_version", **asked)

        for changes, field in (
            ({"LayerName": "a b"}, "layerName"),
            ({"LayerName": "n" * 141}, "layerName"),
            ({"Description": "d" * 257}, "description"),
            ({"LicenseInfo": "l" * 513}, "licenseInfo"),
            ({"CompatibleRuntimes": ["python3.12"] * 16}, "compatibleRuntimes"),
            ({"CompatibleRuntimes": ["python1"]}, "compatibleRuntimes"),
            ({"CompatibleArchitectures": ["z80"]}, "compatibleArchitectures"),
        ):
            status, code, text = await refused(**changes)
            assert (status, code) == (400, "ValidationException")
            assert f"at '{field}' failed to satisfy constraint: Member must" in text
        for content, code, start in (
            (b"no zip", "InvalidParameterValueException", "Could not unzip uploaded file."),
            (b"", "InvalidParameterValueException", "Uploaded file must be a non-empty zip"),
            (
                zip_of(link("python/out", "../../../etc/passwd")),
                "InvalidParameterValueException",
                "Could not unzip uploaded file. Please check your file, then try to upload again. "
                "Reason: the link 'python/out' leads out of the package",
            ),
            (
                b"0" * 52428801,
                "RequestEntityTooLargeException",
                "Zipped size must be smaller than 52428800 bytes",
            ),
        ):
            _, found, text = await refused(Content={"ZipFile": content})
            assert found == code
            assert text.startswith(start)
        assert await refused(Content={}) == (
            400,
            "InvalidParameterValueException",
            "Please provide a source for function code.",
        )
        assert (await it.call("list_layers"))["Layers"] == []
        assert (await publish(it, CompatibleRuntimes=["python3.12"] * 15))["Version"] == 1

    run(tmp_path, scene)


def test_a_layer_may_be_as_large_as_code(tmp_path: Path) -> None:
    """Larger than any other request may be."""

    async def scene(it: House) -> None:
        made = await publish(it, text="#" * 7_000_000)
        assert made["Content"]["CodeSize"] > 7_000_000
        large = await it.refused(
            "publish_layer_version", LayerName="l", Content={"ZipFile": b"0" * 53_000_000}
        )
        assert large == (
            413,
            "RequestEntityTooLargeException",
            "Request must be smaller than 70167211 bytes for the PublishLayerVersion operation",
        )

    run(tmp_path, scene)


def test_layers_are_code_of_the_account(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        made = [await publish(it, text=text) for text in ("", "", "x = 1")]
        usage = (await it.call("get_account_settings"))["AccountUsage"]
        sizes = [item["Content"]["CodeSize"] for item in made]
        assert usage == {"TotalCodeSize": sum(sizes), "FunctionCount": 0}
        await it.call("delete_layer_version", LayerName="l", VersionNumber=1)
        usage = (await it.call("get_account_settings"))["AccountUsage"]
        assert usage["TotalCodeSize"] == sum(sizes[1:])

    run(tmp_path, scene)


def test_the_policy_of_a_version(tmp_path: Path) -> None:
    place = {"LayerName": "l", "VersionNumber": 1}
    grant = {"Action": "lambda:GetLayerVersion", **place}

    async def scene(it: House) -> None:
        await publish(it)
        assert await it.refused("get_layer_version_policy", **place) == NO_POLICY
        remove = {**place, "StatementId": "one"}
        assert await it.refused("remove_layer_version_permission", **remove) == NO_POLICY

        one = await it.call(
            "add_layer_version_permission", StatementId="one", Principal="*", **grant,
            OrganizationId="o-t0hgzxz6s1",
        )  # fmt: skip
        assert one["ResponseMetadata"]["HTTPStatusCode"] == 201
        assert json.loads(one["Statement"]) == {
            "Sid": "one",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "lambda:GetLayerVersion",
            "Resource": ARN + "l:1",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-t0hgzxz6s1"}},
        }
        stale = "00000000-0000-0000-0000-000000000000"
        changed = (
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetLayerPolicy API to retrieve the latest Revision Id",
        )
        two = {"StatementId": "two", "Principal": "123456789012", **grant}
        assert await it.refused("add_layer_version_permission", RevisionId=stale, **two) == changed
        added = await it.call("add_layer_version_permission", RevisionId=one["RevisionId"], **two)
        assert added["RevisionId"] != one["RevisionId"]
        assert json.loads(added["Statement"])["Principal"] == {
            "AWS": "arn:aws:iam::123456789012:root"
        }
        found = await it.call("get_layer_version_policy", **place)
        assert found["RevisionId"] == added["RevisionId"]
        assert found["Policy"] == (
            '{"Version":"2012-10-17","Id":"default","Statement":'
            f"[{one['Statement']},{added['Statement']}]}}"
        )
        assert await it.refused("add_layer_version_permission", **two) == (
            409,
            "ResourceConflictException",
            "The statement id (two) provided already exists. Please provide a new statement id, "
            "or remove the existing statement.",
        )
        for wrong, field in (
            ({"Action": "lambda:InvokeFunction"}, "action"),
            ({"Principal": "s3.amazonaws.com"}, "principal"),
            ({"OrganizationId": "nobody"}, "organizationId"),
            ({"StatementId": "a b"}, "statementId"),
        ):
            status, code, text = await it.refused("add_layer_version_permission", **(two | wrong))
            assert (status, code) == (400, "ValidationException")
            assert f"at '{field}' failed to satisfy constraint" in text
        other = {**two, "VersionNumber": 2}
        assert await it.refused("add_layer_version_permission", **other) == MISSING

        assert (
            await it.refused("remove_layer_version_permission", RevisionId=stale, **remove)
            == changed
        )
        gone = await it.call("remove_layer_version_permission", **remove)
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert await it.refused("remove_layer_version_permission", **remove) == (
            404,
            "ResourceNotFoundException",
            "Statement one is not found in resource policy.",
        )
        await it.call("remove_layer_version_permission", **(remove | {"StatementId": "two"}))
        assert await it.refused("get_layer_version_policy", **place) == NO_POLICY
        # A policy goes with its version.
        await it.call("add_layer_version_permission", **two)
        await it.call("delete_layer_version", **place)
        assert await it.refused("get_layer_version_policy", **place) == MISSING

    run(tmp_path, scene)


def test_one_path_is_two_operations(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await publish(it)
        async with RawClient.to(it.port) as client:
            quoted = (ARN + "l:1").replace(":", "%3A")
            path = f"/2018-10-31/layers?find=LayerVersion&Arn={quoted}"
            await client.send(request("GET", path))
            assert (await client.reply()).json["LayerVersionArn"] == ARN + "l:1"
            await client.send(request("GET", "/2018-10-31/layers"))
            assert [item["LayerName"] for item in (await client.reply()).json["Layers"]] == ["l"]
            await client.send(request("GET", "/2018-10-31/layers?find=Nothing"))
            reply = await client.reply()
            assert reply.json["message"] == (
                "Samovar does not carry out the parameter find of ListLayers yet; leave it out."
            )

    run(tmp_path, scene)


def test_a_layer_comes_from_s3(serve: Serve, moto: Neighbour) -> None:
    content = package("x = 1\n")
    place = {"S3Bucket": "kept-layers", "S3Key": "layer.zip"}

    async def scene(it: ServedHouse) -> None:
        made = await it.call("publish_layer_version", LayerName="l", Content=place)
        assert made["Content"]["CodeSize"] == len(content)
        assert await asyncio.to_thread(fetched, made["Content"]["Location"]) == (
            "application/zip",
            content,
        )
        nothing = {"S3Bucket": "kept-layers", "S3Key": "nothing"}
        asked = {"LayerName": "l", "Content": nothing}
        assert await it.refused("publish_layer_version", **asked) == (
            400,
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The "
            "specified key does not exist.",
        )
        assert (await it.call("list_layers"))["Layers"][0]["LatestMatchingVersion"]["Version"] == 1

    with moto.s3() as s3:
        s3.create_bucket(Bucket="kept-layers")
        s3.put_object(Bucket="kept-layers", Key="layer.zip", Body=content)
    serve(scene, aws_endpoint=moto.url)


@pytest.mark.parametrize("number", ["x", "1.5", "%20", "1" * 30])
def test_a_number_that_is_none(tmp_path: Path, number: str) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(request("GET", f"/2018-10-31/layers/l/versions/{number}"))
            reply = await client.reply()
            assert (reply.status, reply.headers["x-amzn-errortype"]) == (
                400,
                "SerializationException",
            )

    run(tmp_path, scene)
