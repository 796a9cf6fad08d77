"""Group commit: what is asked for while a transaction is made durable shares the next one.

A disk makes some thousand commits durable a second, however much is in each. So nobody's change
waits for a commit of its own: all that came since the last one began go into one together.
"""

from __future__ import annotations

import asyncio
import sqlite3
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from samovar.errors import EngineError
from samovar.stores.databases import transaction
from samovar.stores.faults import told

Call = Callable[[sqlite3.Connection], Any]
Then = Callable[[Any], None]


class _Asked(NamedTuple):
    call: Call
    future: Future[Any]
    then: Then | None


class GroupCommit:
    """One thread that owns a connection, and whoever wants something of it. For one loop.

    Calls are carried out in the order in which they were asked for. One that fails takes nothing
    with it: where a group can't be made durable, each of its calls is tried by itself.
    """

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: list[_Asked] = []
        self._busy = False
        self._idle: Future[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    async def open(self) -> None:
        """Raises EngineError."""
        if self._thread is not None:
            raise RuntimeError("already open")
        self._loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="samovar-queue")
        try:
            self._connection = await self._loop.run_in_executor(thread, self._connect)
        except BaseException:
            thread.shutdown(wait=True)
            raise
        self._thread = thread

    async def close(self) -> None:
        """Carry out what was asked for, then let go of everything; idempotent."""
        thread, connection, loop = self._thread, self._connection, self._loop
        if thread is None or connection is None or loop is None:
            return
        if self._busy:
            if self._idle is None:
                self._idle = loop.create_future()
            await asyncio.shield(self._idle)
        self._thread = self._connection = None
        try:
            await loop.run_in_executor(thread, connection.close)
        finally:
            thread.shutdown(wait=True)

    def ask(self, call: Call, then: Then | None = None) -> Future[Any]:
        """Run `call` in the next transaction; the future has what it returns once that is durable,
        or EngineError. `then` is told of it on the loop, just before. Cancelling the future stops
        nothing of this. `call` may be run twice, the first time in vain."""
        loop = self._loop
        if self._thread is None or loop is None:
            raise EngineError("the queue is not open")
        future: Future[Any] = loop.create_future()
        self._asked.append(_Asked(call, future, then))
        if not self._busy:
            self._busy = True
            # Behind what the loop has at hand: whoever else asks in this turn comes along.
            loop.call_soon(self._begin)
        return future

    def _begin(self) -> None:
        assert self._thread is not None
        group, self._asked = self._asked, []
        self._thread.submit(self._carry_out, group)

    def _carried_out(self, group: list[_Asked], results: list[Any]) -> None:
        for (_, future, then), result in zip(group, results, strict=True):
            failed = isinstance(result, BaseException)
            if then is not None and not failed:
                then(result)
            if future.done():  # cancelled: nobody waits any more
                continue
            if failed:
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._asked:
            self._begin()
            return
        self._busy = False
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    # On the thread.

    def _carry_out(self, group: list[_Asked]) -> None:
        try:
            results = self._together([asked.call for asked in group])
        except BaseException as error:
            results = [error] if len(group) == 1 else [self._alone(asked.call) for asked in group]
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._carried_out, group, results)

    def _together(self, calls: list[Call]) -> list[Any]:
        assert self._connection is not None
        with told(self._path), transaction(self._connection):
            return [call(self._connection) for call in calls]

    def _alone(self, call: Call) -> Any:
        try:
            return self._together([call])[0]
        except BaseException as error:
            return error
