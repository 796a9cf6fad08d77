"""Functions and tags in one SQLite file: the default store of a single machine."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from samovar.errors import EngineError
from samovar.stores.faults import told
from samovar.stores.protocols import (
    RevisionConflict,
    StoreContents,
    StoredFunction,
    StoredTags,
)
from samovar.stores.threads import Threads

SCHEMA_VERSION = 1
FILE_NAME = "samovar.db"

_SCHEMA = """
CREATE TABLE functions (
    arn TEXT PRIMARY KEY,
    revision TEXT NOT NULL,
    document TEXT NOT NULL,
    node TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tags (
    resource TEXT PRIMARY KEY REFERENCES functions (arn) ON DELETE CASCADE,
    revision TEXT NOT NULL,
    tags TEXT NOT NULL,
    node TEXT NOT NULL
) WITHOUT ROWID;
"""

T = TypeVar("T")


class SqliteFunctionStore:
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

    async def load(self) -> StoreContents:
        def read(database: sqlite3.Connection) -> StoreContents:
            functions = database.execute(
                "SELECT arn, revision, document, node FROM functions ORDER BY arn"
            )
            tags = database.execute(
                "SELECT resource, revision, tags, node FROM tags ORDER BY resource"
            )
            return StoreContents(
                tuple(StoredFunction(*row) for row in functions),
                tuple(StoredTags(a, b, json.loads(c), d) for a, b, c, d in tags),
            )

        return await self._run(read)

    async def put_function(
        self, function: StoredFunction, *, expected: str | None, tags: StoredTags | None = None
    ) -> None:
        def write(database: sqlite3.Connection) -> None:
            found = _revision(database, "functions", function.arn)
            if found != expected:
                raise RevisionConflict(function.arn, expected, found)
            # Not REPLACE: that deletes first, and deleting cascades to the tags.
            database.execute(
                "INSERT INTO functions (arn, revision, document, node) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (arn) DO UPDATE SET (revision, document, node)"
                " = (excluded.revision, excluded.document, excluded.node)",
                (function.arn, function.revision, function.document, function.node),
            )
            if tags is not None:
                _write_tags(database, tags, None)

        await self._run(write)

    async def remove_function(self, arn: str, *, expected: str) -> None:
        def write(database: sqlite3.Connection) -> None:
            found = _revision(database, "functions", arn)
            if found != expected:
                raise RevisionConflict(arn, expected, found)
            database.execute("DELETE FROM functions WHERE arn = ?", (arn,))  # and, by it, tags

        await self._run(write)

    async def put_tags(self, tags: StoredTags, *, expected: str | None) -> None:
        def write(database: sqlite3.Connection) -> None:
            if _revision(database, "functions", tags.resource) is None:
                raise RevisionConflict(tags.resource, expected, None)
            _write_tags(database, tags, expected)

        await self._run(write)

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        threads, connection = self._threads, self._connection
        if threads is None or connection is None:
            raise RuntimeError("the store is not open")

        def transact() -> T:
            with told(self.path), _transaction(connection):
                return call(connection)

        return await threads.run(transact)

    def _connect(self) -> sqlite3.Connection:
        with told(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here and not by SQLite so that it is never, not for a moment, open to others;
            # SQLite gives its -wal and -shm files the mode of the database.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.path.chmod(0o600)
            connection = sqlite3.connect(self.path, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                self._migrate(connection)
                _sync_directory(self.path.parent)
            except BaseException:
                connection.close()
                raise
            return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with _transaction(connection):
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise EngineError(
                f"The database {self.path} has the schema version {version}; this Samovar knows "
                f"version {SCHEMA_VERSION}. Use the Samovar that wrote it, or another --data-dir."
            )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: the lock is taken before anything is read, so a condition still holds at COMMIT.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures, a full disk among them, have rolled back
            connection.execute("ROLLBACK")
        raise


def _revision(database: sqlite3.Connection, table: str, key: str) -> str | None:
    column = "arn" if table == "functions" else "resource"
    query = f"SELECT revision FROM {table} WHERE {column} = ?"  # noqa: S608 - names of ours
    row = database.execute(query, (key,)).fetchone()
    return row[0] if row else None


def _write_tags(database: sqlite3.Connection, tags: StoredTags, expected: str | None) -> None:
    found = _revision(database, "tags", tags.resource)
    if found != expected:
        raise RevisionConflict(f"tags of {tags.resource}", expected, found)
    text = json.dumps(dict(tags.tags), ensure_ascii=False)
    database.execute(
        "INSERT INTO tags (resource, revision, tags, node) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (resource) DO UPDATE"
        " SET (revision, tags, node) = (excluded.revision, excluded.tags, excluded.node)",
        (tags.resource, tags.revision, text, tags.node),
    )


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
