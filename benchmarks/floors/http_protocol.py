"""The least that an HTTP server on this loop can be: httptools over a Protocol, no ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools

_HEAD = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n"


class RawHttp(asyncio.Protocol):
    """One connection; `route` gets it with each whole request and calls `reply` when it likes.

    Clients here never pipeline, so replies need no order.
    """

    def __init__(self, route: Callable[[RawHttp, bytes, bytes], object]) -> None:
        self._route = route
        self._parser: Any = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's derives from neither

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        self._route(self, self._url, self._body)

    def reply(self, body: bytes, status: int = 200, headers: bytes = b"") -> None:
        if self._transport is not None:
            self._transport.write(_HEAD % (status, headers, len(body)) + body)


async def listen(route: Callable[[RawHttp, bytes, bytes], object]) -> asyncio.Server:
    """A server on a free loopback port."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: RawHttp(route), "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
