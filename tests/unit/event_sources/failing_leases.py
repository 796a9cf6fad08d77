"""Leases that can't be had, written or removed when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from samovar.stores.leases import Lease, MemoryLeaseStore


class Failing(MemoryLeaseStore):
    """Raises what it is told to, once each: `takes` by shard; None among the `removals` goes well.
    These wait for `held`, and say that they do; `wholes` counts writes of the lease of no shard."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: list[Exception] = []
        self.takes: dict[str, list[Exception]] = {}
        self.writes: list[Exception] = []
        self.removals: list[Exception | None] = []
        self.held: asyncio.Event | None = None
        self.holds = False
        self.wholes = 0

    async def of(self, mapping: str) -> Sequence[Lease]:
        if self.lists:
            raise self.lists.pop(0)
        return await super().of(mapping)

    async def take(self, mapping: str, shard: str, owner: str, seen: int, checkpoint: str) -> Lease:
        if self.takes.get(shard):
            raise self.takes[shard].pop(0)
        return await super().take(mapping, shard, owner, seen, checkpoint)

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        self.wholes += not lease.shard
        if self.writes and lease.shard:
            raise self.writes.pop(0)
        return await super().write(lease, checkpoint)

    async def remove(self, lease: Lease) -> None:
        if self.held is not None:
            self.holds = True
            await self.held.wait()
        error = self.removals.pop(0) if self.removals else None
        if error is not None:
            raise error
        await super().remove(lease)
