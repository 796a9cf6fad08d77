"""The door's beginning and end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from tests.api.house import House, RawClient, house, invocation, request, run, until

from samovar.doors.http.app import LambdaApp
from samovar.doors.http.server import HttpServer
from samovar.errors import SettingsError

pytestmark = pytest.mark.usefixtures("each_loop")

HEALTH = request("GET", "/_samovar/health")
SHORT = 0.05  # seconds: a grace that is meant to run out


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        other = HttpServer(LambdaApp(it.engine), host="127.0.0.1", port=it.port)
        with pytest.raises(SettingsError, match="something listens there already"):
            await other.start()
        await other.stop()

    run(tmp_path, scene)


def test_stop_lets_requests_in_progress_finish(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as busy, RawClient.to(it.port) as idle:
            await idle.send(HEALTH)
            assert (await idle.reply()).status == 200
            await busy.send(invocation("waits", b"1") + invocation("waits", b"2"))
            await it.engine.entered.acquire()
            stopping = asyncio.ensure_future(it.server.stop(grace=30))
            assert await idle.ended()
            assert not stopping.done()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", it.port)
            it.engine.gate.set()
            for event in (1, 2):
                assert (await busy.reply()).json["event"] == event
            assert await busy.ended()
            await stopping
        await it.server.stop()

    run(tmp_path, scene)


def test_stop_cuts_off_what_outlasts_the_grace(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client:
            await client.send(invocation("waits"))
            await it.engine.entered.acquire()
            await it.server.stop(grace=SHORT)
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (503, "close")
            assert await client.ended()
        assert it.engine.finished == []

    run(tmp_path, scene)


def test_stop_does_not_wait_for_half_a_request(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as headers:
            await headers.send(b"GET / HTTP/1.1\r\n")
            await until(lambda: it.server.connections == 1)
            await it.server.stop(grace=30)
            assert await headers.ended()

    run(tmp_path, scene)


def test_no_signal_handler_is_touched(tmp_path: Path) -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def scene() -> None:
        before = handlers()
        async with house(tmp_path):
            assert handlers() == before
        assert handlers() == before

    asyncio.run(scene())
