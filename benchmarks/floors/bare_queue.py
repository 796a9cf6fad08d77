"""What durable acceptance can't do without: one table, one thread, one COMMIT for all that waits.

SQLite with a WAL and synchronous=FULL, as the engine's queue has it. Whoever puts a row waits for
the commit; what is put while one runs shares the next. No indexes but the row's number, no
states, no limits; HTTP, where it is asked for, is the bare loop's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import struct
import tempfile
import time
from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from benchmarks.event import EVENT_BYTES
from benchmarks.floors.http_protocol import RawHttp, listen, port_of
from benchmarks.subject import Subject, sorted_out

_Row = tuple[str, bytes]
_Group = tuple[list[_Row], list[Future[None]]]
_STAMP = struct.Struct("q")


class BareQueue(Subject):
    """Puts rows; for `starts` it tells a forked process of each, which says when it heard of it."""

    def __init__(self) -> None:
        self._to_worker, self._from_worker = _fork()
        self._directory = Path(tempfile.mkdtemp(prefix="bare-queue-"))
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._rows: list[_Row] = []
        self._futures: list[Future[None]] = []
        self._busy = False
        self._number = 0

    async def start(self) -> dict[str, Any]:
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._write)
        self._thread.start()
        self._server = await listen(self._route)
        return {"port": port_of(self._server)}

    def _route(self, connection: RawHttp, url: bytes, body: bytes) -> None:
        self._put(body).add_done_callback(lambda _: connection.reply(body))

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"puts": self.puts, "starts": self.starts}

    async def puts(self, seconds: float, in_flight: int) -> dict[str, Any]:
        """Put one row after the other for a time, `in_flight` at once."""
        clock = time.perf_counter
        started = clock()
        latencies: list[float] = []

        async def putter() -> None:
            while (before := clock()) < started + seconds:
                await self._put()
                latencies.append(clock() - before)

        await asyncio.gather(*(putter() for _ in range(in_flight)))
        return sorted_out(latencies, clock() - started)

    async def starts(self, count: int, rest: float) -> dict[str, Any]:
        """From the wish to put a row until another process has heard that it is durable."""
        heard: asyncio.Queue[int] = asyncio.Queue()
        self._loop.add_reader(
            self._from_worker,
            lambda: heard.put_nowait(_STAMP.unpack(os.read(self._from_worker, _STAMP.size))[0]),
        )
        latencies = []
        started = time.monotonic_ns()
        for _ in range(count):
            before = time.monotonic_ns()
            await self._put()
            os.write(self._to_worker, b"x")
            latencies.append(await heard.get() - before)
            await asyncio.sleep(rest)
        self._loop.remove_reader(self._from_worker)
        return {"elapsed": (time.monotonic_ns() - started) / 1e9, "latencies": latencies}

    def _put(self, body: bytes = EVENT_BYTES) -> Future[None]:
        future: Future[None] = self._loop.create_future()
        self._number += 1
        self._rows.append((f"7f0d3f54-0d5c-4a9e-9f3c-{self._number:012d}", body))
        self._futures.append(future)
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._begin)
        return future

    def _begin(self) -> None:
        if self._rows:
            self._groups.put((self._rows, self._futures))
            self._rows, self._futures = [], []
        else:
            self._busy = False

    def _durable(self, futures: list[Future[None]]) -> None:
        self._begin()
        for future in futures:
            future.set_result(None)

    def _write(self) -> None:
        database = sqlite3.connect(self._directory / "queue.db", isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE items (seq INTEGER PRIMARY KEY, id TEXT, body BLOB)")
        while (group := self._groups.get()) is not None:
            rows, futures = group
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO items (id, body) VALUES (?, ?)", rows)
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._durable, futures)
        database.close()

    async def stop(self) -> None:
        self._server.close()
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._to_worker)
        os.close(self._from_worker)
        shutil.rmtree(self._directory)


def _fork() -> tuple[int, int]:
    """A process that answers each byte with the time, until there are no more; its two pipes."""
    asked, to_worker = os.pipe()
    from_worker, answers = os.pipe()
    if os.fork() == 0:
        os.close(to_worker)
        while os.read(asked, 1):
            os.write(answers, _STAMP.pack(time.monotonic_ns()))
        os._exit(0)
    os.close(asked)
    os.close(answers)
    return to_worker, from_worker
