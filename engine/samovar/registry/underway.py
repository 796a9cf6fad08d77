"""Changes that are under way: each runs to its end, and those of one name one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from samovar.errors import EngineError
from samovar.registry.index import Entry, Index

T = TypeVar("T")


class UnderWay:
    """The tasks that changes run in, and a lock for each name that something is changed under.

    Every change runs in an asyncio task of its own, so that a caller that goes away (a client that
    hangs up) can't stop it between the disk and the memory.
    """

    def __init__(self, index: Index) -> None:
        self.closed = False
        self._index = index
        # One lock per name, for as long as anybody holds or awaits it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carry_out(self, change: Coroutine[Any, Any, T]) -> T:
        """Run `change` to its end, even if the caller is cancelled meanwhile."""
        if self.closed:
            change.close()
            raise EngineError("The engine is stopping and takes no more changes of functions.")
        return await asyncio.shield(self.start(change))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` in the background; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def close(self) -> None:
        """Take no more changes, and wait for those under way; idempotent."""
        self.closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    def lock(self, name: str) -> asyncio.Lock:
        """Changes of the same name happen one after another."""
        return self._locks.setdefault(name, asyncio.Lock())

    @asynccontextmanager
    async def holding(self, entry: Entry) -> AsyncIterator[None]:
        """Hold the function that a change was asked for.

        Raises AWS's 404 if it was deleted while the change waited, even if there is another one of
        its name by now: what was asked of the one must not happen to the other.
        """
        async with self.lock(entry.shown.name):
            self._index.demand_present(entry)
            yield

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has it, or has gone away
