"""A queue that is read: by the engine for a function, and by a loop that does nothing with it.

Each has a moto server of its own beside it, in a process, and the same client (aiobotocore). A
source's other end is not what is measured, so messages are sent beforehand, many in a request.
`stream_subjects` has the same of a stream, and `topic_subjects` of a topic.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from benchmarks.engine_subject import EngineSubject
from benchmarks.subject import Subject

ACCOUNT = "123456789012"
_TENS = 10
_SENDERS = 8
_REST = 0.02  # seconds between two messages whose lag is taken
_LOOK = 0.002
# Pollers of the bare loop: as many as Lambda begins with, and the engine.
_POLLERS = 5
_LONG_POLL = 2  # seconds, the engine's for a neighbour on the same machine


class Beside(Subject):
    """A moto server, a source of `service` in it, and a client for it; or another `server`, which
    says where it is in its first line, and ends with its stdin."""

    service = ""
    server = "samovar.doors.cli.demo.moto_server"

    def __init__(self) -> None:
        self._opened = AsyncExitStack()
        self._server = subprocess.Popen(
            [sys.executable, "-m", self.server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        self.endpoint = self._server.stdout.readline().strip()
        self.client: Any = None

    async def start(self) -> dict[str, Any]:
        client = get_session().create_client(
            self.service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=AioConfig(max_pool_connections=64),
        )
        self.client = await self._opened.enter_async_context(client)
        await self.make()
        return {}

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"drain": self.drain, "lag": self.lag}

    async def drain(self, count: int) -> dict[str, Any]:
        """How long `count` messages that are there take to be read and to be gone."""
        await self.hold()
        await self.fill(count)
        before = time.perf_counter()
        await self.read(count)
        return {"elapsed": time.perf_counter() - before, "count": count}

    async def lag(self, count: int) -> dict[str, Any]:
        """Seconds from the wish to send a message until it was heard of, one after the other."""
        latencies = []
        started = time.monotonic_ns()
        for _ in range(count):
            before = time.monotonic_ns()
            await self.send(self.body())
            latencies.append(await self.heard() - before)
            await asyncio.sleep(_REST)
        return {"elapsed": (time.monotonic_ns() - started) / 1e9, "latencies": latencies}

    def body(self) -> str:
        return "{}"

    async def make(self) -> None:
        """Make the source."""
        raise NotImplementedError

    async def fill(self, count: int) -> None:
        """Put so many messages into it."""
        raise NotImplementedError

    async def send(self, body: str) -> None:
        """Put one into it."""
        raise NotImplementedError

    async def hold(self) -> None:
        """Read nothing, until `read`."""

    async def read(self, count: int) -> None:
        """Read until `count` messages are gone."""
        raise NotImplementedError

    async def heard(self) -> int:
        """When the next message was heard of, monotonic nanoseconds."""
        raise NotImplementedError

    async def stop(self) -> None:
        await self._opened.aclose()
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


class Bare(Beside):
    """One that does nothing with what it finds but to say when it came."""

    def __init__(self) -> None:
        super().__init__()
        self.found: asyncio.Queue[int] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Read for ever."""
        raise NotImplementedError

    async def heard(self) -> int:
        if self._listening is None:
            self._listening = asyncio.create_task(self.listen())
        return await self.found.get()

    async def drain(self, count: int) -> dict[str, Any]:
        told = await super().drain(count)
        while not self.found.empty():
            self.found.get_nowait()
        return told

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        await super().stop()


class _Queue(Beside):
    service = "sqs"
    url = ""

    async def make(self) -> None:
        # As long as the function may run: else the mapping is refused.
        attributes = {"VisibilityTimeout": "900"}
        made = await self.client.create_queue(QueueName="q", Attributes=attributes)
        self.url = made["QueueUrl"]

    async def fill(self, count: int) -> None:
        bodies = iter([f"message {number}" for number in range(count)])

        async def sender() -> None:
            while entries := [
                {"Id": str(at), "MessageBody": body}
                for at, body in zip(range(_TENS), bodies, strict=False)
            ]:
                await self.client.send_message_batch(QueueUrl=self.url, Entries=entries)

        await asyncio.gather(*(sender() for _ in range(_SENDERS)))

    async def send(self, body: str) -> None:
        await self.client.send_message(QueueUrl=self.url, MessageBody=body)


class BareSource(Bare, _Queue):
    """Receives and deletes, and nothing else."""

    async def read(self, count: int) -> None:
        left = count

        async def poller() -> None:
            nonlocal left
            while left > 0:
                found = await self._once(0)
                left -= found

        await asyncio.gather(*(poller() for _ in range(_POLLERS)))

    async def listen(self) -> None:
        while True:
            await self._once(_LONG_POLL)

    async def _once(self, wait: int) -> int:
        reply = await self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_TENS,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        messages = reply.get("Messages", ())
        if messages:
            self.found.put_nowait(time.monotonic_ns())
            entries = [
                {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]}
                for at, message in enumerate(messages)
            ]
            await self.client.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return len(messages)


class Mapped(Beside):
    """An engine with a mapping of the source `arn`, which also has `more` fields. `lag`: the
    handler says when it begins; else it does nothing."""

    arn = ""
    function, timeout = "noop", 900  # seconds
    gone = ""  # what counts the messages that are
    more: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, lag: bool = False) -> None:
        super().__init__()
        self._lag = lag
        self._function = "stamps" if lag else self.function
        self._subject = EngineSubject(**self.settings())
        self._engine = self._subject.engine
        self._uuid = ""
        self._stamps: asyncio.Queue[int] = asyncio.Queue()

    async def start(self) -> dict[str, Any]:
        from samovar.model.event_source import EventSourceMapping

        await super().start()
        facts = await self._subject.start()
        if self._function != "noop":
            handler = "stamps" if self._lag else "noop"
            await self._subject.create(self._function, handler, self.timeout)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Stamps(self._stamps), local_addr=("127.0.0.1", 0)
        )
        self._opened.callback(transport.close)
        self._port = transport.get_extra_info("sockname")[1]
        function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{self._function}"
        made = await self._engine.registry.event_sources.create(
            EventSourceMapping("", function, self.arn, **self.more)
        )
        self._uuid = made.mapping.uuid
        mappings = self._engine.registry.event_sources
        await mappings.wait_settled(self._uuid)
        return facts

    def settings(self) -> dict[str, Any]:
        """The engine's."""
        return {"aws_endpoint": self.endpoint, "account_id": ACCOUNT}

    @property
    def poller(self) -> Any:
        """The engine's reader of the source."""
        return self._engine._parts.sources._pollers[self._uuid]

    def body(self) -> str:
        return json.dumps({"port": self._port})

    async def hold(self) -> None:
        await self._enable(False)

    async def _enable(self, enabled: bool) -> None:
        mappings = self._engine.registry.event_sources
        await mappings.update(self._uuid, lambda present: replace(present, enabled=enabled))
        await mappings.wait_settled(self._uuid)

    async def read(self, count: int) -> None:
        wanted = self.numbers[self.gone] + count
        await self._enable(True)
        await self.until(wanted)

    @property
    def numbers(self) -> Any:
        """Of messages by what came of them."""
        return self._engine._parts.sources._numbers[self._uuid].events

    async def until(self, wanted: int) -> None:
        """So many messages are gone since the start."""
        numbers = self.numbers
        while numbers[self.gone] < wanted:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_LOOK)

    async def heard(self) -> int:
        return await self._stamps.get()

    async def stop(self) -> None:
        await self._subject.stop()
        await super().stop()


class SamovarSource(Mapped, _Queue):
    """Of a queue."""

    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
    gone = "deleted"


class _Stamps(asyncio.DatagramProtocol):
    def __init__(self, stamps: asyncio.Queue[int]) -> None:
        self._stamps = stamps

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._stamps.put_nowait(int(data))
