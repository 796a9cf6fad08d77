"""Deliveries to neighbours that fail in every way a server can, over real HTTP, and then come back.

The real client, sender, consumer and pump; the queue is in memory, and SQS is a server that does
what the test says.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import uvloop
from tests.api.house import until

from samovar.clock import SystemClock
from samovar.invocation import deliveries
from samovar.invocation.deliveries import DeliveryConsumer
from samovar.invocation.destinations import Senders
from samovar.invocation.pump import Pump
from samovar.metrics.observer import SilentObserver
from samovar.model.event import Channel, Delivery
from samovar.neighbours import AsyncNeighbours
from samovar.settings import Settings
from samovar.stores.invoke_queue import Item, ItemKind, ItemState
from samovar.stores.memory_queue import MemoryInvokeQueue

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST"
OWN = "arn:aws:lambda:us-east-1:111111111111:function:"
SOON = 0.5  # seconds without a byte after which a neighbour is not waited for

Answer = Callable[["Sqs", asyncio.StreamWriter], Awaitable[None]]


class Sqs:
    """Answers each SendMessage as `answers` say, one after the other, and then as it should."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.port = 0
        self.bodies: list[str] = []  # of messages that it took
        self.asked = 0
        self.closing = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                size = int(head.partition("content-length:")[2].partition("\r\n")[0])
                body = json.loads(await reader.readexactly(size))
                if "sendmessage" not in head:
                    await reply(writer, {"QueueUrl": f"http://127.0.0.1:{self.port}/q"})
                    continue
                self.asked += 1
                if self.answers:
                    await self.answers.pop(0)(self, writer)
                else:
                    self.bodies.append(body["MessageBody"])
                    await reply(writer, {"MessageId": "m"})
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def reply(writer: asyncio.StreamWriter, document: object, status: int = 200) -> None:
    await raw(writer, json.dumps(document).encode(), status)


async def raw(writer: asyncio.StreamWriter, body: bytes, status: int = 200) -> None:
    head = f"HTTP/1.1 {status} So\r\nContent-Type: application/x-amz-json-1.0\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def hangs(sqs: Sqs, _: asyncio.StreamWriter) -> None:
    await sqs.closing.wait()


async def breaks_down(_: Sqs, writer: asyncio.StreamWriter) -> None:
    await reply(writer, {"__type": "com.amazonaws.sqs#InternalFailure"}, 500)


async def is_busy(_: Sqs, writer: asyncio.StreamWriter) -> None:
    await reply(writer, {"__type": "com.amazonaws.sqs#RequestThrottled"}, 400)


async def hangs_up(_: Sqs, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def breaks_off(_: Sqs, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()


async def talks_nonsense(_: Sqs, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()
    writer.close()


async def is_a_proxy(_: Sqs, writer: asyncio.StreamWriter) -> None:
    await raw(writer, b"<html>Bad Gateway</html>", 502)


async def refuses(_: Sqs, writer: asyncio.StreamWriter) -> None:
    document = {"__type": "com.amazonaws.sqs#InvalidMessageContents", "message": "no such words"}
    await reply(writer, document, 400)


async def dribbles(sqs: Sqs, writer: asyncio.StreamWriter) -> None:
    """A byte now and then: no timeout of a client's ever comes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not sqs.closing.is_set():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(SOON / 10)


class Told(SilentObserver):
    __slots__ = ("heard",)

    def __init__(self) -> None:
        self.heard: list[str] = []

    def delivered(self, function: str, channel: str, service: str) -> None:
        self.heard.append("delivered")

    def delivery_retried(self, function: str, channel: str, service: str) -> None:
        self.heard.append("retried")

    def delivery_failed(self, function: str, channel: str, service: str) -> None:
        self.heard.append("failed")


class House:
    def __init__(self, data_dir: Path, port: int) -> None:
        settings = Settings(data_dir=data_dir, aws_endpoint=f"http://127.0.0.1:{port}")
        self.neighbours = AsyncNeighbours(settings, read_timeout=SOON)
        self.queue = MemoryInvokeQueue()
        self.told = Told()
        clock = SystemClock()
        self.pump = Pump(self.queue, ItemKind.DELIVERY, clock)
        self.consumer = DeliveryConsumer(
            Senders(self.neighbours),
            lambda *_: None,
            lambda _: None,
            clock,
            self.told,
            time_scale=0.001,
            own=OWN,
        )
        self.consumer.pump = self.pump
        self.pump.consumer = self.consumer
        self.now = clock.wall

    async def put(self, message: str = "no") -> None:
        head = Delivery(
            *("event", FUNCTION, Channel.DEAD_LETTER, QUEUE, "", "x"),
            error_code="200",
            error_message=message,
        ).pack()
        now = self.now()
        item = Item("d", ItemKind.DELIVERY, QUEUE, head, b"{}", now, now, now + 60, "node")
        await self.queue.put(item)
        self.pump.arrived(QUEUE, now)

    async def stop(self) -> None:
        self.pump.close()
        await self.consumer.stop()
        await self.pump.stop(0.0)
        await self.neighbours.close()


@pytest.fixture
def port() -> Iterator[int]:
    """One on which nobody listens, until the test does."""
    with closing(socket.socket()) as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


def play(
    tmp_path: Path, port: int, scene: Callable[[House, Sqs], Awaitable[None]], *answers: Answer
) -> None:
    async def run() -> None:
        sqs = Sqs(*answers)
        sqs.port = port
        house = House(tmp_path, port)
        try:
            await scene(house, sqs)
        finally:
            sqs.closing.set()
            await house.stop()

    uvloop.run(run())


async def listen(sqs: Sqs) -> asyncio.Server:
    return await asyncio.start_server(sqs.serve, "127.0.0.1", sqs.port, reuse_port=True)


@pytest.mark.parametrize(
    "trouble",
    [
        *(hangs, breaks_down, is_busy, hangs_up, breaks_off, talks_nonsense, is_a_proxy, dribbles),
    ],
)
def test_trouble_that_passes_delays_a_message_and_loses_none(
    trouble: Answer, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_LIMIT", 3 * SOON)  # of the whole of it, whatever comes

    async def scene(it: House, sqs: Sqs) -> None:
        server = await listen(sqs)
        await it.put()
        await until(lambda: "delivered" in it.told.heard)
        # Once more, at times: on a busy machine a healthy one may be too slow for such timeouts.
        assert it.told.heard == ["retried"] * (len(it.told.heard) - 1) + ["delivered"]
        assert not sqs.answers
        assert set(sqs.bodies) == {"{}"}
        await until(lambda: not it.queue.depths())
        server.close()

    play(tmp_path, port, scene, trouble, trouble)


def test_a_neighbour_that_is_not_there_yet_is_found_when_it_is(tmp_path: Path, port: int) -> None:
    async def scene(it: House, sqs: Sqs) -> None:
        await it.put()
        await until(lambda: it.told.heard.count("retried") == 3)
        server = await listen(sqs)
        await until(lambda: "delivered" in it.told.heard)
        assert sqs.bodies == ["{}"]
        server.close()

    play(tmp_path, port, scene)


def test_a_refusal_is_final_and_says_why(tmp_path: Path, port: int) -> None:
    async def scene(it: House, sqs: Sqs) -> None:
        server = await listen(sqs)
        await it.put()
        await until(lambda: it.told.heard == ["failed"])
        await until(
            lambda: it.queue.depths() == {(ItemKind.DELIVERY, ItemState.DEAD): 1},
        )
        found = await it.queue.find("d")
        assert found is not None
        assert "no such words" in Delivery.unpack(found.item.head).failure
        assert sqs.asked == 1
        server.close()

    play(tmp_path, port, scene, refuses)
