"""What every FunctionStore promises, held against the fake and the real one alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from samovar.stores.memory import MemoryFunctionStore
from samovar.stores.protocols import (
    FunctionStore,
    RevisionConflict,
    StoreContents,
    StoredFunction,
    StoredTags,
)
from samovar.stores.sqlite import SqliteFunctionStore

Check = Callable[[FunctionStore], Awaitable[None]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FunctionStore:
    if request.param == "memory":
        return MemoryFunctionStore()
    return SqliteFunctionStore(tmp_path)


def run(store: FunctionStore, check: Check) -> None:
    async def opened() -> None:
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(opened())


def function(name: str, revision: str = "r1", document: str = '{"ü":1}') -> StoredFunction:
    return StoredFunction(f"arn:{name}", revision, document, "node-a")


def tags(name: str, revision: str = "t1", **values: str) -> StoredTags:
    return StoredTags(f"arn:{name}", revision, values, "node-a")


def test_starts_empty(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        assert await store.load() == StoreContents((), ())

    run(store, check)


def test_keeps_what_is_put_in_the_order_of_keys(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("b"), expected=None)
        await store.put_function(function("a"), expected=None, tags=tags("a", k="v"))
        await store.put_function(function("B"), expected=None)
        contents = await store.load()
        assert contents.functions == (function("B"), function("a"), function("b"))
        assert contents.tags == (tags("a", k="v"),)

    run(store, check)


def test_survives_close_and_open(store: FunctionStore) -> None:
    async def write(store: FunctionStore) -> None:
        await store.put_function(function("a"), expected=None, tags=tags("a", k="v"))

    async def check(store: FunctionStore) -> None:
        assert await store.load() == StoreContents((function("a"),), (tags("a", k="v"),))

    run(store, write)
    run(store, check)


def test_close_twice(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.close()

    run(store, check)


def test_replaces_only_the_expected_revision(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("a"), expected=None, tags=tags("a", k="v"))
        await store.put_function(function("a", "r2", "{}"), expected="r1")
        with pytest.raises(RevisionConflict) as caught:
            await store.put_function(function("a", "r3"), expected="r1")
        assert (caught.value.expected, caught.value.found) == ("r1", "r2")
        contents = await store.load()
        assert contents.functions == (function("a", "r2", "{}"),)
        assert contents.tags == (tags("a", k="v"),)  # a function's change leaves its tags alone

    run(store, check)


def test_creates_only_what_is_not_there(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("a"), expected=None)
        with pytest.raises(RevisionConflict) as caught:
            await store.put_function(function("a", "r2"), expected=None)
        assert caught.value.found == "r1"
        with pytest.raises(RevisionConflict) as caught:
            await store.put_function(function("b"), expected="r1")
        assert caught.value.found is None
        assert (await store.load()).functions == (function("a"),)

    run(store, check)


def test_function_and_tags_come_together_or_not_at_all(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("a"), expected=None, tags=tags("a", k="v"))
        with pytest.raises(RevisionConflict):
            await store.put_function(function("a", "r2"), expected="r1", tags=tags("a", "t2"))
        assert await store.load() == StoreContents((function("a"),), (tags("a", k="v"),))

    run(store, check)


def test_removes_only_the_expected_revision_and_the_tags_with_it(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("a"), expected=None, tags=tags("a", k="v"))
        with pytest.raises(RevisionConflict):
            await store.remove_function("arn:a", expected="r0")
        await store.remove_function("arn:a", expected="r1")
        assert await store.load() == StoreContents((), ())
        with pytest.raises(RevisionConflict) as caught:
            await store.remove_function("arn:a", expected="r1")
        assert caught.value.found is None

    run(store, check)


def test_tags_have_a_revision_of_their_own(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("a"), expected=None)
        await store.put_tags(tags("a", x="1"), expected=None)
        with pytest.raises(RevisionConflict):
            await store.put_tags(tags("a", "t2"), expected=None)
        with pytest.raises(RevisionConflict):
            await store.put_tags(tags("a", "t2"), expected="t0")
        await store.put_tags(tags("a", "t2", y="ü"), expected="t1")
        contents = await store.load()
        assert contents.tags == (tags("a", "t2", y="ü"),)
        assert contents.functions == (function("a"),)

    run(store, check)


def test_no_tags_without_a_function(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        with pytest.raises(RevisionConflict):
            await store.put_tags(tags("a", x="1"), expected=None)
        assert (await store.load()).tags == ()

    run(store, check)


def test_of_concurrent_writers_one_wins(store: FunctionStore) -> None:
    async def check(store: FunctionStore) -> None:
        await store.put_function(function("a", "r0"), expected=None)
        writes = [
            store.put_function(function("a", f"r{number}"), expected="r0") for number in range(1, 9)
        ]
        results = await asyncio.gather(*writes, return_exceptions=True)
        losers = [result for result in results if isinstance(result, RevisionConflict)]
        winner = [f"r{n}" for n, result in enumerate(results, 1) if result is None]
        assert len(losers) == 7
        assert [stored.revision for stored in (await store.load()).functions] == winner

    run(store, check)
