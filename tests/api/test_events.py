"""What may be sent to a function and what it may send back, at the edges and past them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.api.house import ARN, RawClient, invocation, package
from tests.api.served import Serve, ServedHouse

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
CODE = package((FUNCTIONS / "events.py").read_text())
LARGEST_EVENT = 6291456
LARGEST_RESULT = 6291556
NOT_JSON = "Could not parse request body into json: Could not parse payload into json: "
TOKENS = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'"


def at(line: int, column: int) -> str:
    return (
        "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
        f"line: {line}, column: {column}]"
    )


async def invoke(it: ServedHouse, **params: Any) -> Any:
    found = await it.call("invoke", FunctionName="f", **params)
    return found, json.loads(found["Payload"].read())


def test_events_that_are_legal(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active(Code={"ZipFile": CODE})
        for payload, event in (
            (None, {}),
            (b"", {}),
            (b"null", None),
            (b"true", True),
            (b" [1, 2.5e3] ", [1, 2500.0]),
            (b'"\\u00fc \xc3\xbc"', "ü ü"),
            (b"12345678901234567890", 12345678901234567890),
            (b'{"a": {"b": []}}', {"a": {"b": []}}),
            (b"[" * 1000 + b"]" * 1000, None),
        ):
            params = {} if payload is None else {"Payload": payload}
            _, told = await invoke(it, **params)
            if event is not None:
                assert told["event"] == event
        async with RawClient.to(it.port) as client:
            # No content type, a wrong one, none that fits: botocore sends none at all.
            for kind in ({}, {"Content_Type": "text/plain"}, {"Content_Type": "image/png"}):
                await client.send(invocation("f", b"[7]", **kind))
                assert (await client.reply()).json["event"] == [7]

    serve(scene)


def test_events_that_are_no_json_are_refused_before_anything_runs(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active(Code={"ZipFile": CODE})
        unexpected = "Unexpected character ({}): expected a valid value ({})"
        for payload, message in (
            (b"\x87", f"Invalid UTF-8 start byte 0x87{at(1, 2)}"),
            (
                "\x99".encode(),
                unexpected.format("(CTRL-CHAR, code 153)", TOKENS) + at(1, 3),
            ),
            (b'[1,\n "\xc3\xbc", #]', unexpected.format("'#' (code 35)", TOKENS) + at(2, 9)),
            (
                b"[" * 100_000 + b"]" * 100_000,
                "Document nesting depth (1001) exceeds the maximum allowed (1000, from "
                f"`StreamReadConstraints.getMaxNestingDepth()`){at(1, 1)}",
            ),
        ):
            assert await it.refused("invoke", FunctionName="f", Payload=payload) == (
                400,
                "InvalidRequestContentException",
                NOT_JSON + message,
            )
        for payload in (b"{", b"{no}", b"nothing", b"1 2", b"[1,]", b"{'a': 1}", b"NaN", b'"\n"'):
            status, code, message = await it.refused("invoke", FunctionName="f", Payload=payload)
            assert (status, code) == (400, "InvalidRequestContentException"), payload
            assert message.startswith(NOT_JSON)
            assert "\n at [Source: REDACTED (`StreamReadFeature." in message
        found, _ = await invoke(it, LogType="Tail")
        log = base64.b64decode(found["LogResult"]).decode()
        assert log.count("seen\n") == log.count("START RequestId: ") == 1

    serve(scene)


def test_six_megabytes_each_way_and_a_byte_more(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active(Code={"ZipFile": CODE}, Timeout=60, MemorySize=512)
        largest = b'"' + b"x" * (LARGEST_EVENT - 2) + b'"'
        found, told = await invoke(it, Payload=json.dumps({"size": LARGEST_RESULT - 2}).encode())
        assert ("FunctionError" not in found, len(told)) == (True, LARGEST_RESULT - 2)
        found, told = await invoke(it, Payload=json.dumps({"size": LARGEST_RESULT - 1}).encode())
        assert found["FunctionError"] == "Unhandled"
        assert told == {
            "errorMessage": "Response payload size exceeded maximum allowed payload size "
            "(6291556 bytes).",
            "errorType": "Function.ResponseSizeTooLarge",
        }
        found, _ = await invoke(it, Payload=largest)  # its echo is too large, it is not
        assert found["StatusCode"] == 200
        assert await it.refused("invoke", FunctionName="f", Payload=largest + b" ") == (
            413,
            "RequestEntityTooLargeException",
            "6291457 byte payload is too large for the RequestResponse invocation type "
            "(limit 6291456 bytes)",
        )

    serve(scene)


def test_one_id_in_the_reply_the_context_and_the_log(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active(Code={"ZipFile": CODE})
        for params, arn in (({}, f"{ARN}f"), ({"Qualifier": "$LATEST"}, f"{ARN}f:$LATEST")):
            found, told = await invoke(it, LogType="Tail", **params)
            request_id = found["ResponseMetadata"]["RequestId"]
            assert found["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"] == request_id
            assert told["request_id"] == request_id
            assert (told["arn"], told["version"]) == (arn, "$LATEST")
            assert found["ExecutedVersion"] == "$LATEST"
            lines = base64.b64decode(found["LogResult"]).decode().splitlines()
            start = lines.index(f"START RequestId: {request_id} Version: $LATEST")
            assert lines[start + 1 : start + 3] == ["seen", f"END RequestId: {request_id}"]
            assert lines[start + 3].startswith(f"REPORT RequestId: {request_id}\tDuration: ")

    serve(scene)
