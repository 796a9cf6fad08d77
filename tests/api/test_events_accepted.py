"""Invoke with the type Event: what is accepted, with which reply, and what is refused how."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, invocation, run, until
from tests.api.served import Serve, ServedHouse

from samovar.stores.invoke_queue import ItemKind, ItemState

EVENT: dict[str, Any] = {"X_Amz_Invocation_Type": "Event"}
LARGEST = 1048576
NOT_JSON = "Could not parse request body into json: Could not parse payload into json: "
WAITING = (ItemKind.EVENT, ItemState.WAITING)
RUNS = "def handler(event, context):\n    print('seen', event, context.aws_request_id)\n"


def test_a_reply_of_an_event(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found = await it.call(
            "invoke",
            FunctionName="f",
            InvocationType="Event",
            LogType="Tail",  # AWS: for synchronous invocations only
            ClientContext=base64.b64encode(b"{}").decode(),  # so is this
            Payload=b'{"a": 1}',
        )
        assert (found["StatusCode"], found["Payload"].read()) == (202, b"")
        assert not {"ExecutedVersion", "FunctionError", "LogResult"} & set(found)
        request_id = found["ResponseMetadata"]["RequestId"]
        assert it.engine.accepted == [
            {
                "name": "f",
                "payload": b'{"a": 1}',
                "qualifier": None,
                "function_arn": f"{ARN}f",
                "trace": None,
                "request_id": request_id,
            }
        ]
        assert it.engine.finished == []
        async with RawClient.to(it.port) as client:
            trace = "Root=1-2-3;Parent=4;Sampled=0;Lineage=1:5:6"
            await client.send(invocation("f", b"[]", **EVENT, X_Amzn_Trace_Id=trace))
            reply = await client.reply()
            assert (reply.status, reply.body) == (202, b"")
            assert set(reply.headers) == {"date", "x-amzn-requestid", "content-length"}
        assert it.engine.accepted[-1]["trace"] == trace

    run(tmp_path, scene)


def test_no_reply_before_it_is_durable(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client:
            await client.send(invocation("waits", b"{}", **EVENT))
            await it.engine.entered.acquire()
            reply = asyncio.ensure_future(client.reply())
            for _ in range(10):
                await asyncio.sleep(0)
            assert not reply.done()
            it.engine.gate.set()
            assert (await reply).status == 202

    run(tmp_path, scene)


def test_a_stop_waits_for_what_is_being_written_down(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client:
            await client.send(invocation("waits", b"{}", **EVENT))
            await it.engine.entered.acquire()
            stopping = asyncio.ensure_future(it.server.stop(grace=30))
            await until(
                lambda: it.server.sockets_closed if hasattr(it.server, "sockets_closed") else True
            )
            assert not stopping.done()
            it.engine.gate.set()
            assert (await client.reply()).status == 202
            await stopping

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("payload", "status", "text"),
    [
        (b"{", 400, NOT_JSON + "Unexpected end-of-input"),
        (b"\x87", 400, NOT_JSON + "Invalid UTF-8 start byte 0x87"),
        (b"NaN", 400, NOT_JSON + "Unrecognized token 'NaN'"),
        (b"[" * 1001 + b"]" * 1001, 400, NOT_JSON + "Document nesting depth (1001)"),
        (
            b" " * (LARGEST + 1),
            413,
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        ),
    ],
    ids=["cut", "utf-8", "NaN", "deep", "large"],
)
def test_what_would_not_run_is_not_accepted(
    serve: Serve, payload: bytes, status: int, text: str
) -> None:
    """In the words of a synchronous call."""

    async def scene(it: ServedHouse) -> None:
        await it.active()
        told = await it.refused("invoke", FunctionName="f", InvocationType="Event", Payload=payload)
        assert told[0] == status
        assert told[2].startswith(text)
        if status == 400:
            assert told == await it.refused("invoke", FunctionName="f", Payload=payload)
        assert it.engine._parts.asynchronous.queue.depths() == {}

    serve(scene)


def test_what_runs_is_accepted(serve: Serve) -> None:
    """Everything that a worker reads as JSON, the largest among it; and no payload."""

    async def scene(it: ServedHouse) -> None:
        await it.active()
        await it.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=1)
        largest = b'"' + b"x" * (LARGEST - 2) + b'"'
        deep = b"[" * 1000 + b"]" * 1000
        for payload in (b"", b" 1 ", b"null", b'"\\ud800"', '"ü"'.encode(), deep, largest):
            found = await it.call(
                "invoke", FunctionName="f", InvocationType="Event", Payload=payload
            )
            assert found["StatusCode"] == 202

    serve(scene)


def test_an_unknown_function_or_qualifier(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active()
        for name, qualifier, text in (
            ("g", None, "g:$LATEST"),
            ("f", "live", "f:live"),
            ("f", "7", "f:7"),
        ):
            params = {} if qualifier is None else {"Qualifier": qualifier}
            told = await it.refused(
                "invoke", FunctionName=name, InvocationType="Event", Payload=b"{}", **params
            )
            wanted = (404, "ResourceNotFoundException", f"Function not found: {ARN}{text}")
            assert told == wanted
            assert told == await it.refused("invoke", FunctionName=name, **params)

    serve(scene)


def test_the_request_id_of_the_reply_is_the_one_that_the_handler_sees(serve: Serve) -> None:
    from tests.api.house import package

    source = (
        "import json, os\n"
        "def handler(event, context):\n"
        "    if event.get('tell'):\n"
        "        return open('/tmp/seen').read()\n"
        "    open('/tmp/seen', 'w').write(context.aws_request_id)\n"
    )

    async def scene(it: ServedHouse) -> None:
        await it.active(Code={"ZipFile": package(source)})
        found = await it.call("invoke", FunctionName="f", InvocationType="Event", Payload=b"{}")
        queue = it.engine._parts.asynchronous.queue
        await until(lambda: not queue.depths())
        told = await it.call("invoke", FunctionName="f", Payload=b'{"tell": true}')
        seen = json.loads(told["Payload"].read())
        assert seen == found["ResponseMetadata"]["RequestId"]

    serve(scene)


def test_a_function_without_concurrency_takes_events_all_the_same(serve: Serve) -> None:
    """Reference 4: 202 at once, even when reserved concurrency is 0."""

    async def scene(it: ServedHouse) -> None:
        await it.active()
        await it.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0)
        found = await it.call("invoke", FunctionName="f", InvocationType="Event", Payload=b"{}")
        assert found["StatusCode"] == 202

    serve(scene)


def test_an_engine_that_stops_takes_in_nothing(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active()
        it.engine._parts.asynchronous.pause()
        told = await it.refused("invoke", FunctionName="f", InvocationType="Event", Payload=b"{}")
        assert told[:2] == (500, "ServiceException")
        assert "stopping" in told[2]

    serve(scene)
