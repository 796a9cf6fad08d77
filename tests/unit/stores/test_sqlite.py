"""What only the SQLite store promises: private files, a schema version, durability."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from samovar.errors import EngineError
from samovar.stores.protocols import Put, Record
from samovar.stores.sqlite import SqliteRecordStore

FUNCTION = Record("function", "arn:a", "r1", "{}", "node-a")


def run(data_dir: Path, check: Callable[[SqliteRecordStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = SqliteRecordStore(data_dir)
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(opened())


async def put(store: SqliteRecordStore) -> None:
    await store.write(Put(FUNCTION, None))


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    def files() -> list[Path]:
        return list(tmp_path.glob("samovar.db*"))

    async def check(store: SqliteRecordStore) -> None:
        await put(store)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files()}
        assert modes == dict.fromkeys(modes, 0o600)
        assert set(modes) >= {"samovar.db", "samovar.db-wal"}

    (tmp_path / "samovar.db").touch(0o644)  # one that was restored from a backup, say
    before = os.umask(0)
    try:
        run(tmp_path, check)
    finally:
        os.umask(before)


def test_commits_are_synced(tmp_path: Path) -> None:
    async def check(store: SqliteRecordStore) -> None:
        def pragmas(database: sqlite3.Connection) -> tuple[object, object]:
            return (
                database.execute("PRAGMA journal_mode").fetchone()[0],
                database.execute("PRAGMA synchronous").fetchone()[0],
            )

        assert await store._run(pragmas) == ("wal", 2)

    run(tmp_path, check)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from samovar.stores.protocols import Put, Record
from samovar.stores.sqlite import SqliteRecordStore
async def main():
    store = SqliteRecordStore(Path(sys.argv[1]))
    await store.open()
    await store.write(Put(Record("function", "arn:a", "r1", "{}", "node-a"), None))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_what_was_written_survives_a_kill(tmp_path: Path, checkout: Path) -> None:
    paths = os.pathsep.join([str(checkout / "engine"), str(checkout / "workers")])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL

    async def check(store: SqliteRecordStore) -> None:
        assert await store.load() == (FUNCTION,)

    run(tmp_path, check)


def test_a_schema_of_the_future_is_refused(tmp_path: Path) -> None:
    run(tmp_path, put)
    database = sqlite3.connect(tmp_path / "samovar.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(EngineError, match="schema version 99"):
        run(tmp_path, put)


# Written by hand as version 1 wrote it: what users have on their disks.
VERSION_1 = """
CREATE TABLE functions (
    arn TEXT PRIMARY KEY, revision TEXT NOT NULL, document TEXT NOT NULL, node TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tags (
    resource TEXT PRIMARY KEY REFERENCES functions (arn) ON DELETE CASCADE,
    revision TEXT NOT NULL, tags TEXT NOT NULL, node TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO functions VALUES ('arn:a', 'r1', '{}', 'node-a'), ('arn:b', 'r2', '{}', 'node-b');
INSERT INTO tags VALUES ('arn:b', 't1', '{"k":"v"}', 'node-b');
PRAGMA user_version = 1;
"""


def test_the_schema_of_an_older_samovar_is_brought_up_to_date(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "samovar.db")
    database.executescript(VERSION_1)
    database.close()
    other = Record("function", "arn:b", "r2", "{}", "node-b")
    tags = Record("tags", "arn:b", "t1", '{"k":"v"}', "node-b", ("function", "arn:b"))

    async def check(store: SqliteRecordStore) -> None:
        assert await store.load() == (FUNCTION, other, tags)

    run(tmp_path, check)
    run(tmp_path, check)  # and is left as it is by the next start


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "samovar.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(EngineError, match="is damaged"):
        run(tmp_path, put)


def test_a_database_that_can_grow_no_more(tmp_path: Path) -> None:
    async def check(store: SqliteRecordStore) -> None:
        await put(store)
        await store._run(lambda database: database.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(EngineError, match="is full"):
            await store.write(Put(Record("function", "arn:b", "r1", "x" * 100_000, "node-a"), None))
        assert await store.load() == (FUNCTION,)

    run(tmp_path, check)


def test_use_of_a_closed_store(tmp_path: Path) -> None:
    async def check() -> None:
        with pytest.raises(RuntimeError, match="not open"):
            await SqliteRecordStore(tmp_path).load()

    asyncio.run(check())
