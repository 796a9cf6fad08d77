"""Invoke with the type Event: what is accepted, with which reply, and what is refused how."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, invocation, package, run, until
from tests.api.served import Serve, ServedHouse

from samovar.model.event import QueuedEvent
from samovar.stores.invoke_queue import Item
from samovar.stores.memory_queue import MemoryInvokeQueue

EVENT: dict[str, Any] = {"X_Amz_Invocation_Type": "Event"}
LARGEST = 1048576
NOT_JSON = "Could not parse request body into json: Could not parse payload into json: "


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
        assert (found["StatusCode"], found["Payload"].getvalue()) == (202, b"")
        async with RawClient.to(it.port) as client:
            trace = "Root=1-2-3;Parent=4;Sampled=0;Lineage=1:5:6"
            await client.send(invocation("f", b"[]", **EVENT, X_Amzn_Trace_Id=trace))
            reply = await client.reply()
            assert (reply.status, reply.body) == (202, b"")
            assert set(reply.headers) == {"date", "x-amzn-requestid", "content-length"}
            for header in ({"X_Amz_Log_Type": "All"}, {"X_Amz_Client_Context": "%"}):
                await client.send(invocation("f", b"[]", **EVENT, **header))
                assert (await client.reply()).status == 400  # what has no effect is checked, too
        kept = await it.engine.queue.find(reply.headers["x-amzn-requestid"])
        assert kept is not None
        followed = QueuedEvent.unpack(kept.item.head).trace
        assert followed.startswith("Root=1-2-3;Parent=4;Sampled=0;Lineage=1:5:6,1:")
        assert sum(it.engine.queue.depths().values()) == 2

    run(tmp_path, scene)


class SlowQueue(MemoryInvokeQueue):
    """Puts are durable when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.durable = asyncio.Event()

    def put(self, item: Item, claim_until: float | None = None) -> asyncio.Future[None]:
        async def wait() -> None:
            self.asked.set()
            await self.durable.wait()
            await super(SlowQueue, self).put(item, claim_until)

        return asyncio.ensure_future(wait())


def test_no_reply_before_it_is_durable_and_no_end_before_the_reply(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        queue = it.engine.queue = SlowQueue()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", b"{}", **EVENT))
            await queue.asked.wait()
            reply = asyncio.ensure_future(client.reply())
            stopping = asyncio.ensure_future(it.server.stop(grace=30))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not reply.done()
            assert not stopping.done()
            queue.durable.set()
            assert (await reply).status == 202
            await stopping

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("payload", "status", "text"),
    [
        (b"{", 400, NOT_JSON + "Unexpected end-of-input"),
        (b"\x87", 400, NOT_JSON + "Invalid UTF-8 start byte 0x87"),
        (b"NaN", 400, NOT_JSON + "Unrecognized token 'NaN'"),
        (b"[" * 1001 + b"]" * 1001, 400, NOT_JSON + "Document nesting depth (1001)"),
        (b"9" * 4301, 400, NOT_JSON + "Exceeds the limit"),
        (
            b" " * (LARGEST + 1),
            413,
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        ),
    ],
    ids=["cut", "utf-8", "NaN", "deep", "digits", "large"],
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
        for payload in (
            b"",
            b" 1 ",
            b"null",
            b'"\\ud800"',
            '"ü"'.encode(),
            deep,
            b"9" * 4300,
            largest,
        ):
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
