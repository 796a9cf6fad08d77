"""A server that plays neighbours as a test says, and is called with the real clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

import uvloop

from samovar.invocation.destinations import Senders
from samovar.model.event import Channel, Delivery
from samovar.model.target import Target
from samovar.neighbours import AsyncNeighbours
from samovar.settings import Settings
from samovar.stores.invoke_queue import Item, ItemKind

FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST"
DELIVERY = Delivery("e", FUNCTION, Channel.ON_FAILURE, "", "", "EventAgeExceeded")
AMZ_JSON = "application/x-amz-json-1.0"
PATIENCE = 60.0  # seconds; only a scene that hangs takes them
SOON = 0.5  # seconds without a byte after which a neighbour is not waited for


class Asked(NamedTuple):
    """A request: the operation (of a REST service, method and path), its headers and its body."""

    operation: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    status: int
    body: bytes
    kind: str = AMZ_JSON
    etag: bool = False  # S3 has one for what it has taken
    dribbles: bool = False  # a byte now and then: no timeout of a client's ever comes


def as_json(document: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode())


Answer = Callable[[Asked], Awaitable[Reply]]


class Played:
    """Answers as `answer` says, and remembers what it was asked for."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._answer = answer
        self._server: asyncio.Server
        self._conversations: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._conversations):
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    @property
    def operations(self) -> list[str]:
        return [one.operation for one in self.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            while True:
                asked = await _request(reader, writer)
                self.asked.append(asked)
                reply = await self._answer(asked)
                if reply.dribbles:
                    await _dribble(writer)
                head = f"HTTP/1.1 {reply.status} So\r\nContent-Type: {reply.kind}\r\n"
                head += 'ETag: "e"\r\n' if reply.etag else ""
                head += f"Content-Length: {len(reply.body)}\r\n\r\n"
                writer.write(head.encode() + reply.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._conversations.discard(task)
            writer.close()


async def _dribble(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(SOON / 10)


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "expect" in headers:  # S3's clients wait for it
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if not operation and body.startswith(b"Action="):
        operation = parse_qs(body.decode())["Action"][0]
    return Asked(operation or first.removesuffix(" HTTP/1.1"), headers, body)


class Street:
    """What sends deliveries, with all its neighbours at one server."""

    def __init__(self, played: Played, data_dir: Path, endpoints: dict[str, str]) -> None:
        self.played = played
        settings = Settings(data_dir=data_dir, aws_endpoint=played.url, endpoints=endpoints)
        self.neighbours = AsyncNeighbours(settings, read_timeout=SOON)
        self.senders = Senders(self.neighbours)

    async def send(self, target: str, body: bytes = b"{}", **given: Any) -> None:
        """One delivery, once."""
        item = Item("id-1", ItemKind.DELIVERY, target, b"", body, 0.0, 0.0, 1.0, "n")
        delivery = replace(DELIVERY, target=target, **given)
        await self.senders.send(item, delivery, Target.parse(target))


def on_a_street(
    answer: Answer,
    data_dir: Path,
    scene: Callable[[Street], Awaitable[None]],
    *named: str,
) -> None:
    """Play `scene`; the services `named` are named for themselves, too."""

    async def run() -> None:
        async with Played(answer) as played:
            street = Street(played, data_dir, dict.fromkeys(named, played.url))
            try:
                async with asyncio.timeout(PATIENCE):
                    await scene(street)
            finally:
                await street.neighbours.close()

    uvloop.run(run())
