"""Leases that are opened when they are first needed, and again after they failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from samovar.errors import EngineError
from samovar.stores.leases import Lease, LeaseStore

T = TypeVar("T")


class ReopenedLeases:
    """A LeaseStore on another one. What fails there fails here, once: the next call finds the store
    closed and opened anew, whatever had broken down.

    The first time leases of mappings that are no more are deleted: an engine may have died between
    the removal of a mapping and that of its leases.
    """

    def __init__(self, store: LeaseStore, mappings: Callable[[], Collection[str]]) -> None:
        """`mappings` are the UUIDs of all that there are when it is called."""
        self._store = store
        self._mappings = mappings
        self._opening = asyncio.Lock()
        self._well = False
        self._begun = False  # the store may hold files and a thread
        self._tidied = False
        self._closed = False

    async def open(self) -> None:
        """Not needed: whatever is asked for opens. Raises EngineError."""
        self._closed = False
        await self._ready()

    async def close(self) -> None:
        async with self._opening:
            self._closed = True
            await self._let_go()

    async def of(self, mapping: str) -> Sequence[Lease]:
        return await self._ask(lambda: self._store.of(mapping))

    async def take(self, mapping: str, shard: str, owner: str, seen: int, checkpoint: str) -> Lease:
        return await self._ask(lambda: self._store.take(mapping, shard, owner, seen, checkpoint))

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        return await self._ask(lambda: self._store.write(lease, checkpoint))

    async def remove(self, lease: Lease) -> None:
        await self._ask(lambda: self._store.remove(lease))

    async def forget(self, mapping: str) -> None:
        await self._ask(lambda: self._store.forget(mapping))

    async def keep_only(self, mappings: Collection[str]) -> None:
        await self._ask(lambda: self._store.keep_only(mappings))

    def exists(self) -> bool:
        return self._store.exists()

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        await self._ready()
        try:
            return await call()
        except EngineError:
            self._well = False
            raise

    async def _ready(self) -> None:
        if self._well:
            return
        async with self._opening:
            if self._closed:
                raise EngineError("the leases are not open")
            if self._well:
                return
            await self._let_go()  # what others have asked for is carried out
            self._begun = True
            await self._store.open()
            if not self._tidied:
                await self._store.keep_only(self._mappings())
                self._tidied = True
            self._well = True

    async def _let_go(self) -> None:
        self._well = False
        if self._begun:
            await self._store.close()
            self._begun = False
