"""SQLite files of ours: made, opened, brought up to date, and written to in whole transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from samovar.errors import EngineError
from samovar.stores.syncing import sync_directory

_PREPARED = 256  # statements that stay so


def open_database(
    path: Path, version: int, steps: Mapping[int, Sequence[str]], *pragmas: str
) -> sqlite3.Connection:
    """A connection to the database at `path`, readable by its owner alone, of schema `version`.

    `steps` are the statements that lead to it from an older version, or from none (0); `pragmas`
    come before anything else. WAL with synchronous=FULL: a commit that has returned survives power
    loss. Raises EngineError for a version that there is no step for, sqlite3.Error and OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here and not by SQLite so that it is never, not for a moment, open to others; SQLite
    # gives its -wal and -shm files the mode of the database.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=_PREPARED)
    try:
        for pragma in (*pragmas, "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        _migrate(connection, path, version, steps)
        sync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done within, or nothing of it."""
    # IMMEDIATE: the lock is taken before anything is read, so a condition still holds at COMMIT.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures, a full disk among them, have rolled back
            connection.execute("ROLLBACK")
        raise


def _migrate(
    connection: sqlite3.Connection, path: Path, version: int, steps: Mapping[int, Sequence[str]]
) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == version:
        return
    step = steps.get(found)
    if step is None:
        raise EngineError(
            f"The database {path} has the schema version {found}; this Samovar knows version "
            f"{version}. Use the Samovar that wrote it, or another --data-dir."
        )
    with transaction(connection):
        for statement in step:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
