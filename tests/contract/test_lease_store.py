"""What every LeaseStore promises, held against the fake and the real one alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from samovar.errors import EngineError
from samovar.stores.leases import Lease, LeaseLost, LeaseStore, MemoryLeaseStore
from samovar.stores.sqlite_leases import SqliteLeaseStore

Check = Callable[[LeaseStore], Awaitable[None]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LeaseStore:
    if request.param == "memory":
        return MemoryLeaseStore()
    return SqliteLeaseStore(tmp_path)


def run(store: LeaseStore, check: Check) -> None:
    async def opened() -> None:
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(opened())


async def lost(writing: Awaitable[object]) -> LeaseLost:
    with pytest.raises(LeaseLost) as caught:
        await writing
    return caught.value


def test_a_lease_begins_with_what_its_first_owner_says(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        assert await store.of("m") == []
        assert await store.take("m", "s", "a", 0, "start") == Lease("m", "s", "a", 1, "start")
        assert await store.of("m") == [Lease("m", "s", "a", 1, "start")]

    run(store, check)


def test_whoever_takes_over_finds_the_checkpoint(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        lease = await store.take("m", "s", "a", 0, "start")
        lease = await store.write(lease, "ü 1")
        assert lease == Lease("m", "s", "a", 1, "ü 1")
        assert await store.take("m", "s", "b", 1, "start") == Lease("m", "s", "b", 2, "ü 1")

    run(store, check)


def test_a_checkpoint_may_be_large(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        state = '{"tea":"ü☕\\u0000"}' * 100_000
        lease = await store.write(await store.take("m", "s", "a", 0, "start"), state)
        assert await store.of("m") == [lease]
        assert lease.checkpoint == state

    run(store, check)


def test_an_earlier_owner_changes_nothing(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        earlier = await store.take("m", "s", "a", 0, "start")
        later = await store.take("m", "s", "b", 1, "")
        found = await lost(store.write(earlier, "mine"))
        assert (found.expected, found.found) == (1, 2)
        await lost(store.remove(earlier))
        assert await store.of("m") == [later]

    run(store, check)


def test_only_what_was_seen_is_taken(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        assert (await lost(store.take("m", "s", "a", 1, ""))).found == 0
        await store.take("m", "s", "a", 0, "")
        assert (await lost(store.take("m", "s", "b", 0, ""))).found == 1
        takers = [store.take("m", "s", name, 1, "") for name in "bcde"]
        results = await asyncio.gather(*takers, return_exceptions=True)
        assert [type(result) for result in results] == [Lease, *[LeaseLost] * 3]

    run(store, check)


def test_leases_are_a_mappings_own_and_go_by_shard(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        for mapping, shard in (("m", "2"), ("n", "1"), ("m", "1"), ("m", "10")):
            await store.take(mapping, shard, "a", 0, "")
        assert [lease.shard for lease in await store.of("m")] == ["1", "10", "2"]
        await store.forget("m")
        assert await store.of("m") == []
        assert [lease.shard for lease in await store.of("n")] == ["1"]

    run(store, check)


def test_what_is_removed_is_not_written_again(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        lease = await store.take("m", "s", "a", 0, "")
        other = await store.take("m", "t", "a", 0, "")
        await store.remove(lease)
        assert await store.of("m") == [other]
        assert (await lost(store.write(lease, "x"))).found == 0
        await store.forget("m")
        assert (await lost(store.write(other, "x"))).found == 0

    run(store, check)


def test_one_that_lost_does_not_hold_up_the_others(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        one = await store.take("m", "1", "a", 0, "")
        await store.take("m", "1", "b", 1, "")
        two = await store.take("m", "2", "a", 0, "")
        results = await asyncio.gather(
            store.write(two, "x"), store.write(one, "x"), return_exceptions=True
        )
        assert [type(result) for result in results] == [Lease, LeaseLost]
        assert [lease.checkpoint for lease in await store.of("m")] == ["", "x"]

    run(store, check)


def test_survives_close_and_open(store: LeaseStore) -> None:
    async def write(store: LeaseStore) -> None:
        await store.write(await store.take("m", "s", "a", 0, ""), "here")

    async def check(store: LeaseStore) -> None:
        assert await store.of("m") == [Lease("m", "s", "a", 1, "here")]

    run(store, write)
    run(store, check)


def test_whoever_asks_after_the_end_is_told(store: LeaseStore) -> None:
    async def check(store: LeaseStore) -> None:
        await store.close()
        with pytest.raises(EngineError):
            await store.of("m")
        await store.close()

    run(store, check)
