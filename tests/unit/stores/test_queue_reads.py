"""Looking into the queue: what it costs, and that no commit waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from samovar.errors import EngineError
from samovar.stores import queue_statements as sql
from samovar.stores.invoke_queue import Item, ItemKind, ItemState
from samovar.stores.sqlite_items import Call
from samovar.stores.sqlite_queue import SqliteInvokeQueue

EVENT, DELIVERY = ItemKind
WAITING, CLAIMED, DEAD = ItemState
NOW = 1_800_000_000.0
PATIENCE = 30.0

Check = Callable[[SqliteInvokeQueue], Awaitable[None]]


def run(data_dir: Path, check: Check) -> None:
    async def opened() -> None:
        queue = SqliteInvokeQueue(data_dir, "node", 1 << 30, quiet=60.0)
        await queue.open()
        try:
            await check(queue)
        finally:
            await queue.close()

    asyncio.run(opened())


def item(name: str, kind: ItemKind = EVENT, lane: str = "f") -> Item:
    return Item(name, kind, lane, b"head", b"{}", NOW, NOW, NOW + 60.0, "node")


async def put(queue: SqliteInvokeQueue, *items: Item, dead: bool = False) -> None:
    await asyncio.gather(*(queue.put(one, NOW + 60.0 if dead else None) for one in items))
    if dead:
        await asyncio.gather(*(queue.complete(one, dead=b"why") for one in items))


class Counted:
    """A connection to a queue's file, and what SQLite's machine does for a call."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def steps(self, call: Callable[[sqlite3.Connection], object]) -> int:
        """How many tens of its steps a call takes."""
        counted = 0

        def step() -> int:
            nonlocal counted
            counted += 1
            return 0

        self.connection.set_progress_handler(step, 10)
        call(self.connection)
        self.connection.set_progress_handler(None, 0)
        return counted


@contextmanager
def counted(data_dir: Path) -> Iterator[Counted]:
    connection = sqlite3.connect(data_dir / "queue.db")
    try:
        yield Counted(connection)
    finally:
        connection.close()


def test_no_commit_waits_for_who_looks_nor_he_for_it(tmp_path: Path) -> None:
    """The thread that commits is held; what is durable is found all the same."""
    gate = threading.Event()

    async def check(queue: SqliteInvokeQueue) -> None:
        await put(queue, item("waits"), item("others"))
        await put(queue, item("dead"), dead=True)
        await queue.put(item("runs"), NOW + 60.0)
        held = queue._commits.ask(Call(gate.wait, (PATIENCE,)))
        try:
            async with asyncio.timeout(PATIENCE / 2):
                for name, state in (("waits", WAITING), ("runs", CLAIMED), ("dead", DEAD)):
                    found = await queue.find(name)
                    assert found is not None
                    assert (found.item.id, found.state) == (name, state)
                assert await queue.find("nobody") is None
                first, _ = await queue.look(WAITING)
                (second,) = await queue.look(WAITING, after=first.number)
                assert second.item.id == "others"
                assert [one.item.id for one in await queue.look(DEAD)] == ["dead"]
            assert not held.done()
        finally:
            gate.set()
        assert await held

    run(tmp_path, check)


def test_who_looks_can_change_nothing(tmp_path: Path) -> None:
    async def check(queue: SqliteInvokeQueue) -> None:
        assert await queue.find("nobody") is None
        threads = queue._reads._threads
        assert threads is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await threads.run(lambda: queue._reads._database().execute("DELETE FROM items"))

    run(tmp_path, check)


def test_what_was_looked_at_is_closed_before_what_wrote_it(tmp_path: Path) -> None:
    """The last connection puts the write-ahead log away, if it may write."""

    async def check(queue: SqliteInvokeQueue) -> None:
        await put(queue, item("a"))
        assert await queue.find("a") is not None
        await queue.close()
        await queue.close()
        with pytest.raises(EngineError, match="not open"):
            await queue.find("a")

    run(tmp_path, check)
    assert [path.name for path in tmp_path.iterdir()] == ["queue.db"]


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    async def check(queue: SqliteInvokeQueue) -> None:
        queue._reads._path = tmp_path / "nobody.db"
        with pytest.raises(EngineError, match=r"nobody\.db failed"):
            await queue.find("a")

    run(tmp_path, check)


def look(**asked: Any) -> Callable[[sqlite3.Connection], object]:
    whole = {"kind": None, "lane": None, "after": 0, "limit": 100, **asked}
    return lambda connection: sql.look(connection, sql.Look(**whole))


def test_a_page_costs_the_same_wherever_it_begins(tmp_path: Path) -> None:
    async def fill(queue: SqliteInvokeQueue) -> None:
        await put(queue, *(item(f"{n}") for n in range(5000)))
        await put(queue, *(item(f"d{n}") for n in range(5000)), dead=True)

    run(tmp_path, fill)
    with counted(tmp_path) as machine:
        for state, first in ((WAITING, 0), (DEAD, 5000)):
            costs = [
                machine.steps(look(state=state, after=first + behind)) for behind in (0, 100, 4900)
            ]
            assert costs[0] > 0
            assert max(costs) < 2 * min(costs)


@pytest.mark.parametrize("asked", [{"kind": DELIVERY}, {"lane": "rare"}], ids=["kind", "lane"])
def test_a_few_among_many_cost_little(tmp_path: Path, asked: dict[str, Any]) -> None:
    """What is sent of an event is looked for whenever it is shown."""

    async def fill(queue: SqliteInvokeQueue) -> None:
        many = [item(f"{n}") for n in range(5000)]
        few = [item(f"few{n}", DELIVERY, "rare") for n in range(10)]
        await put(queue, *many[:2500], *few, *many[2500:])

    run(tmp_path, fill)
    with counted(tmp_path) as machine:
        few = machine.steps(look(state=WAITING, **asked))
        page = machine.steps(look(state=WAITING))
        assert 0 < few < page


@pytest.mark.parametrize("dead", [10, 5000])
def test_a_dead_one_is_found_by_its_id(tmp_path: Path, dead: int) -> None:
    """By who looks, and by who has it live again: the latter in the thread that commits."""

    async def fill(queue: SqliteInvokeQueue) -> None:
        await put(queue, *(item(f"{n}") for n in range(dead)), dead=True)

    run(tmp_path, fill)
    last = f"{dead - 1}"
    with counted(tmp_path) as machine:
        assert machine.steps(lambda database: sql.find(database, last, None)) < 20
        assert machine.steps(lambda database: database.execute(sql.EXHUME, (last,)).fetchall()) < 20


def test_a_claimed_one_is_found_where_it_is_known_to_be(tmp_path: Path) -> None:
    async def fill(queue: SqliteInvokeQueue) -> None:
        await put(queue, *(item(f"{n}") for n in range(5000)))

    run(tmp_path, fill)
    with counted(tmp_path) as machine:
        assert machine.steps(lambda database: sql.find(database, "4999", 5000)) < 20
        found = sql.find(machine.connection, "4999", 7)  # it is not there
        assert found is not None
        assert found.number == 5000
