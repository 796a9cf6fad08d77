"""The bare loop: HTTP, pipes and forked workers, nothing between them; and its embedded half."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from benchmarks.floors.dispatch import Dispatcher
from benchmarks.floors.http_protocol import RawHttp, listen, port_of
from benchmarks.functions import handlers
from benchmarks.subject import Subject, drive


class BareLoop(Subject):
    """Raw httptools protocol -> pipe -> json.loads, no-op, json.dumps -> pipe -> reply."""

    def __init__(self, workers: int) -> None:
        self._dispatcher = Dispatcher(handlers.noop, workers)
        self._server: asyncio.Server | None = None

    async def start(self) -> dict[str, Any]:
        self._dispatcher.attach(asyncio.get_running_loop())
        self._server = await listen(self._route)
        return {"port": port_of(self._server)}

    def _route(self, connection: RawHttp, url: bytes, body: bytes) -> None:
        self._dispatcher.submit(body, connection.reply)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._dispatcher.close(asyncio.get_running_loop())


class EmbeddedLoop(Subject):
    """The same without HTTP: one future per call."""

    def __init__(self, workers: int) -> None:
        self._dispatcher = Dispatcher(handlers.noop, workers)

    async def start(self) -> dict[str, Any]:
        self._dispatcher.attach(asyncio.get_running_loop())
        return {}

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"calls": self.calls}

    async def calls(self, payload: str, count: int, in_flight: int) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        submit = self._dispatcher.submit

        def call(event: bytes) -> asyncio.Future[bytes]:
            future: asyncio.Future[bytes] = loop.create_future()
            submit(event, future.set_result)
            return future

        return await drive(call, payload, count, in_flight)

    async def stop(self) -> None:
        self._dispatcher.close(asyncio.get_running_loop())
