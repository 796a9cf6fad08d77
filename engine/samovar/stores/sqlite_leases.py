"""Leases of shards in a SQLite file of their own."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from samovar.stores.databases import open_database, transaction
from samovar.stores.faults import told
from samovar.stores.group_commit import GroupCommit
from samovar.stores.leases import Lease, LeaseLost

_log = logging.getLogger(__name__)

FILE_NAME = "leases.db"
SCHEMA_VERSION = 1
_SCHEMA = (
    """
    CREATE TABLE leases (
        mapping TEXT NOT NULL,
        shard TEXT NOT NULL,
        owner TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        checkpoint TEXT NOT NULL,
        PRIMARY KEY (mapping, shard)
    ) WITHOUT ROWID
    """,
)
_Change = Callable[[sqlite3.Connection], Any]


class SqliteLeaseStore:
    """`<data_dir>/leases.db`, readable by its owner alone: a LeaseStore (see there).

    Apart from the registry's and the queue's files: a checkpoint is written for each batch. All
    that are written at the same time share a commit.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME
        self._commits = GroupCommit(
            "samovar-leases", _Leases(self.path), remedy="its file is opened again"
        )

    async def open(self) -> None:
        await self._commits.start()

    async def close(self) -> None:
        await self._commits.close()

    async def of(self, mapping: str) -> Sequence[Lease]:
        def read(database: sqlite3.Connection) -> list[Lease]:
            rows = database.execute(
                "SELECT mapping, shard, owner, epoch, checkpoint FROM leases"
                " WHERE mapping = ? ORDER BY shard",
                (mapping,),
            )
            return [Lease(*row) for row in rows]

        found: list[Lease] = await self._commits.ask(read)
        return found

    async def take(self, mapping: str, shard: str, owner: str, seen: int, checkpoint: str) -> Lease:
        def take(database: sqlite3.Connection) -> Lease:
            _demand(database, mapping, shard, seen)
            row = database.execute(
                "INSERT INTO leases VALUES (?, ?, ?, ?, ?) ON CONFLICT (mapping, shard)"
                " DO UPDATE SET (owner, epoch) = (excluded.owner, excluded.epoch)"
                " RETURNING checkpoint",
                (mapping, shard, owner, seen + 1, checkpoint),
            ).fetchall()[0]
            return Lease(mapping, shard, owner, seen + 1, row[0])

        taken: Lease = await self._commits.ask(take)
        return taken

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        def write(database: sqlite3.Connection) -> Lease:
            _demand(database, lease.mapping, lease.shard, lease.epoch)
            database.execute(
                "UPDATE leases SET checkpoint = ? WHERE mapping = ? AND shard = ?",
                (checkpoint, lease.mapping, lease.shard),
            )
            return replace(lease, checkpoint=checkpoint)

        written: Lease = await self._commits.ask(write)
        return written

    async def remove(self, lease: Lease) -> None:
        def remove(database: sqlite3.Connection) -> None:
            _demand(database, lease.mapping, lease.shard, lease.epoch)
            database.execute(
                "DELETE FROM leases WHERE mapping = ? AND shard = ?", (lease.mapping, lease.shard)
            )

        await self._commits.ask(remove)

    async def forget(self, mapping: str) -> None:
        def forget(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM leases WHERE mapping = ?", (mapping,))

        await self._commits.ask(forget)

    async def keep_only(self, mappings: Collection[str]) -> None:
        kept = frozenset(mappings)

        def keep_only(database: sqlite3.Connection) -> None:
            found = database.execute("SELECT DISTINCT mapping FROM leases").fetchall()
            gone = [row for row in found if row[0] not in kept]
            database.executemany("DELETE FROM leases WHERE mapping = ?", gone)

        await self._commits.ask(keep_only)

    def exists(self) -> bool:
        return self.path.exists()


class _Leases:
    """Part of `Writer`: everything here runs in the one thread that owns the connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        with told(self._path):
            self._connection = open_database(self._path, SCHEMA_VERSION, {0: _SCHEMA})

    def carry_out(self, requests: Sequence[_Change]) -> Sequence[Any]:
        """All together; where the disk fails, all of them fail. A lost lease fails alone: it is
        seen before anything is written."""
        connection = self._connection
        assert connection is not None
        results: list[Any] = []
        try:
            with told(self._path), transaction(connection):
                for change in requests:
                    try:
                        results.append(change(connection))
                    except LeaseLost as lost:
                        results.append(lost)
        except Exception as error:
            return [error] * len(requests)
        return results

    def tidy(self) -> float | None:
        return None

    def close(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                _log.warning("%s was not closed well: %s", self._path, error)
            self._connection = None


def _demand(database: sqlite3.Connection, mapping: str, shard: str, epoch: int) -> None:
    row = database.execute(
        "SELECT epoch FROM leases WHERE mapping = ? AND shard = ?", (mapping, shard)
    ).fetchone()
    found = row[0] if row else 0
    if found != epoch:
        raise LeaseLost(mapping, shard, epoch, found)
