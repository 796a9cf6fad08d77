"""The queue of asynchronous invocation in a SQLite file of its own."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samovar.stores.group_commit import QUIET, GroupCommit
from samovar.stores.invoke_queue import (
    FORMAT_VERSION,
    Claimed,
    Found,
    Item,
    ItemKind,
    ItemState,
    Lane,
)
from samovar.stores.queue_reads import QueueReads
from samovar.stores.queue_statements import (
    CLAIMED,
    NUMBER,
    UNKNOWN,
    WAITING,
    Look,
    depths,
    row_of,
)
from samovar.stores.sqlite_items import Call, SqliteItems

FILE_NAME = "queue.db"


class SqliteInvokeQueue:
    """`<data_dir>/queue.db`, readable by its owner alone: an InvokeQueue (see there).

    Apart from the registry's file, so that neither waits for the other's commits. Ids are unique
    because whoever puts items sees to it: an index that enforced it would cost every event. Of
    dead items at most `dead_size` bytes are kept; `dead_dropped` counts those that had to go.
    """

    def __init__(self, data_dir: Path, node: str, dead_size: int, *, quiet: float = QUIET) -> None:
        """`node` is the id that writes carry, `quiet` the seconds without work after which free
        space is given back to the disk."""
        self.path = data_dir / FILE_NAME
        self._node = node
        self._items = SqliteItems(self.path, node, dead_size)
        self._commits = GroupCommit("samovar-queue", self._items, quiet)
        self._reads = QueueReads(self.path)

    @property
    def dead_dropped(self) -> int:
        """How many dead items had to go since this queue was made."""
        return self._items.dead_dropped

    async def open(self) -> None:
        await self._commits.start()
        self._reads.open()

    async def close(self) -> None:
        try:
            # First: the connection that closes last puts the log away, and must be able to write.
            await self._reads.close()
        finally:
            await self._commits.close()

    def put(self, item: Item, claim_until: float | None = None) -> Future[None]:
        if claim_until is not None:
            item.attempt = 1
        return self._commits.ask(self._row(item, claim_until))

    async def claim(
        self, kind: ItemKind, lane: str, *, now: float, limit: int, until: float
    ) -> Claimed:
        call = Call(self._items.claim, (NUMBER[kind], lane, now, limit, until))
        claimed: Claimed = await self._commits.ask(call)
        return claimed

    async def extend(self, item: Item, until: float) -> bool:
        return await self._ask(self._items.extend, item.id, item.attempt, until)

    async def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> bool:
        rows = [self._row(one, None) for one in then]
        return await self._ask(self._items.complete, item.id, item.attempt, rows, dead)

    async def retry_at(self, item: Item, due: float, head: bytes) -> bool:
        return await self._ask(self._items.retry_at, item.id, item.attempt, due, head)

    async def lanes(self) -> Sequence[Lane]:
        lanes: Sequence[Lane] = await self._commits.ask(Call(self._items.lanes, ()))
        return lanes

    def depths(self) -> Mapping[tuple[ItemKind, ItemState], int]:
        return depths(self._items.counts)

    async def find(self, item_id: str) -> Found | None:
        return await self._reads.find(item_id, self._items.place(item_id))

    async def look(
        self,
        state: ItemState,
        *,
        kind: ItemKind | None = None,
        lane: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Found]:
        asked = Look(state, kind, lane, after, limit, unknown=self._items.has_unknown())
        if state is ItemState.CLAIMED:
            # Of the thread that claims: what is claimed now and still is when it is read.
            asked = asked._replace(held=await self._commits.ask(Call(self._items.held, ())))
        return await self._reads.look(asked)

    async def revive(self, item_id: str, *, now: float, expires: float, head: bytes) -> bool:
        return await self._ask(self._items.revive, item_id, now, expires, head)

    async def forget(self, item_id: str) -> bool:
        return await self._ask(self._items.forget, item_id)

    async def _ask(self, change: Any, *arguments: Any) -> bool:
        done: bool = await self._commits.ask(Call(change, arguments))
        return done

    def _row(self, item: Item, until: float | None) -> tuple[Any, ...]:
        if item.format > FORMAT_VERSION:
            return row_of(item, self._node, UNKNOWN, None)
        return row_of(item, self._node, WAITING if until is None else CLAIMED, until)
