"""InvokeWithResponseStream: botocore reads it, and so does a client that speaks HTTP/1.0."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from tests.api.house import ARN, House, RawClient, package, request, run
from tests.api.served import Serve, ServedHouse

PATH = "/2021-11-15/functions/{}/response-streaming-invocations"
TYPE = "application/vnd.amazon.eventstream"


async def stream(it: House, **params: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The reply and its events, read by botocore beside the loop."""

    def blocking() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        found = it.client.invoke_with_response_stream(**params)
        return found, list(found.pop("EventStream"))

    return await asyncio.to_thread(blocking)


def test_a_result_comes_in_one_chunk(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        context = base64.b64encode(b'{"custom": 1}').decode()
        found, events = await stream(
            it,
            FunctionName="f:$LATEST",
            Payload=b'{"a": 1}',
            LogType="Tail",
            ClientContext=context,
            InvocationType="RequestResponse",
        )
        assert [list(event) for event in events] == [["PayloadChunk"], ["InvokeComplete"]]
        told = json.loads(events[0]["PayloadChunk"]["Payload"])
        assert (told["event"], told["arn"]) == ({"a": 1}, ARN + "f:$LATEST")
        assert told["client_context"] == '{"custom": 1}'
        assert told["request_id"] == found["ResponseMetadata"]["RequestId"]
        end = events[1]["InvokeComplete"]
        assert base64.b64decode(end.pop("LogResult")) == b"END\n\xff"
        assert end == {}
        assert (found["StatusCode"], found["ExecutedVersion"]) == (200, "$LATEST")
        assert found["ResponseStreamContentType"] == TYPE
        headers = found["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-samovar-start"] == "warm"
        assert "x-amz-log-result" not in headers
        _, events = await stream(it, FunctionName="f", Qualifier="$LATEST")
        assert json.loads(events[0]["PayloadChunk"]["Payload"])["event"] == {}
        assert events[1] == {"InvokeComplete": {}}

    run(tmp_path, scene)


def test_a_function_error_is_the_last_event(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("fails")
        found, events = await stream(it, FunctionName="fails")
        assert found["StatusCode"] == 200
        assert "x-amz-function-error" not in found["ResponseMetadata"]["HTTPHeaders"]
        details = '{"errorMessage": "no", "errorType": "E"}'
        assert events == [{"InvokeComplete": {"ErrorCode": "E", "ErrorDetails": details}}]

    run(tmp_path, scene)


def test_a_dry_run(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found, events = await stream(it, FunctionName="f", InvocationType="DryRun")
        assert (found["StatusCode"], events) == (204, [])
        assert it.engine.finished == []
        refused = await it.refused(
            "invoke_with_response_stream", FunctionName="none", InvocationType="DryRun"
        )
        assert refused[0] == 404

    run(tmp_path, scene)


def test_what_is_wrong_before_the_function_begins_is_an_error_like_any_other(
    tmp_path: Path,
) -> None:
    async def scene(it: House) -> None:
        for name in ("f", "breaks", "throttles", "surprises"):
            await it.active(name)
        for params, told in (
            (
                {"FunctionName": "none"},
                (404, "ResourceNotFoundException", f"Function not found: {ARN}none:$LATEST"),
            ),
            (
                {"FunctionName": "f", "Qualifier": "live"},
                (404, "ResourceNotFoundException", f"Function not found: {ARN}f:live"),
            ),
            ({"FunctionName": "throttles"}, (429, "TooManyRequestsException", "Rate Exceeded.")),
            ({"FunctionName": "breaks"}, (500, "ServiceException", "the zygote is gone")),
            (
                {"FunctionName": "f", "InvocationType": "Event"},
                (
                    400,
                    "ValidationException",
                    "1 validation error detected: Value 'Event' at 'invocationType' failed to "
                    "satisfy constraint: Member must satisfy enum value set: [RequestResponse, "
                    "DryRun]",
                ),
            ),
            (
                {"FunctionName": "f", "ClientContext": "%"},
                (
                    400,
                    "InvalidRequestContentException",
                    "Client context must be a valid Base64-encoded JSON object.",
                ),
            ),
            (
                {"FunctionName": "f", "Payload": b" " * 6291457},
                (
                    413,
                    "RequestEntityTooLargeException",
                    "6291457 byte payload is too large for the RequestResponse invocation type "
                    "(limit 6291456 bytes)",
                ),
            ),
        ):
            assert await it.refused("invoke_with_response_stream", **params) == told
        assert (await it.refused("invoke_with_response_stream", FunctionName="surprises"))[0] == 500
        status, code, _ = await it.refused(
            "invoke_with_response_stream", FunctionName="f", Payload=b"{no"
        )
        assert (status, code) == (400, "InvalidRequestContentException")
        async with RawClient.to(it.port) as client:
            await client.send(request("POST", PATH.format("f"), b"", x_amzn_RequestId="mine"))
            reply = await client.reply()
            assert reply.headers["x-amzn-errortype"] == "InvalidRequestContentException"
            await client.send(request("POST", PATH.format("f"), b"", Origin="http://page"))
            assert (await client.reply()).status == 403
            await client.send(request("POST", PATH.format("f"), b"", X_Amzn_Trace_Id="Root=1-2"))
            (chunk, _) = read((await client.reply()).body)
            assert json.loads(chunk.payload)["trace"] == "Root=1-2"

    run(tmp_path, scene)


def read(body: bytes) -> list[Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return list(buffer)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_length_is_known_whatever_http_is_spoken(tmp_path: Path, version: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        sent = request("POST", PATH.format("f"), b'{"a": 1}').replace(
            b"HTTP/1.1", b"HTTP/" + version.encode()
        )
        async with RawClient.to(it.port) as client:
            await client.send(sent)
            reply = await client.reply()
            assert "transfer-encoding" not in reply.headers
            assert reply.headers["content-type"] == TYPE
            assert [message.headers[":event-type"] for message in read(reply.body)] == [
                "PayloadChunk",
                "InvokeComplete",
            ]
            if version == "1.0":
                assert await client.ended()
            else:
                await client.send(sent)
                assert (await client.reply()).status == 200

    run(tmp_path, scene)


def test_a_chunked_request(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        head = f"POST {PATH.format('f')} HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with RawClient.to(it.port) as client:
            await client.send(head.encode() + b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n")
            (chunk, _) = read((await client.reply()).body)
            assert json.loads(chunk.payload)["event"] == [1]

    run(tmp_path, scene)


def test_a_client_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client:
            await client.send(request("POST", PATH.format("waits")))
            await it.engine.entered.acquire()
        it.engine.gate.set()
        _, events = await stream(it, FunctionName="waits")
        assert len(events) == 2
        assert len(it.engine.finished) == 2  # the first one ran to its end, too

    run(tmp_path, scene)


LARGEST = 6291556  # a result's largest size as JSON, and one more is an error
SIZES = package("def handler(event, context):\n    return 'x' * (event - 2)\n")


def test_real_functions(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active("sizes", Code={"ZipFile": SIZES}, MemorySize=512, Timeout=30)
        _, events = await stream(it, FunctionName="sizes", Payload=b"%d" % LARGEST)
        assert len(events) == 2
        assert events[0]["PayloadChunk"]["Payload"] == b'"' + b"x" * (LARGEST - 2) + b'"'
        _, events = await stream(it, FunctionName="sizes", Payload=b"%d" % (LARGEST + 1))
        assert [list(event) for event in events] == [["InvokeComplete"]]
        assert events[0]["InvokeComplete"]["ErrorCode"] == "Function.ResponseSizeTooLarge"
        _, events = await stream(it, FunctionName="sizes", Payload=b'"x"', LogType="Tail")
        end = events[0]["InvokeComplete"]
        assert end["ErrorCode"] == "TypeError"
        details = json.loads(end["ErrorDetails"])
        assert list(details) == ["errorMessage", "errorType", "requestId", "stackTrace"]
        assert b"REPORT RequestId" in base64.b64decode(end["LogResult"])
        status, code, _ = await it.refused(
            "invoke_with_response_stream", FunctionName="sizes", Payload=b"{no"
        )
        assert (status, code) == (400, "InvalidRequestContentException")

    serve(scene)
