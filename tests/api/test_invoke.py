"""Invoke through boto3 and through raw HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, invocation, reset_on_close, run, until

pytestmark = pytest.mark.usefixtures("each_loop")

UNKNOWN = f"Function not found: {ARN}none:$LATEST"


def test_an_event_goes_in_and_a_result_comes_out(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found = await it.call("invoke", FunctionName="f", Payload=b'{"a": [1, "\xc3\xa4"]}')
        told = json.loads(found["Payload"].read())
        headers = found["ResponseMetadata"]["HTTPHeaders"]
        assert told["event"] == {"a": [1, "ä"]}
        assert told["arn"] == ARN + "f"
        assert (told["client_context"], told["trace"]) == (None, None)
        assert found["StatusCode"] == 200
        assert found["ExecutedVersion"] == "$LATEST"
        assert "FunctionError" not in found
        assert "LogResult" not in found
        assert told["request_id"] == found["ResponseMetadata"]["RequestId"]
        assert headers["content-type"] == "application/json"
        assert headers["x-samovar-context"] == "c-1"
        assert headers["x-samovar-start"] == "warm"
        assert json.loads(headers["x-samovar-phases"]) == {"queued": 1.0, "handler": 12.5}

    run(tmp_path, scene)


def test_a_function_error_is_a_200(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("fails")
        found = await it.call("invoke", FunctionName="fails", LogType="Tail")
        assert (found["StatusCode"], found["FunctionError"]) == (200, "Unhandled")
        assert json.loads(found["Payload"].read())["errorType"] == "E"
        assert base64.b64decode(found["LogResult"]) == b"END\n\xff"
        headers = found["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-samovar-start"] == "cold"
        assert json.loads(headers["x-samovar-phases"]) == {
            "queued": 1.0,
            "environment": 1.5,
            "package": 20.0,
            "init": 100.0,
            "handler": 12.5,
        }

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("reference", "qualifier", "arn"),
    [
        ("f:$LATEST", None, ARN + "f:$LATEST"),
        ("f", "$LATEST", ARN + "f:$LATEST"),
        (ARN + "f", None, ARN + "f"),
        ("000000000000:function:f", "$LATEST", ARN + "f:$LATEST"),
    ],
)
def test_the_arn_is_as_invoked(
    tmp_path: Path, reference: str, qualifier: str | None, arn: str
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        params = {"FunctionName": reference}
        if qualifier:
            params["Qualifier"] = qualifier
        for _ in range(2):  # the second time from memory
            found = await it.call("invoke", **params)
            assert json.loads(found["Payload"].read())["arn"] == arn

    run(tmp_path, scene)


def test_context_and_trace_are_handed_on(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        text = '{"custom": {"k": "ü"}}'
        context = base64.b64encode(text.encode()).decode()
        found = await it.call("invoke", FunctionName="f", ClientContext=context)
        assert json.loads(found["Payload"].read())["client_context"] == text
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", X_Amzn_Trace_Id="Root=1-2;Sampled=1"))
            assert (await client.reply()).json["trace"] == "Root=1-2;Sampled=1"

    run(tmp_path, scene)


def test_dry_run_runs_nothing(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found = await it.call("invoke", FunctionName="f", InvocationType="DryRun")
        assert found["StatusCode"] == 204
        assert "ExecutedVersion" not in found
        assert it.engine.finished == []
        refused = await it.refused("invoke", FunctionName="none", InvocationType="DryRun")
        assert refused == (404, "ResourceNotFoundException", UNKNOWN)

    run(tmp_path, scene)


def test_an_event_is_accepted_once_it_is_in_the_queue(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        event: dict[str, Any] = {"FunctionName": "f", "InvocationType": "Event"}
        found = await it.call("invoke", **event, Payload=b'{"a": 1}', LogType="Tail")
        assert (found["StatusCode"], await asyncio.to_thread(found["Payload"].read)) == (202, b"")
        assert not {"ExecutedVersion", "FunctionError", "LogResult"} & found.keys()
        kept = await it.engine.queue.find(found["ResponseMetadata"]["RequestId"])
        assert kept is not None
        assert (kept.item.body, kept.item.lane) == (b'{"a": 1}', f"{ARN}f")
        empty = await it.call("invoke", **event)
        kept = await it.engine.queue.find(empty["ResponseMetadata"]["RequestId"])
        assert kept is not None
        assert kept.item.body == b"{}"
        assert it.engine.finished == []

    run(tmp_path, scene)


@pytest.mark.usefixtures("each_loop")
def test_what_is_wrong_with_an_event_is_told_at_once(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        event: dict[str, Any] = {"FunctionName": "f", "InvocationType": "Event"}
        limit = 1048576
        await it.call("invoke", **event, Payload=b'"' + b"x" * (limit - 2) + b'"')
        assert await it.refused("invoke", **event, Payload=b'"' + b"x" * (limit - 1) + b'"') == (
            413,
            "RequestEntityTooLargeException",
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        )
        status, code, text = await it.refused("invoke", **event, Payload=b'{"a": \x87}')
        assert (status, code) == (400, "InvalidRequestContentException")
        assert text.startswith(
            "Could not parse request body into json: Could not parse payload into json: Invalid "
            "UTF-8 start byte 0x87\n at [Source: REDACTED"
        )
        unknown = await it.refused("invoke", **{**event, "FunctionName": "none"})
        assert unknown == (404, "ResourceNotFoundException", UNKNOWN)
        missing = await it.refused("invoke", **event, Qualifier="live")
        assert missing[:2] == (404, "ResourceNotFoundException")
        assert sum(it.engine.queue.depths().values()) == 1

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("headers", "status", "code", "text"),
    [
        (
            {"X_Amz_Invocation_Type": "Sync"},
            400,
            "ValidationException",
            "1 validation error detected: Value 'Sync' at 'invocationType' failed to satisfy "
            "constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]",
        ),
        (
            {"X_Amz_Log_Type": "All", "X_Amz_Invocation_Type": "x"},
            400,
            "ValidationException",
            "2 validation errors detected: ",
        ),
        ({"X_Amz_Client_Context": "§"}, 400, "InvalidRequestContentException", "Base64"),
        ({"X_Amz_Client_Context": "/w=="}, 400, "InvalidRequestContentException", "Base64"),
        ({"X_Amz_Client_Context": "A" * 3584}, 400, "InvalidRequestContentException", "3583"),
        ({"x_amzn_RequestId": "mine"}, 400, "InvalidRequestContentException", "must be a UUID"),
        ({"X_Amz_Tenant_Id": "t"}, 400, "InvalidParameterValueException", "TenantId"),
        (
            {"X_Amz_Durable_Execution_Name": "n"},
            400,
            "InvalidParameterValueException",
            "Samovar does not carry out the parameter DurableExecutionName of Invoke yet",
        ),
        ({"Origin": "https://evil.example"}, 403, "AccessDeniedException", "web pages"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_headers_that_are_refused(
    tmp_path: Path, headers: dict[str, str], status: int, code: str, text: str
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", **headers))
            reply = await client.reply()
            assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code)
            assert text in reply.json.get("message", reply.json.get("Message"))
            await client.send(invocation("f"))  # the connection is as good as before
            assert (await client.reply()).status == 200
        assert len(it.engine.finished) == 1

    run(tmp_path, scene)


def test_a_clients_own_request_id_is_checked_and_not_taken_over(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        own = str(uuid.uuid4())
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", x_amzn_RequestId=own))
            reply = await client.reply()
        assert reply.headers["x-amzn-requestid"] == reply.json["request_id"] != own

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("target", "status", "code", "text"),
    [
        ("none", 404, "ResourceNotFoundException", UNKNOWN),
        ("f:live", 404, "ResourceNotFoundException", f"Function not found: {ARN}f:live"),
        ("f:$latest", 404, "ResourceNotFoundException", f"Function not found: {ARN}f:$latest"),
        ("a%20b", 400, "ValidationException", "at 'functionName' failed to satisfy"),
        ("%ff", 400, "SerializationException", "not percent-encoded UTF-8"),
        ("", 400, "ValidationException", "at 'functionName' failed to satisfy"),
        ("x" * 2000, 400, "ValidationException", "length less than or equal to 256"),
        (
            "arn%3Aaws%3Alambda%3Aeu-west-1%3A000000000000%3Afunction%3Af",
            404,
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
    ],
)
def test_functions_that_cannot_be_meant(
    tmp_path: Path, target: str, status: int, code: str, text: str
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            for _ in range(2):
                await client.send(invocation(target))
                reply = await client.reply()
                assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code)
                assert text in reply.json.get("message", reply.json.get("Message"))

    run(tmp_path, scene)


def test_qualifiers_that_do_not_fit(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        refused = await it.refused("invoke", FunctionName="f:1", Qualifier="2")
        assert refused == (
            400,
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
        refused = await it.refused("invoke", FunctionName="f", Qualifier="")
        assert "at 'qualifier' failed" in refused[2]

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("headers", "size", "text"),
    [
        (
            {},
            6291457,
            "6291457 byte payload is too large for the RequestResponse invocation type "
            "(limit 6291456 bytes)",
        ),
        (
            {"X_Amz_Invocation_Type": "Event"},
            1048577,
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        ),
    ],
)
def test_too_large_a_payload(tmp_path: Path, headers: dict[str, str], size: int, text: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", b" " * size, **headers))
            reply = await client.reply()
            assert reply.status == 413
            assert reply.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"
            assert reply.json == {"message": text}
            await client.send(invocation("f"))  # all of it was read
            assert (await client.reply()).status == 200

    run(tmp_path, scene)


def test_the_largest_payload(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        payload = b'"' + b"x" * (6291456 - 2) + b'"'
        found = await it.call("invoke", FunctionName="f", Payload=payload)
        assert len(json.loads(found["Payload"].read())["event"]) == 6291454

    run(tmp_path, scene)


def test_errors_by_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(it: House) -> None:
        for name in ("f", "breaks", "surprises", "throttles"):
            await it.active(name)
        refused = await it.refused("invoke", FunctionName="f", Payload=b"{no")
        assert refused[:2] == (400, "InvalidRequestContentException")
        refused = await it.refused("invoke", FunctionName="breaks")
        assert refused == (500, "ServiceException", "the zygote is gone")
        refused = await it.refused("invoke", FunctionName="surprises")
        assert refused[:2] == (500, "ServiceException")
        assert "surprise" not in refused[2].removeprefix("Samovar")
        with pytest.raises(it.client.exceptions.TooManyRequestsException) as caught:
            await it.call("invoke", FunctionName="throttles")
        told = caught.value.response
        assert told["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert told["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
        assert told["Error"]["Message"] == "Rate Exceeded."

    run(tmp_path, scene)
    assert "ZeroDivisionError: surprise" in caplog.text


def test_a_client_that_hangs_up_does_not_stop_its_invocation(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        before = it.server.connections
        async with RawClient.to(it.port) as client:
            await client.send(invocation("waits"))
            await it.engine.entered.acquire()
            assert it.server.connections == before + 1
            reset_on_close(client.writer)  # else it might be one that still reads
        await until(lambda: it.server.connections == before)
        assert it.engine.finished == []
        it.engine.gate.set()
        await until(lambda: len(it.engine.finished) == 1)

    run(tmp_path, scene)


def test_a_slash_too_many(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f").replace(b"/invocations ", b"/invocations/ ", 1))
            assert (await client.reply()).status == 200

    run(tmp_path, scene)


def test_many_at_once_on_few_connections(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()

        async def one(at: int) -> None:
            async with RawClient.to(it.port) as client:
                for turn in range(20):
                    await client.send(invocation("f", b'"%d/%d"' % (at, turn)))
                    assert (await client.reply()).json["event"] == f"{at}/{turn}"

        await asyncio.gather(*map(one, range(16)))
        assert len(set(it.engine.finished)) == 320

    run(tmp_path, scene)
