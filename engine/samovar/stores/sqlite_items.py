"""The queue's changes: everything here runs in the one thread that owns the connection."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from samovar.errors import EngineError
from samovar.stores.databases import open_database, transaction
from samovar.stores.faults import told
from samovar.stores.invoke_queue import FORMAT_VERSION, Claimed, Lane
from samovar.stores.queue_statements import (
    CHECKPOINT,
    CLAIM,
    CLAIMED,
    DEAD,
    EXHUME,
    INLINE,
    KEPT_FREE,
    KINDS,
    LONGEST_RUN,
    NEVER,
    NEXT,
    READING,
    SCHEMA,
    SCHEMA_VERSION,
    STATES,
    STEP,
    UNKNOWN,
    WAITING,
    at,
    insert,
    item_of,
    lanes,
    listed,
)

_log = logging.getLogger(__name__)

_DELETE = "DELETE FROM items WHERE seq IN (SELECT value FROM json_each(?))"
_DELETE_BODIES = "DELETE FROM bodies WHERE seq IN (SELECT value FROM json_each(?))"


class _Held(NamedTuple):
    """A claim. One of this very node never runs out: the row's time is for others to read."""

    seq: int
    attempt: int
    until: float
    kind: int
    large: bool
    size: int


class Call(NamedTuple):
    """A request that is not a put: a method of SqliteItems and what it is called with."""

    change: Callable[..., Any]
    arguments: tuple[Any, ...]


class SqliteItems:
    """The table of items, and what is known of it in memory: who holds what, and how many there
    are. Memory is what a claim is judged by: no other process has the data directory.

    A request is a row (it is put) or a Call. Rows that are put and seqs that are deleted are
    gathered and written in runs, before anything looks at the table and at the end of a group.
    """

    def __init__(self, path: Path, node: str, dead_size: int) -> None:
        self.path = path
        self.counts: tuple[int, ...] = (0,) * (len(KINDS) * len(STATES))  # as committed
        self.dead_dropped = 0
        self._node = node
        self._dead_size = dead_size
        self._connection: sqlite3.Connection | None = None
        self._next = 1
        self._held: dict[str, _Held] = {}
        self._earliest = 0.0  # no claim runs out before
        self._told_unknown = False
        self._vacuumed = False
        # Of the group that is being carried out.
        self._before: list[tuple[str, _Held | None]] = []
        self._counts = list(self.counts)
        self._dead_bytes = self._dead_bytes_before = 0
        self._dropped = 0
        self._rows: list[Any] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._gone: list[int] = []
        self._gone_bodies: list[int] = []

    # -- part of `Writer`

    def open(self) -> None:
        """Make ready: give back what this node had claimed, and count."""
        # So that a file can give its disk back; to be said before there is a table.
        pragmas = ("auto_vacuum = INCREMENTAL",)
        with told(self.path):
            database = open_database(self.path, SCHEMA_VERSION, {0: SCHEMA}, *pragmas)
            self._connection = database
            # Longer than SQLite's 1000 pages: rows that come and go within it are written once.
            database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            database.execute(f"PRAGMA journal_size_limit = {CHECKPOINT * 4096}")
            with transaction(database):
                self._give_back(database)
            self._count(database)

    def carry_out(self, requests: Sequence[Any]) -> Sequence[Any]:
        """All together; if that fails each by itself, so that only what is to blame fails."""
        try:
            return self._commit(requests)
        except Exception as error:
            if len(requests) == 1:
                return [error]
        return [self.carry_out([request])[0] for request in requests]

    def tidy(self) -> float | None:
        """Give free pages back to the disk, a few at a time. In how many seconds there is more."""
        try:
            (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
            if free > KEPT_FREE:
                self._database.execute(f"PRAGMA incremental_vacuum({STEP})").fetchall()
                self._vacuumed = True
                return 0.0
            if self._vacuumed:  # the file is as long as ever until this is written back
                if not self._write_back():
                    return READING
                self._vacuumed = False
        except sqlite3.Error as error:
            _log.warning("free pages of %s can't be given back: %s", self.path, error)
        return None

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                _log.warning("%s was not closed well: %s", self.path, error)
            self._connection = None

    # -- asked from the loop's thread

    def place(self, item_id: str) -> int | None:
        """The seq of an item that is claimed. Only a hint: its claim may not be committed."""
        held = self._held.get(item_id)
        return None if held is None else held.seq

    def has_unknown(self) -> bool:
        """Whether items of a format of the future are there."""
        return any(self.counts[at(kind, UNKNOWN)] for kind in range(len(KINDS)))

    # -- requests

    def claim(self, kind: int, lane: str, now: float, limit: int, until: float) -> Claimed:
        """See `InvokeQueue.claim`."""
        self._flush()
        if self._earliest <= now:
            self._end_claims(now)
        rows = self._database.execute(CLAIM, (kind, lane, now, limit)).fetchall()
        if rows:
            self._database.execute(
                "UPDATE items SET state = 1, attempt = attempt + 1, node = ?, until = ?"
                " WHERE seq IN (SELECT value FROM json_each(?))",
                (self._node, until, listed(row[0] for row in rows)),
            )
            self._counts[at(kind, WAITING)] -= len(rows)
            self._counts[at(kind, CLAIMED)] += len(rows)
        items = []
        for row in rows:
            item = item_of(row)
            item.attempt += 1
            item.node = self._node
            size = len(item.body)
            self._hold(item.id, _Held(row[0], item.attempt, NEVER, kind, size > INLINE, size))
            items.append(item)
        following = self._database.execute(NEXT, (kind, lane)).fetchone()
        return Claimed(items, following and following[0])

    def extend(self, item_id: str, attempt: int, until: float) -> bool:
        """See `InvokeQueue.extend`."""
        held = self._held_as(item_id, attempt)
        if held is None:
            return False
        self._flush()
        self._database.execute("UPDATE items SET until = ? WHERE seq = ?", (until, held.seq))
        return True

    def complete(
        self, item_id: str, attempt: int, then: Sequence[tuple[Any, ...]], dead: bytes | None
    ) -> bool:
        """See `InvokeQueue.complete`; `then` are rows."""
        held = self._held_as(item_id, attempt)
        if held is None:
            return False
        self._let_go(item_id)
        self._counts[at(held.kind, CLAIMED)] -= 1
        if dead is None:
            self._delete(held.seq, held.large)
        else:
            self._flush()
            self._database.execute(
                "UPDATE items SET state = 2, head = ?, node = ?, until = NULL WHERE seq = ?",
                (dead, self._node, held.seq),
            )
            self._counts[at(held.kind, DEAD)] += 1
            self._dead_bytes += held.size + len(dead)
            self._bury()
        for row in then:
            self._put(row)
        return True

    def retry_at(self, item_id: str, attempt: int, due: float, head: bytes) -> bool:
        """See `InvokeQueue.retry_at`."""
        held = self._held_as(item_id, attempt)
        if held is None:
            return False
        self._flush()
        self._database.execute(
            "UPDATE items SET state = 0, due = ?, head = ?, node = ?, until = NULL WHERE seq = ?",
            (due, head, self._node, held.seq),
        )
        self._let_go(item_id)
        self._counts[at(held.kind, CLAIMED)] -= 1
        self._counts[at(held.kind, WAITING)] += 1
        return True

    def lanes(self) -> Sequence[Lane]:
        """See `InvokeQueue.lanes`."""
        self._flush()
        return lanes(self._database)

    def held(self) -> Sequence[int]:
        """The seqs of what is claimed."""
        return [held.seq for held in self._held.values()]

    def revive(self, item_id: str, now: float, expires: float, head: bytes) -> bool:
        """See `InvokeQueue.revive`."""
        found = self._exhume(item_id)
        if found is None:
            return False
        seq, kind, format_ = found
        state = WAITING if format_ <= FORMAT_VERSION else UNKNOWN
        self._database.execute(
            "UPDATE items SET state = ?, accepted = ?, due = ?, expires = ?, head = ?, node = ?"
            " WHERE seq = ?",
            (state, now, now, expires, head, self._node, seq),
        )
        self._counts[at(kind, state)] += 1
        return True

    def forget(self, item_id: str) -> bool:
        """See `InvokeQueue.forget`."""
        found = self._exhume(item_id)
        if found is None:
            return False
        self._delete(found[0], True)
        return True

    # -- a group

    def _commit(self, requests: Sequence[Any]) -> Sequence[Any]:
        try:
            with told(self.path):
                if all(type(request) is tuple for request in requests):
                    results = self._insert(requests)
                else:
                    with transaction(self._database):
                        results = self._change(requests)
        except BaseException:
            for item_id, held in reversed(self._before):
                if held is None:
                    self._held.pop(item_id, None)
                else:
                    self._held[item_id] = held
            self._earliest = 0.0  # to be looked for again
            self._counts = list(self.counts)
            self._dead_bytes = self._dead_bytes_before
            self._dropped = 0
            for gathered in (self._before, self._rows, self._bodies, self._gone, self._gone_bodies):
                gathered.clear()
            raise
        self._before.clear()
        self.counts = tuple(self._counts)
        self._dead_bytes_before = self._dead_bytes
        if self._dropped:
            _log.warning(
                "%d given up before were deleted: what is kept of them would be more than "
                "dead_events_size=%d bytes",
                *(self._dropped, self._dead_size),
            )
            self.dead_dropped += self._dropped
            self._dropped = 0
        return results

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[None]:
        """Put all there is: often one statement, which is then a transaction by itself."""
        for row in rows:
            self._put(row)
        if len(rows) <= LONGEST_RUN and not self._bodies:
            self._flush()
        else:
            with transaction(self._database):
                self._flush()
        return [None] * len(rows)

    def _change(self, requests: Sequence[Any]) -> Sequence[Any]:
        put = self._put
        results = [
            put(request) if type(request) is tuple else request.change(*request.arguments)
            for request in requests
        ]
        self._flush()
        return results

    def _put(self, row: tuple[Any, ...]) -> None:
        seq = self._next
        self._next = seq + 1
        item_id, kind, _, state, attempt = row[:5]
        size = row[-3]
        self._rows.append(seq)
        if size > INLINE:
            self._bodies.append((seq, row[-1]))
            row = (*row[:-1], None)
        self._rows += row
        if state == CLAIMED:
            self._hold(item_id, _Held(seq, attempt, NEVER, kind, size > INLINE, size))
        elif state == UNKNOWN:
            self._tell_unknown()
        self._counts[at(kind, state)] += 1

    def _delete(self, seq: int, large: bool) -> None:
        self._gone.append(seq)
        if large:
            self._gone_bodies.append(seq)

    def _flush(self) -> None:
        execute = self._database.execute
        if self._rows:
            rows, self._rows = self._rows, []
            insert(self._database, rows)
        if self._bodies:
            self._database.executemany("INSERT INTO bodies VALUES (?, ?)", self._bodies)
            self._bodies.clear()
        if self._gone:
            execute(_DELETE, (listed(self._gone),))
            self._gone.clear()
        if self._gone_bodies:
            execute(_DELETE_BODIES, (listed(self._gone_bodies),))
            self._gone_bodies.clear()

    # -- claims

    def _hold(self, item_id: str, held: _Held) -> None:
        self._before.append((item_id, self._held.get(item_id)))
        self._held[item_id] = held
        self._earliest = min(self._earliest, held.until)

    def _let_go(self, item_id: str) -> None:
        self._before.append((item_id, self._held.pop(item_id)))

    def _held_as(self, item_id: str, attempt: int) -> _Held | None:
        held = self._held.get(item_id)
        return held if held is not None and held.attempt == attempt else None

    def _end_claims(self, now: float) -> None:
        over = [item_id for item_id, held in self._held.items() if held.until <= now]
        seqs = []
        for item_id in over:
            held = self._held[item_id]
            self._let_go(item_id)
            seqs.append(held.seq)
            self._counts[at(held.kind, CLAIMED)] -= 1
            self._counts[at(held.kind, WAITING)] += 1
        if seqs:
            self._database.execute(
                "UPDATE items SET state = 0, until = NULL"
                " WHERE seq IN (SELECT value FROM json_each(?))",
                (listed(seqs),),
            )
        self._earliest = min((held.until for held in self._held.values()), default=NEVER)

    # -- the dead

    def _bury(self) -> None:
        """Let the oldest dead go while there are too many bytes of them."""
        while self._dead_bytes > self._dead_size:
            rows = self._database.execute(
                "SELECT seq, kind, size + length(head) FROM items WHERE state = 2"
                " ORDER BY seq LIMIT 64"
            ).fetchall()
            if not rows:
                raise EngineError(f"The dead events of {self.path} were counted wrong.")
            for seq, kind, size in rows:
                if self._dead_bytes <= self._dead_size:
                    break
                self._delete(seq, True)
                self._dead_bytes -= size
                self._dropped += 1
                self._counts[at(kind, DEAD)] -= 1
            self._flush()

    def _exhume(self, item_id: str) -> tuple[int, int, int] | None:
        """Count a dead item as none any more: its seq, kind and format."""
        self._flush()
        row = self._database.execute(EXHUME, (item_id,)).fetchone()
        if row is None:
            return None
        seq, kind, format_, size = row
        self._dead_bytes -= size
        self._counts[at(kind, DEAD)] -= 1
        return seq, kind, format_

    # -- the table as a whole

    def _write_back(self) -> bool:
        """Empty the write-ahead log; False if somebody reads what is only there."""
        # Without SQLite's own patience: events would wait as long as somebody reads.
        (patience,) = self._database.execute("PRAGMA busy_timeout").fetchone()
        self._database.execute("PRAGMA busy_timeout = 0")
        try:
            (busy, _, _) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._database.execute(f"PRAGMA busy_timeout = {patience}")
        return not busy

    def _give_back(self, database: sqlite3.Connection) -> None:
        database.execute(
            "UPDATE items SET state = 0, until = NULL WHERE state = 1 AND node = ?", (self._node,)
        )
        database.execute(
            "UPDATE items SET state = 0 WHERE state = 3 AND format <= ?", (FORMAT_VERSION,)
        )
        moved = database.execute(
            "UPDATE items SET state = 3 WHERE state = 0 AND format > ?", (FORMAT_VERSION,)
        )
        if moved.rowcount:
            self._tell_unknown()

    def _count(self, database: sqlite3.Connection) -> None:
        self._counts = [0] * len(self.counts)
        for kind, state, count in database.execute(
            "SELECT kind, state, count(*) FROM items GROUP BY kind, state"
        ):
            self._counts[at(kind, state)] = count
        self.counts = tuple(self._counts)
        (last,) = database.execute("SELECT max(seq) FROM items").fetchone()
        self._next = (last or 0) + 1
        (dead,) = database.execute(
            "SELECT sum(size + length(head)) FROM items WHERE state = 2"
        ).fetchone()
        self._dead_bytes = self._dead_bytes_before = dead or 0
        self._held = {
            item_id: _Held(seq, attempt, until, kind, size > INLINE, size)
            for item_id, seq, attempt, until, kind, size in database.execute(
                "SELECT id, seq, attempt, until, kind, size FROM items WHERE state = 1"
            )
        }
        self._earliest = min((held.until for held in self._held.values()), default=NEVER)

    def _tell_unknown(self) -> None:
        if not self._told_unknown:
            self._told_unknown = True
            _log.warning(
                "%s has events in a format that this Samovar does not know: they wait until the "
                "Samovar that wrote them, or a newer one, runs again",
                self.path,
            )

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None  # opened before the first request
        return self._connection
