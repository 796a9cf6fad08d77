"""The queue of asynchronous invocation in one SQLite file: the default of a single machine.

What an item costs is kept low where it costs most, on its way in: a row at the end of a table, and
no index. Only an item that has to wait enters one; the claims, of which there are few, stand in
memory besides. People who look for an item by its id wait for a scan.
"""

from __future__ import annotations

import logging
import sqlite3
from asyncio import Future
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from samovar.stores import queue_statements as sql
from samovar.stores.databases import open_database
from samovar.stores.faults import told
from samovar.stores.group_commit import GroupCommit
from samovar.stores.invoke_queue import (
    FORMAT_VERSION,
    Claimed,
    Found,
    Item,
    ItemKind,
    ItemState,
    Lane,
)

_log = logging.getLogger(__name__)

FILE_NAME = "queue.db"


@dataclass(slots=True)
class _Claim:
    """A claim that is held. Only the loop's thread looks at it."""

    sequence: int
    kind: ItemKind
    attempt: int
    until: float


class SqliteInvokeQueue:
    """`<data_dir>/queue.db`, readable by its owner alone. For one loop.

    `node` is the id of this node; `dead_size` is how many bytes of dead items are kept, of which
    the oldest go first.
    """

    def __init__(self, data_dir: Path, node: str, dead_size: int) -> None:
        self.path = data_dir / FILE_NAME
        self._node = node
        self._dead_size = dead_size
        self._commits = GroupCommit(self.path, self._connect)
        self._sequences = count(1)
        self._claims: dict[str, _Claim] = {}
        self._first_end = inf  # before this time none of the claims runs out
        self._depths: Counter[tuple[ItemKind, ItemState]] = Counter()
        self._dead_bytes = 0
        self._removed = 0  # since the disk was last given something back

    async def open(self) -> None:
        await self._commits.open()
        start = await self._commits.ask(self._begin)
        self._sequences = count(start.sequence + 1)
        self._depths = start.depths
        self._dead_bytes = start.dead_bytes
        self._claims = start.claims
        self._first_end = min((claim.until for claim in start.claims.values()), default=inf)
        if start.strange:
            _log.error(
                "%s has %d items of a later format than this Samovar knows: they wait for one that "
                "knows it",
                *(self.path, start.strange),
            )

    async def close(self) -> None:
        await self._commits.close()

    def put(self, item: Item, claim_until: float | None = None) -> Future[None]:
        state = ItemState.WAITING
        if claim_until is not None:
            item.attempt = 1
            state = ItemState.CLAIMED
        sequence = next(self._sequences)
        insert = _insertion(item, sequence, state, claim_until)
        key = (item.kind, state)

        def then(_: None) -> None:
            self._depths[key] += 1
            if claim_until is not None:
                self._hold(item.id, _Claim(sequence, item.kind, 1, claim_until))

        return self._commits.ask(insert, then)

    async def claim(
        self, kind: ItemKind, lane: str, *, now: float, limit: int, until: float
    ) -> Claimed:
        over = self._ran_out(now) if now >= self._first_end else []

        def claim(database: sqlite3.Connection) -> tuple[list[int], list[tuple[Any, ...]], Any]:
            given_up = []
            for sequence, attempt in over:
                changed = database.execute(sql.GIVE_UP, (sequence, attempt)).rowcount
                given_up += [sequence] * changed
            rows = database.execute(sql.DUE, (kind, lane, FORMAT_VERSION, now, limit)).fetchall()
            database.executemany(sql.CLAIM, [(self._node, until, row[0]) for row in rows])
            return (
                given_up,
                rows,
                database.execute(sql.NEXT, (kind, lane, FORMAT_VERSION)).fetchone(),
            )

        def then(result: tuple[list[int], list[tuple[Any, ...]], Any]) -> None:
            given_up, rows, _ = result
            self._let_go(frozenset(given_up))
            self._moved(kind, ItemState.WAITING, ItemState.CLAIMED, len(rows))
            for sequence, item_id, *rest in rows:
                self._hold(item_id, _Claim(sequence, kind, rest[sql.ATTEMPT] + 1, until))

        _, rows, next_due = await self._commits.ask(claim, then)
        items = [_item(row[1:]) for row in rows]
        for item in items:
            item.attempt += 1
            item.node = self._node
        return Claimed(items, next_due and next_due[0])

    async def extend(self, item: Item, until: float) -> bool:
        claim = self._held(item)
        if claim is None:
            return False

        def extend(database: sqlite3.Connection) -> bool:
            given = (until, claim.sequence, claim.attempt)
            return database.execute(sql.EXTEND, given).rowcount == 1

        def then(extended: bool) -> None:
            if extended:
                claim.until = until
                self._first_end = min(self._first_end, until)

        extended: bool = await self._commits.ask(extend, then)
        return extended

    async def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> bool:
        claim = self._held(item)
        if claim is None:
            return False
        puts = [_insertion(one, next(self._sequences), ItemState.WAITING, None) for one in then]

        def complete(database: sqlite3.Connection) -> tuple[bool, int]:
            given = (claim.sequence, claim.attempt)
            if dead is None:
                if database.execute(sql.REMOVE, given).rowcount != 1:
                    return False, 0
                database.execute(sql.REMOVE_BODY, (claim.sequence,))
                size = 0
            else:
                if database.execute(sql.BURY, (dead, *given)).rowcount != 1:
                    return False, 0
                (size,) = database.execute(sql.SIZE_OF, (claim.sequence,)).fetchone()
            for put in puts:
                put(database)
            return True, size

        def completed(result: tuple[bool, int]) -> None:
            done, size = result
            if not done:
                return
            self._release(item.id, claim)
            for one in then:
                self._depths[one.kind, ItemState.WAITING] += 1
            self._depths[claim.kind, ItemState.CLAIMED] -= 1
            if dead is not None:
                self._depths[claim.kind, ItemState.DEAD] += 1
                self._dead_bytes += size
                self._bound_the_dead()
            else:
                self._give_back()

        done, _ = await self._commits.ask(complete, completed)
        return bool(done)

    async def retry_at(self, item: Item, due: float, head: bytes) -> bool:
        claim = self._held(item)
        if claim is None:
            return False

        def put_off(database: sqlite3.Connection) -> bool:
            given = (due, head, claim.sequence, claim.attempt)
            return database.execute(sql.PUT_OFF, given).rowcount == 1

        def then(done: bool) -> None:
            if done:
                self._release(item.id, claim)
                self._moved(claim.kind, ItemState.CLAIMED, ItemState.WAITING)

        done: bool = await self._commits.ask(put_off, then)
        return done

    async def lanes(self) -> Sequence[Lane]:
        rows = await self._commits.ask(lambda database: database.execute(sql.LANES).fetchall())
        return [Lane(ItemKind(kind), *rest) for kind, *rest in rows]

    def depths(self) -> Mapping[tuple[ItemKind, ItemState], int]:
        return {key: depth for key, depth in self._depths.items() if depth}

    async def find(self, item_id: str) -> Found | None:
        row = await self._commits.ask(
            lambda database: database.execute(sql.BY_ID, (item_id,)).fetchone()
        )
        return None if row is None else Found(_item(row[1:]), ItemState(row[0]))

    async def look(
        self, state: ItemState, *, lane: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[Found]:
        def look(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
            behind = database.execute(sql.SEQUENCE_OF, (after,)).fetchone() if after else None
            given = {
                "after": behind[0] if behind else 0,
                "lane": lane,
                "limit": limit,
                "state": state,
            }
            return database.execute(sql.LOOK[state], given).fetchall()

        rows = await self._commits.ask(look)
        return [Found(_item(row), state) for row in rows]

    async def revive(self, item_id: str, *, now: float, expires: float, head: bytes) -> bool:
        def revive(database: sqlite3.Connection) -> tuple[str, int] | None:
            found = database.execute(sql.DEAD, (item_id,)).fetchone()
            if found is None:
                return None
            sequence, kind, size = found
            database.execute(sql.REVIVE, (now, now, expires, head, sequence))
            return kind, size

        def then(revived: tuple[str, int] | None) -> None:
            if revived is not None:
                self._moved(ItemKind(revived[0]), ItemState.DEAD, ItemState.WAITING)
                self._dead_bytes -= revived[1]

        return await self._commits.ask(revive, then) is not None

    async def forget(self, item_id: str) -> bool:
        def forget(database: sqlite3.Connection) -> list[tuple[str, int]]:
            found = database.execute(sql.DEAD, (item_id,)).fetchone()
            return [] if found is None else [_delete(database, *found)]

        return bool(await self._commits.ask(forget, self._forgotten))

    # -- what is known in memory

    def _hold(self, item_id: str, claim: _Claim) -> None:
        self._claims[item_id] = claim
        self._first_end = min(self._first_end, claim.until)

    def _held(self, item: Item) -> _Claim | None:
        claim = self._claims.get(item.id)
        return claim if claim is not None and claim.attempt == item.attempt else None

    def _release(self, item_id: str, claim: _Claim) -> None:
        if self._claims.get(item_id) is claim:
            del self._claims[item_id]

    def _ran_out(self, now: float) -> list[tuple[int, int]]:
        over = [claim for claim in self._claims.values() if claim.until <= now]
        ends = (claim.until for claim in self._claims.values() if claim.until > now)
        self._first_end = min(ends, default=inf)
        return [(claim.sequence, claim.attempt) for claim in over]

    def _let_go(self, sequences: frozenset[int]) -> None:
        if not sequences:
            return
        for item_id, claim in list(self._claims.items()):
            if claim.sequence in sequences:
                del self._claims[item_id]
                self._moved(claim.kind, ItemState.CLAIMED, ItemState.WAITING)

    def _moved(self, kind: ItemKind, old: ItemState, new: ItemState, number: int = 1) -> None:
        self._depths[kind, old] -= number
        self._depths[kind, new] += number

    def _bound_the_dead(self) -> None:
        """Have the oldest dead items deleted that there is no place for."""
        over = self._dead_bytes - self._dead_size
        if over <= 0:
            return

        def delete(database: sqlite3.Connection) -> list[tuple[str, int]]:
            gone: list[tuple[str, int]] = []
            for row in database.execute(sql.OLDEST_DEAD).fetchall():
                if sum(size for _, size in gone) >= over:
                    break
                gone.append(_delete(database, *row))
            return gone

        def then(gone: list[tuple[str, int]]) -> None:
            _log.warning("%d dead items were deleted to keep within dead_events_size", len(gone))
            self._forgotten(gone)

        self._commits.ask(delete, then).add_done_callback(_say)

    def _forgotten(self, gone: list[tuple[str, int]]) -> None:
        for kind, size in gone:
            self._depths[ItemKind(kind), ItemState.DEAD] -= 1
            self._dead_bytes -= size
        self._removed += len(gone)

    def _give_back(self) -> None:
        """Once everything is worked off, give the disk back what the backlog took."""
        self._removed += 1
        if self._removed < sql.FREED or self._claims:
            return
        if any(self._depths[kind, ItemState.WAITING] for kind in ItemKind):
            return
        self._removed = 0
        self._commits.ask(_vacuum, self._vacuumed).add_done_callback(_say)

    def _vacuumed(self, left: int) -> None:
        if left and not self._claims:
            self._commits.ask(_vacuum, self._vacuumed).add_done_callback(_say)

    # -- on the thread

    def _connect(self) -> sqlite3.Connection:
        with told(self.path):
            return open_database(self.path, sql.SCHEMA_VERSION, sql.STEPS, *sql.PRAGMAS)

    def _begin(self, database: sqlite3.Connection) -> _Start:
        """What this node had claimed waits again: whoever had it in hand is no more."""
        database.execute(sql.TAKE_BACK, (self._node,))
        claims = {
            item_id: _Claim(sequence, ItemKind(kind), attempt, until)
            for item_id, sequence, kind, attempt, until in database.execute(sql.OTHERS_CLAIMS)
        }
        depths: Counter[tuple[ItemKind, ItemState]] = Counter()
        for kind, state, number in database.execute(sql.DEPTHS):
            depths[ItemKind(kind), ItemState(state)] = number
        (sequence,) = database.execute("SELECT max(sequence) FROM items").fetchone()
        (dead_bytes,) = database.execute(sql.DEAD_BYTES).fetchone()
        (strange,) = database.execute(sql.STRANGE, (FORMAT_VERSION,)).fetchone()
        return _Start(sequence or 0, depths, dead_bytes or 0, claims, strange)


class _Start(NamedTuple):
    """What is in the database as it is opened."""

    sequence: int
    depths: Counter[tuple[ItemKind, ItemState]]
    dead_bytes: int
    claims: dict[str, _Claim]
    strange: int


def _insertion(
    item: Item, sequence: int, state: ItemState, until: float | None
) -> Callable[[sqlite3.Connection], None]:
    inline = len(item.body) <= sql.INLINE
    row = (
        *(sequence, item.id, item.kind.value, item.lane, state.value, item.attempt, item.node),
        *(item.format, item.accepted, item.due, item.expires, until, item.head),
        item.body if inline else None,
    )
    body = b"" if inline else item.body

    def insert(database: sqlite3.Connection) -> None:
        database.execute(sql.PUT, row)
        if body:
            database.execute(sql.PUT_BODY, (sequence, body))

    return insert


def _item(row: tuple[Any, ...]) -> Item:
    item_id, kind, *rest = row
    return Item(item_id, ItemKind(kind), *rest)


def _delete(database: sqlite3.Connection, sequence: int, kind: str, size: int) -> tuple[str, int]:
    database.execute("DELETE FROM items WHERE sequence = ?", (sequence,))
    database.execute(sql.REMOVE_BODY, (sequence,))
    return kind, size


def _vacuum(database: sqlite3.Connection) -> int:
    database.execute(f"PRAGMA incremental_vacuum({sql.FREED})").fetchall()
    (left,) = database.execute("PRAGMA freelist_count").fetchone()
    return int(left)


def _say(future: Future[Any]) -> None:
    """What nobody waits for has failed: it is tried again with the next of its kind."""
    if not future.cancelled() and (error := future.exception()) is not None:
        _log.warning("the queue could not be tidied up: %s", error)
