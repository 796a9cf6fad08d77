"""What only the queue in SQLite promises: private files, durability, cost, and what breaks."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.stores.test_full_disk import unshare

from samovar.errors import EngineError
from samovar.stores import queue_statements as sql
from samovar.stores.invoke_queue import Item, ItemKind, ItemState
from samovar.stores.sqlite_queue import SqliteInvokeQueue

EVENT = ItemKind.EVENT
WAITING, CLAIMED, DEAD = ItemState.WAITING, ItemState.CLAIMED, ItemState.DEAD
NOW = 1_800_000_000.0

Check = Callable[[SqliteInvokeQueue], Awaitable[None]]


def run(data_dir: Path, check: Check, dead_size: int = 1 << 30, quiet: float = 60.0) -> None:
    async def opened() -> None:
        queue = SqliteInvokeQueue(data_dir, "node", dead_size, quiet=quiet)
        await queue.open()
        try:
            await check(queue)
        finally:
            await queue.close()

    asyncio.run(opened())


def item(name: str, body: bytes = b"{}", lane: str = "f", head: bytes = b"head") -> Item:
    return Item(name, EVENT, lane, head, body, NOW, NOW, NOW + 60.0, "node")


def database(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(data_dir / "queue.db")


async def put_one(queue: SqliteInvokeQueue) -> None:
    await queue.put(item("a"))


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    def found() -> dict[str, int]:
        return {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("queue.db*")}

    async def check(queue: SqliteInvokeQueue) -> None:
        await put_one(queue)
        modes = found()
        assert modes == dict.fromkeys(modes, 0o600)
        assert set(modes) >= {"queue.db", "queue.db-wal"}

    before = os.umask(0)
    try:
        run(tmp_path, check)
    finally:
        os.umask(before)


def test_commits_are_synced(tmp_path: Path) -> None:
    """As asked of the very connection that commits: another one has its own setting."""
    asked: dict[str, Any] = {}

    async def check(queue: SqliteInvokeQueue) -> None:
        for name in ("journal_mode", "synchronous", "auto_vacuum"):
            # From the loop's thread, which may not use the connection.
            asked[name] = await queue._commits.ask(_Pragma(queue, name))
        assert asked == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2}

    run(tmp_path, check)


class _Pragma:
    """A request that says what a pragma is at."""

    def __init__(self, queue: SqliteInvokeQueue, name: str) -> None:
        self.arguments = (queue, name)

    @staticmethod
    def change(queue: SqliteInvokeQueue, name: str) -> Any:
        return queue._items._database.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_schema_of_the_future_is_refused(tmp_path: Path) -> None:
    run(tmp_path, put_one)
    with database(tmp_path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(EngineError, match="schema version 99"):
        run(tmp_path, put_one)


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(EngineError, match="is damaged"):
        run(tmp_path, put_one)


def test_a_damaged_page_is_told_at_the_start(tmp_path: Path) -> None:
    """Counting reads everything: no event is accepted into a file that has lost some."""

    async def fill(queue: SqliteInvokeQueue) -> None:
        await asyncio.gather(*(queue.put(item(f"{n}", bytes(1000))) for n in range(200)))

    run(tmp_path, fill)
    connection = database(tmp_path)
    (page,) = connection.execute(
        "SELECT pageno FROM dbstat WHERE name = 'items' AND pagetype = 'leaf' LIMIT 1 OFFSET 20"
    ).fetchone()
    connection.close()
    with (tmp_path / "queue.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(EngineError, match="is damaged"):
        run(tmp_path, put_one)


def test_claims_go_by_the_index(tmp_path: Path) -> None:
    """What a claim costs is its own size, whatever waits: no scan, and nothing to be sorted."""
    run(tmp_path, put_one)
    connection = database(tmp_path)
    try:
        for statement, values in ((sql.CLAIM, (0, "f", NOW, 10)), (sql.NEXT, (0, "f"))):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            assert any("INDEX waiting (kind=? AND lane=?" in step for step in plan), plan
            assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan
    finally:
        connection.close()


def steps(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> int:
    """How many thousands of steps SQLite's machine takes for a statement."""
    counted = 0

    def step() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(step, 10)
    connection.execute(statement, values).fetchall()
    connection.set_progress_handler(None, 0)
    return counted


def test_a_claim_costs_the_same_in_a_long_queue(tmp_path: Path) -> None:
    async def fill(queue: SqliteInvokeQueue, first: int, count: int) -> None:
        puts = [queue.put(item(f"{n}")) for n in range(first, first + count)]
        await asyncio.gather(*puts)

    costs = []
    for first, count in ((0, 50), (50, 10_000)):
        run(tmp_path, lambda queue, a=first, b=count: fill(queue, a, b))  # type: ignore[misc]
        connection = database(tmp_path)
        costs.append(steps(connection, sql.CLAIM, (0, "f", NOW, 10)))
        connection.close()
    assert costs[0] > 0
    assert costs[0] == costs[1]


def test_what_is_put_claimed_enters_no_index(tmp_path: Path) -> None:
    async def fill(queue: SqliteInvokeQueue) -> None:
        await asyncio.gather(*(queue.put(item(f"{n}"), NOW + 60.0) for n in range(1000)))

    run(tmp_path, fill)
    connection = database(tmp_path)
    try:
        entries = dict(
            connection.execute("SELECT name, sum(ncell) FROM dbstat GROUP BY name").fetchall()
        )
    finally:
        connection.close()
    assert entries["items"] >= 1000
    assert (entries["waiting"], entries["dead"], entries["dead_id"]) == (0, 0, 0)


def test_a_put_that_is_none_takes_nobody_with_it(tmp_path: Path) -> None:
    async def check(queue: SqliteInvokeQueue) -> None:
        bad = item("bad")
        bad.head = object()  # type: ignore[assignment]
        kept = item("kept")
        await queue.put(kept, NOW + 60.0)
        done = await asyncio.gather(
            queue.put(item("a"), NOW + 60.0),
            queue.put(bad, NOW + 60.0),
            queue.complete(kept, item("then")),
            queue.put(item("b")),
            return_exceptions=True,
        )
        assert (done[0], done[2], done[3]) == (None, True, None)
        assert isinstance(done[1], Exception)
        assert queue.depths() == {(EVENT, WAITING): 2, (EVENT, CLAIMED): 1}
        claimed = await queue.claim(EVENT, "f", now=NOW, limit=9, until=NOW + 60.0)
        assert sorted(one.id for one in claimed.items) == ["b", "then"]
        assert not await queue.complete(bad)  # it was never there

    run(tmp_path, check)


def test_all_of_a_completion_or_nothing(tmp_path: Path) -> None:
    async def check(queue: SqliteInvokeQueue) -> None:
        one, bad = item("a"), item("bad")
        bad.head = object()  # type: ignore[assignment]
        await queue.put(one, NOW + 60.0)
        for dead in (None, b"why"):
            with pytest.raises(EngineError):
                await queue.complete(one, item("b"), bad, dead=dead)
        assert queue.depths() == {(EVENT, CLAIMED): 1}
        assert await queue.find("b") is None
        assert await queue.complete(one)

    run(tmp_path, check)


def test_the_oldest_dead_go_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def die(queue: SqliteInvokeQueue, names: str, size: int) -> None:
        items = [item(name, bytes(size - 1)) for name in names]
        await asyncio.gather(*(queue.put(one, NOW + 60.0) for one in items))
        await asyncio.gather(*(queue.complete(one, dead=b"x") for one in items))

    async def check(queue: SqliteInvokeQueue) -> None:
        await die(queue, "abcd", 250)  # as much as there may be, to the byte
        assert queue.dead_dropped == 0
        await die(queue, "ef", 250)
        assert [found.item.id for found in await queue.look(DEAD)] == ["c", "d", "e", "f"]
        assert queue.depths() == {(EVENT, DEAD): 4}
        assert await queue.forget("d")
        await die(queue, "g", 250)
        assert queue.dead_dropped == 2
        assert await queue.revive("c", now=NOW, expires=NOW, head=bytes(900))
        await die(queue, "h", 250)
        assert [found.item.id for found in await queue.look(DEAD)] == ["e", "f", "g", "h"]

    async def again(queue: SqliteInvokeQueue) -> None:
        await die(queue, "i", 2000)  # more than there may be at all
        assert await queue.look(DEAD) == []
        assert queue.dead_dropped == 5
        assert queue.depths() == {(EVENT, WAITING): 1}

    run(tmp_path, check, dead_size=1000)
    run(tmp_path, again, dead_size=1000)
    assert "2 given up before were deleted" in caplog.text


def test_a_backlog_that_is_worked_off_gives_its_disk_back(tmp_path: Path) -> None:
    async def check(queue: SqliteInvokeQueue) -> None:
        size = (tmp_path / "queue.db").stat
        items = [item(f"{n}", bytes(1 << 20)) for n in range(24)]
        await asyncio.gather(*(queue.put(one, NOW + 60.0) for one in items))
        await asyncio.gather(*(queue.complete(one) for one in items))
        # Only when it is quiet: what comes next takes the free pages instead.
        async with asyncio.timeout(30):
            while size().st_size > 20 << 20:  # noqa: ASYNC110 - the file tells nobody
                await asyncio.sleep(0.01)
        assert (tmp_path / "queue.db-wal").stat().st_size < 20 << 20
        await queue.put(item("after"))

    run(tmp_path, check, quiet=0.01)


def test_the_log_of_writes_is_written_back_as_it_grows(tmp_path: Path) -> None:
    async def check(queue: SqliteInvokeQueue) -> None:
        for _ in range(7):
            items = [item(f"{n}", bytes(1 << 20)) for n in range(8)]
            await asyncio.gather(*(queue.put(one, NOW + 60.0) for one in items))
            await asyncio.gather(*(queue.complete(one) for one in items))
        # 16 MB, and what a commit may take it beyond that.
        assert (tmp_path / "queue.db-wal").stat().st_size < 40 << 20

    run(tmp_path, check)


def test_a_large_body_is_written_once(tmp_path: Path) -> None:
    """Its item changes with each attempt, and is then written anew."""

    async def check(queue: SqliteInvokeQueue) -> None:
        one = item("a", bytes(1 << 20))
        await queue.put(one, NOW + 60.0)
        size = (tmp_path / "queue.db-wal").stat
        before = size().st_size
        for attempt in range(1, 9):
            assert await queue.retry_at(one, NOW, b"again")
            await queue.claim(EVENT, "f", now=NOW, limit=1, until=NOW + 60.0)
            one.attempt = attempt + 1
        assert size().st_size - before < 1 << 20

    run(tmp_path, check)


def test_a_newer_samovar_finds_what_this_one_could_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samovar.stores import sqlite_items

    async def before(queue: SqliteInvokeQueue) -> None:
        future = item("a")
        future.format = 2
        await queue.put(future)

    async def after(queue: SqliteInvokeQueue) -> None:
        claimed = await queue.claim(EVENT, "f", now=NOW, limit=9, until=NOW + 60.0)
        assert [(one.id, one.format) for one in claimed.items] == [("a", 2)]

    with caplog.at_level(logging.WARNING):
        run(tmp_path, before)
    assert caplog.text.count("in a format that this Samovar does not know") == 1
    monkeypatch.setattr(sqlite_items, "FORMAT_VERSION", 2)
    run(tmp_path, after)


def test_a_loop_that_ends_without_closing_leaves_no_thread(tmp_path: Path) -> None:
    """A program that breaks off: its interpreter must be able to end, and nothing is lost."""

    async def forget() -> SqliteInvokeQueue:
        queue = SqliteInvokeQueue(tmp_path, "node", 1)
        await queue.open()
        await queue.put(item("a"))
        return queue

    queue = asyncio.run(forget())
    thread = queue._commits._thread
    assert thread is not None
    assert thread.daemon
    queue._commits._inbox.put(None)
    thread.join(30)
    assert not thread.is_alive()

    async def check(queue: SqliteInvokeQueue) -> None:
        assert await queue.find("a") is not None

    run(tmp_path, check)


PUTTING = """
import asyncio, sys
from pathlib import Path
from samovar.stores.invoke_queue import Item, ItemKind
from samovar.stores.sqlite_queue import SqliteInvokeQueue

async def main():
    queue = SqliteInvokeQueue(Path(sys.argv[1]), "node", 1)
    await queue.open()
    first = int(sys.argv[2])

    async def putter(lane):
        for number in range(1_000_000):
            name = f"{first}-{lane}-{number}"
            body = bytes(5000 if number % 7 == 0 else 50)
            item = Item(name, ItemKind.EVENT, "f", b"", body, 0.0, 0.0, 9e9, "node")
            await queue.put(item, 9e9 if number % 2 else None)
            print(name, flush=True)
            if number % 3 == 0 and number % 2:
                then = name + "-then", ItemKind.DELIVERY, "q", b"", b"", 0.0, 0.0, 9e9, "node"
                await queue.complete(item, Item(*then))
                print(name + "-then", flush=True)

    await asyncio.gather(*(putter(lane) for lane in range(8)))

asyncio.run(main())
"""


def test_what_was_put_survives_a_kill(tmp_path: Path, checkout: Path) -> None:
    """A process is killed in the middle of putting and completing, again and again."""
    paths = os.pathsep.join([str(checkout / "engine"), str(checkout / "workers")])
    told: list[str] = []
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", PUTTING, str(tmp_path), str(life)],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(200 + life * 37)]
        process.kill()
        rest, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL
        # The last line may be cut: then nobody was told of it.
        told += "".join([*lines, rest]).rpartition("\n")[0].splitlines()
    assert len(told) > 500

    async def check(queue: SqliteInvokeQueue) -> None:
        found = {found.item.id for found in await queue.look(WAITING, limit=10**9)}
        completed = {name.removesuffix("-then") for name in found if name.endswith("-then")}
        assert set(told) <= found | completed
        assert not completed & found  # all of a completion, or nothing of it

    run(tmp_path, check)


FULL = """
import asyncio, json, subprocess, sys
from pathlib import Path
from samovar.errors import EngineError
from samovar.stores.invoke_queue import Item, ItemKind
from samovar.stores.sqlite_queue import SqliteInvokeQueue

place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)

def item(name, size=100):
    return Item(name, ItemKind.EVENT, "f", b"", bytes(size), 0.0, 0.0, 9e9, "node")

def told(results):
    return [r.message if isinstance(r, EngineError) else r for r in results]

async def main():
    queue = SqliteInvokeQueue(place, "node", 1)
    await queue.open()
    held = item("held", 100_000)
    await queue.put(held, 9e9)
    (place / "ballast").write_bytes(bytes(3 << 20))
    answer = {}
    answer["group"] = told(await asyncio.gather(
        queue.put(item("large", 1 << 20)),
        queue.put(item("small")),
        queue.put(item("large too", 1 << 20)),
        return_exceptions=True))
    try:
        (place / "rest").write_bytes(bytes(4 << 20))
    except OSError:
        pass
    puts = [queue.put(item(f"n{n}", 4000)) for n in range(300)]
    answer["full"] = told(await asyncio.gather(*puts, return_exceptions=True))
    answer["depths"] = sum(queue.depths().values())
    (place / "rest").unlink()
    (place / "ballast").unlink()
    answer["after"] = told([await queue.put(item("after", 1 << 20))])
    answer["completed"] = await queue.complete(held)
    names = [n for n, r in zip([f"n{n}" for n in range(300)], answer["full"]) if r is None]
    answer["there"] = [name for name in ("large", "small", "large too", "after", "held", *names)
        if await queue.find(name) is not None]
    answer["wanted"] = names
    await queue.close()
    print(json.dumps(answer))

asyncio.run(main())
"""


def test_a_full_disk_fails_what_finds_no_room(tmp_path: Path, checkout: Path) -> None:
    """It is told to whom it concerns, takes nothing else along, and is over with room again."""
    paths = os.pathsep.join([str(checkout / "engine"), str(checkout / "workers")])
    done = subprocess.run(
        [*unshare(), sys.executable, "-c", FULL, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    large, small, other = answer["group"]
    assert "is full" in large
    assert "is full" in other
    assert small is None
    assert any(result is not None and "is full" in result for result in answer["full"])
    assert answer["depths"] == 2 + len(answer["wanted"])
    assert answer["after"] == [None]
    assert answer["completed"]
    assert answer["there"] == ["small", "after", *answer["wanted"]]
