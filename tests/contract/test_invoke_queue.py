"""What every InvokeQueue must do: the fake, and the one that keeps things."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from samovar.stores.invoke_queue import InvokeQueue, Item, ItemKind, ItemState
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.stores.sqlite_queue import SqliteInvokeQueue

NOW = 1_700_000_000.0
EVENT, DELIVERY = ItemKind.EVENT, ItemKind.DELIVERY
WAITING, CLAIMED, DEAD = ItemState.WAITING, ItemState.CLAIMED, ItemState.DEAD

# libuv makes a pipe for signals with the process's first loop and keeps it: before any test.
uvloop.new_event_loop().close()

Scenario = Callable[[InvokeQueue], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "sqlite"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    queue: InvokeQueue
    if request.param == "memory":
        queue = MemoryInvokeQueue("node")
    else:
        queue = SqliteInvokeQueue(tmp_path, "node", 1 << 20)

    def run(scenario: Scenario) -> None:
        async def live() -> None:
            await queue.open()
            try:
                await scenario(queue)
            finally:
                await queue.close()

        uvloop.run(live())

    return run


def item(name: str, *, lane: str = "f", due: float = NOW, kind: ItemKind = EVENT) -> Item:
    return Item(name, kind, lane, b"head", b"{}", NOW, due, NOW + 60, "node")


async def claim(
    queue: InvokeQueue, limit: int = 10, *, lane: str = "f", now: float = NOW, lasts: float = 60
) -> list[Item]:
    claimed = await queue.claim(EVENT, lane, now=now, limit=limit, until=now + lasts)
    return list(claimed.items)


def names(items: list[Item]) -> list[str]:
    return [one.id for one in items]


def test_what_is_due_first_comes_first_and_only_once(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        for name, due in (("b", NOW - 1), ("c", NOW), ("a", NOW - 2), ("later", NOW + 5)):
            await queue.put(item(name, due=due))
        assert names(await claim(queue, 2)) == ["a", "b"]
        found = await queue.claim(EVENT, "f", now=NOW, limit=10, until=NOW + 60)
        assert names(list(found.items)) == ["c"]
        assert found.next_due == NOW + 5
        assert await claim(queue) == []

    run(scenario)


def test_a_lane_and_a_kind_have_their_own(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        await queue.put(item("a"))
        await queue.put(item("b", lane="g"))
        await queue.put(item("c", kind=DELIVERY))
        assert names(await claim(queue)) == ["a"]
        found = await queue.claim(EVENT, "none", now=NOW, limit=10, until=NOW)
        assert (list(found.items), found.next_due) == ([], None)

    run(scenario)


def test_an_item_comes_back_as_it_was_put(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        large = bytes(range(256)) * 4096
        put = Item("a", EVENT, "f", b"\x00head", large, NOW - 9, NOW - 1, NOW + 7, "node")
        await queue.put(put)
        (claimed,) = await claim(queue)
        assert claimed == replace(put, attempt=1)
        found = await queue.find("a")
        assert found == (replace(put, attempt=1), CLAIMED)

    run(scenario)


def test_each_claim_has_the_next_attempt(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        await queue.put(item("a"))
        (first,) = await claim(queue)
        assert await queue.retry_at(first, NOW + 1, b"second")
        assert await claim(queue) == []
        (second,) = await claim(queue, now=NOW + 1)
        assert (second.attempt, second.head, second.due) == (2, b"second", NOW + 1)

    run(scenario)


def test_a_claim_that_was_given_back_changes_nothing_any_more(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        await queue.put(item("a"))
        (first,) = await claim(queue)
        await queue.retry_at(first, NOW, b"")
        for change in (
            queue.complete(first, item("b")),
            queue.complete(first, dead=b"dead"),
            queue.retry_at(first, NOW, b""),
            queue.extend(first, NOW + 9),
        ):
            assert not await change
        (second,) = await claim(queue)
        assert not await queue.complete(first)
        assert await queue.find("b") is None
        assert await queue.complete(second)
        assert not await queue.complete(second)
        assert await queue.find("a") is None

    run(scenario)


def test_what_was_never_claimed_can_not_be_completed(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        one = item("a")
        await queue.put(one)
        assert not await queue.complete(one)
        assert names(await claim(queue)) == ["a"]

    run(scenario)


def test_a_claim_that_runs_out_is_none(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        await queue.put(item("a"))
        await queue.put(item("b"), NOW + 60)
        (first,) = await claim(queue, lasts=10)
        assert await queue.extend(first, NOW + 30)
        assert await claim(queue, now=NOW + 29) == []
        (again,) = await claim(queue, now=NOW + 30)
        assert (again.id, again.attempt) == ("a", 2)
        assert not await queue.complete(first)
        assert await queue.complete(again)
        assert names(await claim(queue, now=NOW + 61)) == ["b"]
        assert queue.depths() == {(EVENT, CLAIMED): 1}

    run(scenario)


def test_an_item_can_be_put_with_its_first_claim(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        one = item("a")
        await queue.put(one, NOW + 60)
        assert one.attempt == 1
        assert await claim(queue) == []
        assert await queue.complete(one)
        assert await queue.lanes() == []

    run(scenario)


def test_what_takes_an_item_s_place_comes_with_its_end(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        await queue.put(item("a"), NOW + 60)
        (found,) = [await queue.find("a")]
        assert found is not None
        assert await queue.complete(
            found.item, item("b", kind=DELIVERY), item("c", kind=DELIVERY), dead=b"why"
        )
        assert queue.depths() == {(DELIVERY, WAITING): 2, (EVENT, DEAD): 1}
        dead = await queue.find("a")
        assert dead is not None
        assert (dead.state, dead.item.head) == (DEAD, b"why")
        assert await claim(queue) == []

    run(scenario)


def test_the_dead_can_live_again_or_be_forgotten(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        for name in ("a", "b"):
            one = item(name)
            await queue.put(one, NOW + 60)
            assert not await queue.revive(name, now=NOW, expires=NOW, head=b"")
            assert not await queue.forget(name)
            await queue.complete(one, dead=b"dead")
        assert await queue.revive("a", now=NOW + 5, expires=NOW + 9, head=b"again")
        assert not await queue.revive("a", now=NOW + 5, expires=NOW + 9, head=b"again")
        (again,) = await claim(queue, now=NOW + 5)
        assert (again.id, again.head, again.accepted, again.expires) == (
            *("a", b"again", NOW + 5, NOW + 9),
        )
        assert again.attempt == 2
        assert await queue.forget("b")
        assert not await queue.forget("b")
        assert queue.depths() == {(EVENT, CLAIMED): 1}

    run(scenario)


def test_a_look_shows_page_after_page(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        for number in range(5):
            one = item(f"{number}", lane="f" if number % 2 else "g")
            one.body = b"x" * 5000
            await queue.put(one)
        first = await queue.look(WAITING, limit=2)
        assert [found.item.id for found in first] == ["0", "1"]
        assert {len(found.item.body) for found in first} == {1024}
        rest = await queue.look(WAITING, after="1")
        assert [found.item.id for found in rest] == ["2", "3", "4"]
        assert [found.item.id for found in await queue.look(WAITING, lane="f")] == ["1", "3"]
        assert await queue.look(DEAD) == []

    run(scenario)


def test_lanes_say_what_waits_in_them(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        early = item("a", due=NOW + 3)
        early.accepted = NOW - 3
        await queue.put(early)
        await queue.put(item("b", due=NOW + 1))
        await queue.put(item("c"), NOW + 60)
        await queue.put(item("d", lane="g"), NOW + 60)
        await queue.put(item("e", lane="g", kind=DELIVERY))
        assert sorted(await queue.lanes()) == [
            (DELIVERY, "g", 1, 0, NOW, NOW),
            (EVENT, "f", 2, 1, NOW + 1, NOW - 3),
            (EVENT, "g", 0, 1, None, None),
        ]
        assert queue.depths() == {
            (EVENT, WAITING): 2,
            (EVENT, CLAIMED): 2,
            (DELIVERY, WAITING): 1,
        }

    run(scenario)


def test_what_a_node_had_claimed_waits_again_once_it_is_back(run: Run) -> None:
    async def first(queue: InvokeQueue) -> None:
        await queue.put(item("a"), NOW + 1e6)
        await queue.put(item("b"))
        await queue.put(item("c"))
        await claim(queue, 1, lasts=1e6)
        gone = item("d")
        await queue.put(gone, NOW + 1e6)
        await queue.complete(gone, dead=b"dead")

    async def second(queue: InvokeQueue) -> None:
        assert queue.depths() == {(EVENT, WAITING): 3, (EVENT, DEAD): 1}
        claimed = await claim(queue)
        assert [(one.id, one.attempt) for one in claimed] == [("a", 2), ("b", 2), ("c", 1)]

    run(first)
    run(second)


def test_many_at_once_get_what_is_theirs(run: Run) -> None:
    async def scenario(queue: InvokeQueue) -> None:
        await asyncio.gather(*(queue.put(item(f"{number}")) for number in range(200)))
        parts = await asyncio.gather(*(claim(queue, 7) for _ in range(40)))
        taken = [one for part in parts for one in part]
        assert sorted(names(taken), key=int) == [f"{number}" for number in range(200)]
        ends = await asyncio.gather(*(queue.complete(one) for one in taken for _ in range(2)))
        assert sum(ends) == 200
        assert queue.depths() == {}

    run(scenario)
