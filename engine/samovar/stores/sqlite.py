"""What the registry keeps, in one SQLite file: the default store of a single machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from samovar.stores.databases import open_database, transaction
from samovar.stores.faults import told
from samovar.stores.protocols import Put, Record, Remove, RevisionConflict
from samovar.stores.threads import Threads

SCHEMA_VERSION = 2
FILE_NAME = "samovar.db"

_SCHEMA = (
    """
    CREATE TABLE records (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        revision TEXT NOT NULL,
        document TEXT NOT NULL,
        node TEXT NOT NULL,
        owner_kind TEXT,
        owner_key TEXT,
        PRIMARY KEY (kind, key),
        FOREIGN KEY (owner_kind, owner_key) REFERENCES records (kind, key) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    "CREATE INDEX owned ON records (owner_kind, owner_key) WHERE owner_kind IS NOT NULL",
)
# From the schema that had a table for functions and one for their tags.
_FROM_1 = (
    *_SCHEMA,
    "INSERT INTO records"
    " SELECT 'function', arn, revision, document, node, NULL, NULL FROM functions",
    "INSERT INTO records"
    " SELECT 'tags', resource, revision, tags, node, 'function', resource FROM tags",
    "DROP TABLE tags",
    "DROP TABLE functions",
)
_STEPS = {0: _SCHEMA, 1: _FROM_1}

T = TypeVar("T")


class SqliteRecordStore:
    """`<data_dir>/samovar.db`, readable by its owner alone: environments hold secrets.

    WAL with synchronous=FULL: a commit that has returned survives power loss. One thread owns the
    connection, so writes happen one after another and the loop never waits for a disk.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME
        self._threads: Threads | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        if self._threads is not None:
            raise RuntimeError("already open")
        threads = Threads("samovar-store", 1)
        try:
            self._connection = await threads.run(self._connect)
        except BaseException:
            await threads.close()
            raise
        self._threads = threads

    async def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is None or self._connection is None:
            return
        try:
            await threads.run(self._connection.close)
        finally:
            self._connection = None
            await threads.close()

    async def load(self) -> tuple[Record, ...]:
        def read(database: sqlite3.Connection) -> tuple[Record, ...]:
            rows = database.execute(
                "SELECT kind, key, revision, document, node, owner_kind, owner_key"
                " FROM records ORDER BY kind, key"
            )
            return tuple(
                Record(kind, key, revision, document, node, owner_kind and (owner_kind, owner_key))
                for kind, key, revision, document, node, owner_kind, owner_key in rows
            )

        return await self._run(read)

    async def write(self, *changes: Put | Remove) -> None:
        def write(database: sqlite3.Connection) -> None:
            for change in changes:
                if isinstance(change, Put):
                    _put(database, change.record, change.expected)
                else:
                    _demand(database, change.kind, change.key, change.expected)
                    database.execute(  # and, by it, what it owns
                        "DELETE FROM records WHERE kind = ? AND key = ?", (change.kind, change.key)
                    )

        await self._run(write)

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        threads, connection = self._threads, self._connection
        if threads is None or connection is None:
            raise RuntimeError("the store is not open")

        def transact() -> T:
            with told(self.path), transaction(connection):
                return call(connection)

        return await threads.run(transact)

    def _connect(self) -> sqlite3.Connection:
        with told(self.path):
            return open_database(self.path, SCHEMA_VERSION, _STEPS, "foreign_keys = ON")


def _put(database: sqlite3.Connection, record: Record, expected: str | None) -> None:
    _demand(database, record.kind, record.key, expected)
    if record.owner is not None and _revision(database, *record.owner) is None:
        raise RevisionConflict(record.key, expected, None)
    # Not REPLACE: that deletes first, and deleting cascades to what the record owns.
    database.execute(
        "INSERT INTO records (kind, key, revision, document, node, owner_kind, owner_key)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE"
        " SET (revision, document, node, owner_kind, owner_key) = (excluded.revision,"
        " excluded.document, excluded.node, excluded.owner_kind, excluded.owner_key)",
        (
            *(record.kind, record.key, record.revision, record.document, record.node),
            *(record.owner or (None, None)),
        ),
    )


def _demand(database: sqlite3.Connection, kind: str, key: str, expected: str | None) -> None:
    found = _revision(database, kind, key)
    if found != expected:
        raise RevisionConflict(key, expected, found)


def _revision(database: sqlite3.Connection, kind: str, key: str) -> str | None:
    row = database.execute(
        "SELECT revision FROM records WHERE kind = ? AND key = ?", (kind, key)
    ).fetchone()
    return row[0] if row else None
