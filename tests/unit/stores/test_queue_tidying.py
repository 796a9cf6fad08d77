"""What a backlog took of the disk is given back, all of it, and nobody waits meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from samovar.stores.invoke_queue import Item, ItemKind
from samovar.stores.queue_statements import CLAIMED, READING, row_of
from samovar.stores.sqlite_items import Call, SqliteItems

MB = 1 << 20


@pytest.fixture
def items(tmp_path: Path) -> Iterator[SqliteItems]:
    """A table that a backlog has gone through: 24 MB of its file are free."""
    made = SqliteItems(tmp_path / "queue.db", "node", 1)
    made.open()
    try:
        work_off(made, "a", 24)
        yield made
    finally:
        made.close()


def work_off(items: SqliteItems, name: str, count: int) -> None:
    rows = []
    for number in range(count):
        one = Item(f"{name}{number}", ItemKind.EVENT, "f", b"", bytes(MB), 0, 0, 9e9, "node", 1)
        rows.append(row_of(one, "node", CLAIMED, 9e9))
    assert items.carry_out(rows) == [None] * count
    calls = [Call(items.complete, (row[0], 1, [], None)) for row in rows]
    assert items.carry_out(calls) == [True] * count


def tidied(items: SqliteItems) -> float | None:
    """Tidy as long as there is more at once; what is said of the rest."""
    while (pause := items.tidy()) == 0.0:
        pass
    return pause


def size(path: Path, suffix: str = "") -> int:
    return path.with_name(path.name + suffix).stat().st_size


def test_the_log_of_writes_gives_its_disk_back_too(items: SqliteItems) -> None:
    assert size(items.path, "-wal") > 16 * MB
    assert tidied(items) is None
    assert size(items.path, "-wal") == 0
    assert size(items.path) < 20 * MB


def test_who_reads_is_not_waited_for(items: SqliteItems) -> None:
    """The log can't be emptied under somebody; it is tried again."""
    with closing(sqlite3.connect(items.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchall()
        assert tidied(items) == READING
        assert size(items.path, "-wal") > 0
        (patience,) = items._database.execute("PRAGMA busy_timeout").fetchone()
        assert patience == 5000  # as ever
    assert tidied(items) is None
    assert size(items.path, "-wal") == 0


def test_a_disk_that_can_not_be_given_back_stops_nothing(
    items: SqliteItems, caplog: pytest.LogCaptureFixture
) -> None:
    items._database.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(items.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert tidied(items) is None
        other.execute("ROLLBACK")
    assert "can't be given back: database is locked" in caplog.text
    work_off(items, "b", 1)
    assert tidied(items) is None
    assert size(items.path) < 20 * MB
    assert size(items.path, "-wal") == 0
