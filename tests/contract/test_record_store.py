"""What every RecordStore promises, held against the fake and the real one alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from samovar.stores.memory import MemoryRecordStore
from samovar.stores.protocols import Put, Record, RecordStore, Remove, RevisionConflict
from samovar.stores.sqlite import SqliteRecordStore

Check = Callable[[RecordStore], Awaitable[None]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore:
    if request.param == "memory":
        return MemoryRecordStore()
    return SqliteRecordStore(tmp_path)


def run(store: RecordStore, check: Check) -> None:
    async def opened() -> None:
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(opened())


def function(name: str, revision: str = "r1", document: str = '{"ü":1}') -> Record:
    return Record("function", f"arn:{name}", revision, document, "node-a")


def tags(name: str, revision: str = "t1", document: str = "{}") -> Record:
    owner = ("function", f"arn:{name}")
    return Record("tags", f"arn:{name}", revision, document, "node-a", owner)


async def conflict(store: RecordStore, *changes: Put | Remove) -> RevisionConflict:
    """The conflict that `changes` end with, having changed nothing."""
    before = await store.load()
    with pytest.raises(RevisionConflict) as caught:
        await store.write(*changes)
    assert await store.load() == before
    return caught.value


def test_starts_empty(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        assert await store.load() == ()

    run(store, check)


def test_keeps_what_is_put_in_the_order_of_keys(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("b"), None))
        await store.write(Put(function("a"), None), Put(tags("a"), None))
        await store.write(Put(function("B"), None))
        assert await store.load() == (function("B"), function("a"), function("b"), tags("a"))

    run(store, check)


def test_survives_close_and_open(store: RecordStore) -> None:
    async def write(store: RecordStore) -> None:
        await store.write(Put(function("a"), None), Put(tags("a"), None))

    async def check(store: RecordStore) -> None:
        assert await store.load() == (function("a"), tags("a"))

    run(store, write)
    run(store, check)


def test_close_twice(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.close()

    run(store, check)


def test_replaces_only_the_expected_revision(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("a"), None), Put(tags("a"), None))
        await store.write(Put(function("a", "r2", "{}"), "r1"))
        caught = await conflict(store, Put(function("a", "r3"), "r1"))
        assert (caught.key, caught.expected, caught.found) == ("arn:a", "r1", "r2")
        # What it owns is left alone by a change.
        assert await store.load() == (function("a", "r2", "{}"), tags("a"))

    run(store, check)


def test_creates_only_what_is_not_there(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("a"), None))
        assert (await conflict(store, Put(function("a", "r2"), None))).found == "r1"
        assert (await conflict(store, Put(function("b"), "r1"))).found is None

    run(store, check)


def test_kinds_have_keys_of_their_own(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        other = Record("layer", "arn:a", "r9", "{}", "node-a")
        await store.write(Put(function("a"), None), Put(other, None))
        await store.write(Remove("function", "arn:a", "r1"))
        assert await store.load() == (other,)

    run(store, check)


def test_all_changes_or_none(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("a"), None), Put(tags("a"), None))
        caught = await conflict(
            store,
            Put(function("b"), None),
            Remove("function", "arn:a", "r1"),
            Put(tags("b", "t2"), "t1"),
        )
        assert (caught.expected, caught.found) == ("t1", None)

    run(store, check)


def test_a_later_change_sees_an_earlier_one(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("a"), None), Put(function("a", "r2"), "r1"))
        await store.write(Remove("function", "arn:a", "r2"), Put(function("a", "r3"), None))
        assert await store.load() == (function("a", "r3"),)

    run(store, check)


def test_removes_only_the_expected_revision_and_what_it_owns(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        below = Record("note", "n", "n1", "{}", "node-a", ("tags", "arn:a"))
        await store.write(Put(function("a"), None), Put(tags("a"), None), Put(below, None))
        await store.write(Put(function("b"), None), Put(tags("b"), None))
        await conflict(store, Remove("function", "arn:a", "r0"))
        await store.write(Remove("function", "arn:a", "r1"))
        assert await store.load() == (function("b"), tags("b"))
        assert (await conflict(store, Remove("function", "arn:a", "r1"))).found is None

    run(store, check)


def test_removing_what_is_owned_leaves_its_owner(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("a"), None), Put(tags("a"), None))
        await store.write(Remove("tags", "arn:a", "t1"))
        assert await store.load() == (function("a"),)

    run(store, check)


def test_nothing_without_its_owner(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await conflict(store, Put(tags("a"), None))

    run(store, check)


def test_of_concurrent_writers_one_wins(store: RecordStore) -> None:
    async def check(store: RecordStore) -> None:
        await store.write(Put(function("a", "r0"), None))
        writes = [store.write(Put(function("a", f"r{number}"), "r0")) for number in range(1, 9)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        losers = [result for result in results if isinstance(result, RevisionConflict)]
        winner = [f"r{n}" for n, result in enumerate(results, 1) if result is None]
        assert len(losers) == 7
        assert [stored.revision for stored in await store.load()] == winner

    run(store, check)
