"""A door that asks for signatures, and boto3 in front of it."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError as Refused
from tests.api.house import ARN, SESSION, House, RawClient, invocation, request, run
from tests.signing import sign

from samovar.doors.http.access_keys import AccessKey
from samovar.doors.http.api_model import operation_models
from samovar.doors.http.sigv4 import Verifier

KEY = AccessKey("AKIDHOUSE", "secret of the house")
TEMPORARY = AccessKey("ASIAHOUSE", "secret of the hour", "token of the hour")
KEYS = {key.id: key for key in (KEY, TEMPORARY)}
REGION = "us-east-1"
INVOCATIONS = "/2015-03-31/functions/f/invocations"
Told = tuple[int, str, str]


def client(it: House, key: AccessKey = KEY, region: str = REGION) -> Any:
    return SESSION.client(  # it keeps the API model; its own key gives way
        "lambda",
        endpoint_url=it.url,
        region_name=region,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        aws_session_token=key.session_token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def play(data_dir: Path, scene: Callable[[House], Awaitable[None]], ahead: float = 0.0) -> None:
    """A scene in front of a door that verifies; its client has KEY until clocks are `ahead`."""
    skew = 0.0

    async def with_key(it: House) -> None:
        nonlocal skew
        it.client.close()
        it.client = client(it)
        await it.active()
        skew = ahead
        await scene(it)

    run(data_dir, with_key, verifier=Verifier(KEYS, REGION, lambda: time.time() + skew))


async def refused(other: Any, method: str, **params: Any) -> Told:
    """Status, code and message that a call of `other`, which is closed, must end with."""

    def call() -> Told:
        try:
            getattr(other, method)(**params)
        except Refused as error:
            told = error.response
            status = told["ResponseMetadata"]["HTTPStatusCode"]
            return status, told["Error"]["Code"], told["Error"]["Message"]
        finally:
            other.close()
        raise AssertionError(f"{method} went through")

    return await asyncio.to_thread(call)


@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_what_boto3_signs_is_served(tmp_path: Path, key: AccessKey) -> None:
    async def scene(it: House) -> None:
        it.client.close()
        it.client = client(it, key)
        await it.active("g")
        for name in ("f", f"{ARN}f", "f:$LATEST", "000000000000:function:f"):
            reply = await it.call("invoke", FunctionName=name, Payload=b'{"a": 1}', LogType="Tail")
            assert json.load(reply["Payload"])["event"] == {"a": 1}
        reply = await it.call("invoke", FunctionName="f", Qualifier="$LATEST", ClientContext="e30=")
        assert json.load(reply["Payload"])["client_context"] == "{}"
        large = b'"' + b"x" * 6_000_000 + b'"'
        assert (await it.call("invoke", FunctionName="f", Payload=large))["StatusCode"] == 200
        pages = await it.call("list_functions", MaxItems=1)
        assert (await it.call("list_functions", Marker=pages["NextMarker"]))["Functions"]
        await it.call("tag_resource", Resource=f"{ARN}f", Tags={"a b": "c/d", "é": "ü+="})
        assert len((await it.call("list_tags", Resource=f"{ARN}f"))["Tags"]) == 2
        await it.call("untag_resource", Resource=f"{ARN}f", TagKeys=["a b", "é"])
        assert (await it.call("list_tags", Resource=f"{ARN}f"))["Tags"] == {}

    play(tmp_path, scene)


UNRECOGNIZED = (
    403,
    "UnrecognizedClientException",
    "The security token included in the request is invalid.",
)


@pytest.mark.parametrize(
    ("method", "params"),
    [("invoke", {"FunctionName": "f"}), ("get_function", {"FunctionName": "f"})],
    ids=["shortest way", "app"],
)
def test_what_boto3_signs_otherwise_is_refused(
    tmp_path: Path, method: str, params: dict[str, Any]
) -> None:
    async def scene(it: House) -> None:
        for key in (
            AccessKey("AKIDNOBODY", KEY.secret),
            AccessKey(KEY.id, KEY.secret, "a token"),
            AccessKey(TEMPORARY.id, TEMPORARY.secret, "another token"),
        ):
            assert await refused(client(it, key), method, **params) == UNRECOGNIZED
        wrong = client(it, AccessKey(KEY.id, "secret of another house"))
        status, code, message = await refused(wrong, method, **params)
        assert (status, code) == (403, "InvalidSignatureException")
        assert message.startswith("The request signature we calculated does not match")
        assert await refused(client(it, region="eu-west-3"), method, **params) == (
            403,
            "InvalidSignatureException",
            "Credential should be scoped to a valid region, not 'eu-west-3'. ",
        )
        assert it.engine.finished == []

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("ahead", "said"), [(400, "Signature expired: "), (-400, "Signature not yet current: ")]
)
def test_clocks_that_differ(tmp_path: Path, ahead: float, said: str) -> None:
    async def scene(it: House) -> None:
        for method in ("invoke", "get_function"):
            status, code, message = await refused(client(it), method, FunctionName="f")
            assert (status, code) == (403, "InvalidSignatureException")
            assert message.startswith(said)

    play(tmp_path, scene, ahead)


def test_a_body_that_was_changed_on_its_way(tmp_path: Path) -> None:
    def change(request: Any, **_: Any) -> None:
        request.body = request.body.replace(b"tea", b"gin")

    async def scene(it: House) -> None:
        for method, body in (
            ("invoke", {"Payload": b'"tea"'}),
            ("update_function_configuration", {"Description": "tea"}),
        ):
            changing = client(it)
            changing.meta.events.register("before-send.lambda", change)
            status, code, message = await refused(changing, method, FunctionName="f", **body)
            assert (status, code) == (403, "InvalidSignatureException")
            assert message.startswith("The request signature we calculated does not match")
        assert it.engine.finished == []
        assert (await it.call("get_function_configuration", FunctionName="f"))["Description"] == ""

    play(tmp_path, scene)


def path_of(name: str) -> tuple[str, str]:
    """Method and a path of an operation, with something in the place of every label."""
    http = operation_models()[name].http
    return http["method"], re.sub(r"\{[^}]*\}", "f", http["requestUri"])


def test_every_operation_asks_for_a_signature(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as raw:
            for name in operation_models():
                method, path = path_of(name)
                stranger = sign(method, f"{it.url}{path}", b"", region=REGION)
                await raw.send(request(method, path))
                reply = await raw.reply()
                assert reply.json == {"message": "Missing Authentication Token"}, name
                assert reply.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
                await raw.send(request(method, path, **headers_of(stranger.headers)))
                reply = await raw.reply()
                assert (reply.status, reply.json) == (403, {"message": UNRECOGNIZED[2]}), name
        assert it.engine.finished == []
        await it.engine.registry.wait_settled("f")  # it is still there

    play(tmp_path, scene)


def headers_of(headers: Any) -> dict[str, str]:
    left_out = ("host", "content-length")  # the raw request has its own
    return {name.replace("-", "_"): value for name, value in headers if name not in left_out}


def unsigned(**headers: str) -> bytes:
    return invocation("f", b"1", **headers)


@pytest.mark.parametrize(
    "sent",
    [
        unsigned(),
        unsigned().replace(b"/2015", b"//2015"),
        unsigned().replace(b"invocations", b"invocations/"),
        unsigned().replace(b"invocations", b"invocations?Qualifier=%24LATEST"),
        unsigned().replace(b"POST ", b"POST http://127.0.0.1"),
        unsigned(Transfer_Encoding="chunked").replace(b"Content-Length: 1\r\n", b"")[:-1]
        + b"1\r\n1\r\n0\r\n\r\n",
        unsigned(Authorization="AWS4-HMAC-SHA256 Credential=AKIDHOUSE"),
        unsigned(Upgrade="h2c", Connection="upgrade"),
        unsigned().replace(b"HTTP/1.1", b"HTTP/1.0"),
        request("POST", "/2014-11-13/functions/f/invoke-async/", b"{}"),
        request("POST", "/_samovar/../2015-03-31/functions/f/invocations", b"1"),
        request("GET", "/nothing/of/the/kind"),
    ],
    ids=str,
)
def test_no_way_in_is_left_open(tmp_path: Path, sent: bytes) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as raw:
            await raw.send(sent)
            reply = await raw.reply()
            assert reply.status in (403, 404)
            if reply.status == 404:  # one of the engine's own pages, as far as paths go
                assert b"/_samovar/" in sent
        assert it.engine.finished == []

    play(tmp_path, scene)


def test_an_unsigned_body_is_not_asked_for(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as raw:
            await raw.send(unsigned(Expect="100-continue")[:-1])
            assert (await raw.reply()).status == 403
            assert await raw.ended()

    play(tmp_path, scene)


def test_a_chunked_body_is_hashed_as_a_whole(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        signed = sign("POST", f"{it.url}{INVOCATIONS}", b'"tea"', key=KEY, region=REGION)
        told = headers_of(signed.headers)
        head = request("POST", INVOCATIONS, Transfer_Encoding="chunked", **told)
        head = head.replace(b"Content-Length: 0\r\n", b"").replace(
            b"Host: samovar", f"Host: 127.0.0.1:{it.port}".encode()
        )
        async with RawClient.to(it.port) as raw:
            await raw.send(head + b'2\r\n"t\r\n3\r\nea"\r\n0\r\n\r\n')
            assert (await raw.reply()).json["event"] == "tea"
            await raw.send(head + b'2\r\n"t\r\n3\r\nip"\r\n0\r\n\r\n')
            assert (await raw.reply()).status == 403
        assert len(it.engine.finished) == 1

    play(tmp_path, scene)


# Presigned URLs.


async def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    def blocking() -> tuple[int, Any]:
        # Neither a content type nor anything else that was not signed.
        asked = urllib.request.Request(url, data=body, method=method)
        if body:
            asked.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(asked) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return await asyncio.to_thread(blocking)


@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_presigned_urls(tmp_path: Path, key: AccessKey) -> None:
    async def scene(it: House) -> None:
        other = client(it, key)
        try:
            read = other.generate_presigned_url("get_function", {"FunctionName": f"{ARN}f"})
            run_it = other.generate_presigned_url("invoke", {"FunctionName": "f:$LATEST"})
        finally:
            other.close()
        status, told = await fetch(read)
        assert (status, told["Configuration"]["FunctionName"]) == (200, "f")
        status, told = await fetch(run_it, "POST", b"")
        assert (status, told["event"]) == (200, {})
        for url, method, body in (
            (read, "DELETE", None),
            (read.replace("3Af?", "3Ag?"), "GET", None),
            (read.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"), "GET", None),
            (f"{read}&Qualifier=%24LATEST", "GET", None),
            (run_it, "POST", b"1"),
        ):
            status, told = await fetch(url, method, body)
            assert status == 403
            assert told["message"].startswith("The request signature we calculated does not match")
        assert len(it.engine.finished) == 1

    play(tmp_path, scene)


@pytest.mark.parametrize(("ahead", "status"), [(590, 200), (610, 403), (-310, 403)])
def test_a_presigned_url_lives_as_long_as_it_says(
    tmp_path: Path, ahead: float, status: int
) -> None:
    async def scene(it: House) -> None:
        url = it.client.generate_presigned_url("list_functions", ExpiresIn=600)
        assert (await fetch(url))[0] == status

    play(tmp_path, scene, ahead)


# What is not the API.


def test_the_engines_own_pages_need_no_signature(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as raw:
            for path in ("/healthz", "/readyz", "/metrics", "/_samovar/contexts"):
                await raw.send(request("GET", path))
                reply = await raw.reply()
                assert reply.status == 200
                for key in KEYS.values():
                    assert key.secret.encode() not in reply.body

    play(tmp_path, scene)


def test_links_to_code_are_their_own_key(tmp_path: Path) -> None:
    def download(url: str) -> bytes:
        with urllib.request.urlopen(url) as reply:
            return bytes(reply.read())

    async def scene(it: House) -> None:
        location = (await it.call("get_function", FunctionName="f"))["Code"]["Location"]
        assert (await asyncio.to_thread(download, location)).startswith(b"PK")
        status, _ = await fetch(location[:-1] + "~")
        assert status == 404

    play(tmp_path, scene)


def test_nothing_is_logged_of_a_refused_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(it: House) -> None:
        await refused(client(it, AccessKey(KEY.id, "mistyped")), "invoke", FunctionName="f")
        await refused(client(it, AccessKey(TEMPORARY.id, "x", "t")), "invoke", FunctionName="f")

    play(tmp_path, scene)
    assert "samovar" not in {record.name.partition(".")[0] for record in caplog.records}
