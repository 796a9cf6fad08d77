"""Bodies as they stand on the wire: of requests that boto3 would never send, and of errors."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, ROLE, House, RawClient, invocation, package, request, run

FUNCTIONS = "/2015-03-31/functions"


def body(**changes: Any) -> dict[str, Any]:
    code = base64.b64encode(package()).decode()
    return {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": code},
        **changes,
    }


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/x-amz-json-1.1",
        "application/x-www-form-urlencoded",  # what `curl -d` sends unless told otherwise
        "nonsense",
        None,
    ],
)
def test_no_content_type_is_asked_for(tmp_path: Path, kind: str | None) -> None:
    """Unconfirmed for AWS, where SDKs always send one; refusing would help nobody."""

    async def scene(it: House) -> None:
        headers = {} if kind is None else {"Content_Type": kind}
        async with RawClient.to(it.port) as client:
            await client.send(request("POST", FUNCTIONS, json.dumps(body()).encode(), **headers))
            assert (await client.reply()).status == 201

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            body(Timeout="3"),
            "SerializationException",
            "STRING_VALUE can not be converted to an Integer (at Timeout)",
        ),
        (
            body(Timeout=3.5),
            "SerializationException",
            "DECIMAL_VALUE can not be converted to an Integer (at Timeout)",
        ),
        (
            body(Publish="true"),
            "SerializationException",
            "STRING_VALUE can not be converted to a Boolean (at Publish)",
        ),
        (
            body(FunctionName=1),
            "SerializationException",
            "NUMBER_VALUE can not be converted to a String (at FunctionName)",
        ),
        (
            body(Code=[]),
            "SerializationException",
            "START_ARRAY can not be converted to a Structure (at Code)",
        ),
        (
            body(Environment={"Variables": {"KEY": 1}}),
            "SerializationException",
            "NUMBER_VALUE can not be converted to a String (at Environment.Variables.KEY)",
        ),
        (
            body(Code={"ZipFile": "no base64!"}),
            "SerializationException",
            "Code.ZipFile is not base64: Only base64 data is allowed",
        ),
        (
            body(Timeot=3),
            "InvalidParameterValueException",
            "Samovar does not carry out the parameter Timeot of CreateFunction yet; leave it out.",
        ),
        (
            body(Code={"GitUrl": "x"}),
            "InvalidParameterValueException",
            "Samovar does not carry out the parameter Code.GitUrl of CreateFunction yet; leave it "
            "out.",
        ),
        (
            body(Runtime=None, Handler=None),
            "InvalidParameterValueException",
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages.",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_bodies_that_make_no_function(
    tmp_path: Path, content: dict[str, Any], code: str, message: str
) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(request("POST", FUNCTIONS, json.dumps(content).encode()))
            reply = await client.reply()
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (400, code)
        assert reply.json == {"Type": "User", "message": message}
        assert (await it.call("list_functions"))["Functions"] == []

    run(tmp_path, scene)


def test_how_each_error_spells_its_body(tmp_path: Path) -> None:
    """`Message` or `message`, and a Type or none: as recorded, clients look for these."""
    stale = b'{"RevisionId": "old"}'
    create = json.dumps(body()).encode()
    foreign = f"{FUNCTIONS}/{ARN.replace('000000000000', '1' * 12)}f".replace(":", "%3A")

    async def scene(it: House) -> None:
        for name in ("f", "breaks", "throttles"):
            await it.active(name)
        async with RawClient.to(it.port) as client:
            for asked, status, code, keys, kind in (
                (request("GET", f"{FUNCTIONS}/g"), 404, "ResourceNotFound", "Message", "User"),
                (request("GET", foreign), 403, "AccessDenied", "Message", "User"),
                (request("POST", FUNCTIONS, create), 409, "ResourceConflict", "message", "User"),
                (
                    request("PUT", f"{FUNCTIONS}/f/configuration", stale),
                    412,
                    "PreconditionFailed",
                    "message",
                    "User",
                ),
                (
                    request("PUT", f"{FUNCTIONS}/f/code"),
                    400,
                    "InvalidParameterValue",
                    "message",
                    "User",
                ),
                (invocation("f", b"{"), 400, "InvalidRequestContent", "message", "User"),
                (request("GET", f"{FUNCTIONS}?MaxItems=0"), 400, "Validation", "message", None),
                (
                    invocation("f", b" " * 6291457),
                    413,
                    "RequestEntityTooLarge",
                    "message",
                    None,
                ),
                (invocation("throttles"), 429, "TooManyRequests", "message Reason", "User"),
                (invocation("breaks"), 500, "Service", "Message", "Service"),
            ):
                await client.send(asked)
                reply = await client.reply()
                assert reply.status == status
                assert reply.headers["x-amzn-errortype"] == f"{code}Exception"
                assert reply.headers["content-type"] == "application/json"
                assert len(reply.headers["x-amzn-requestid"]) == 36
                expected = set(keys.split()) | ({"Type"} if kind else set())
                assert set(reply.json) == expected
                assert reply.json.get("Type") == kind

    run(tmp_path, scene)
