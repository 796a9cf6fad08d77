"""What every InvokeQueue promises, held against the fake and the real one alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.contract.queue_house import (
    CLAIMED,
    DEAD,
    DELIVERY,
    EVENT,
    LANE,
    LARGE,
    LATER,
    NOW,
    WAITING,
    claim,
    claimed,
    item,
    names,
    run,
    seen,
    state,
)

from samovar.errors import EngineError
from samovar.stores.invoke_queue import (
    FORMAT_VERSION,
    Claimed,
    InvokeQueue,
    Lane,
)
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.stores.sqlite_queue import SqliteInvokeQueue


def test_starts_empty(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        assert await claim(queue) == Claimed([], None)
        assert await queue.lanes() == []
        assert sum(queue.depths().values()) == 0
        assert await queue.find("a") is None
        assert await queue.look(WAITING) == []

    run(queue, check)


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 1536, b"x" * 1537, LARGE], ids=len)
def test_what_is_put_is_claimed_as_it_is(queue: InvokeQueue, body: bytes) -> None:
    async def check(queue: InvokeQueue) -> None:
        put = item("a", body=body, head=b"\x00\xff", accepted=NOW - 0.25, expires=NOW + 0.5)
        await queue.put(put)
        assert await seen(queue, "a") == (put, WAITING)
        assert await claim(queue) == Claimed([replace(put, attempt=1)], None)
        assert await seen(queue, "a") == (replace(put, attempt=1), CLAIMED)

    run(queue, check)


def test_put_and_claimed_at_once(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        put = item("a", body=LARGE)
        await queue.put(put, LATER)
        assert put.attempt == 1
        assert await seen(queue, "a") == (put, CLAIMED)
        assert await claim(queue) == Claimed([], None)
        assert await queue.complete(put)
        assert await queue.find("a") is None

    run(queue, check)


def test_a_claim_is_of_one_lane_and_kind(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        await queue.put(item("a"))
        await queue.put(item("b", lane="other"))
        await queue.put(item("c", kind=DELIVERY))
        assert names(await claim(queue)) == ["a"]
        assert names(await claim(queue, lane="other")) == ["b"]
        assert names(await claim(queue, kind=DELIVERY)) == ["c"]

    run(queue, check)


def test_first_those_that_are_due_first(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        for number, due in enumerate((0.0, -2.0, 3.0, -1.0, -2.0, 5.0)):
            await queue.put(item(str(number), due=NOW + due))
        found = await claim(queue, 2)
        assert (names(found), found.next_due) == (["1", "4"], NOW - 1.0)
        found = await claim(queue, 2)
        assert (names(found), found.next_due) == (["3", "0"], NOW + 3.0)
        found = await claim(queue, 2)
        assert (names(found), found.next_due) == ([], NOW + 3.0)
        found = await claim(queue, 1, now=NOW + 5.0)
        assert (names(found), found.next_due) == (["2"], NOW + 5.0)
        found = await claim(queue, 1, now=NOW + 5.0)
        assert (names(found), found.next_due) == (["5"], None)

    run(queue, check)


def test_a_claim_of_nothing_says_what_is_due(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        await queue.put(item("a"))
        assert await claim(queue, 0) == Claimed([], NOW)

    run(queue, check)


def test_of_many_claimers_each_item_has_one(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        puts = [queue.put(item(str(number), due=NOW + number)) for number in range(200)]
        claims = [claim(queue, 7, now=NOW + 200.0, until=NOW + 260.0) for _ in range(32)]
        _, *found = await asyncio.gather(asyncio.gather(*puts), *claims)
        taken = [name for one in found for name in names(one)]
        assert taken == [str(number) for number in range(200)]

    run(queue, check)


def test_a_completed_item_is_gone(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a")
        assert await queue.complete(a)
        assert await state(queue, "a") is None
        assert not await queue.complete(a)
        assert sum(queue.depths().values()) == 0

    run(queue, check)


def test_only_the_holder_of_the_last_claim_settles(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        first = await claimed(queue, "a")
        assert await queue.retry_at(first, NOW, b"again")
        ((second,), _) = await claim(queue)
        assert (second.attempt, second.head) == (2, b"again")
        for stale in (first, replace(second, attempt=3), replace(second, attempt=0)):
            assert not await queue.complete(stale, item("b"))
            assert not await queue.complete(stale, item("b"), dead=b"dead")
            assert not await queue.retry_at(stale, NOW, b"stale")
            assert not await queue.extend(stale, LATER)
        assert await seen(queue, "a") == (second, CLAIMED)
        assert await state(queue, "b") is None
        assert await queue.complete(second)

    run(queue, check)


def test_what_is_not_claimed_can_not_be_settled(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        waiting, none = item("a"), item("b", attempt=1)
        await queue.put(waiting)
        for one in (waiting, replace(waiting, attempt=1), none):
            assert not await queue.complete(one)
            assert not await queue.retry_at(one, NOW, b"x")
            assert not await queue.extend(one, LATER)
        assert await seen(queue, "a") == (waiting, WAITING)

    run(queue, check)


def test_of_two_who_settle_at_the_same_time_one_does(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a")
        done = await asyncio.gather(
            queue.complete(a, item("b")), queue.retry_at(a, NOW, b"x"), queue.complete(a, item("c"))
        )
        assert done == [True, False, False]
        assert names(await queue.look(WAITING)) == ["b"]

    run(queue, check)


def test_what_follows_comes_in_the_place_of_what_is_completed(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a")
        following = [
            item("b", kind=DELIVERY, lane="queue", body=LARGE, due=NOW + 1.0),
            item("c", kind=DELIVERY, lane="topic"),
        ]
        assert await queue.complete(a, *following)
        assert await seen(queue, "b") == (following[0], WAITING)
        assert names(await claim(queue, kind=DELIVERY, lane="topic")) == ["c"]
        assert queue.depths() == {(DELIVERY, WAITING): 1, (DELIVERY, CLAIMED): 1}

    run(queue, check)


def test_put_off(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a", body=LARGE)
        assert await queue.retry_at(a, NOW + 60.0, b"second")
        assert await claim(queue) == Claimed([], NOW + 60.0)
        ((again,), _) = await claim(queue, now=NOW + 60.0, until=NOW + 90.0)
        assert again == replace(a, attempt=2, due=NOW + 60.0, head=b"second")

    run(queue, check)


def test_no_clock_takes_a_claim_from_a_node_that_is_there(queue: InvokeQueue) -> None:
    """A machine that slept, and a clock that was set, are no deaths."""

    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a")
        await queue.put(item("b"), LATER)
        await queue.put(item("c", lane="another"))
        assert names(await claim(queue, now=LATER + 9e9, lane="another")) == ["c"]
        assert await claim(queue, now=LATER + 9e9) == Claimed([], None)
        assert await queue.extend(a, LATER + 60.0)
        assert await queue.complete(a)

    run(queue, check)


def test_dead_ones_are_kept_apart(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a", body=LARGE)
        assert await queue.complete(a, item("b"), dead=b"why")
        assert await seen(queue, "a") == (replace(a, head=b"why"), DEAD)
        assert queue.depths() == {(EVENT, DEAD): 1, (EVENT, WAITING): 1}
        assert names(await claim(queue, now=NOW + 9999.0)) == ["b"]
        assert not await queue.complete(a)

    run(queue, check)


def test_a_dead_one_lives_again(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a", body=LARGE)
        alive = await queue.revive("a", now=NOW, expires=LATER, head=b"x")
        assert not alive  # it is not dead
        await queue.complete(a, dead=b"why")
        assert await queue.revive("a", now=NOW + 5.0, expires=NOW + 9.0, head=b"new")
        assert not await queue.revive("a", now=NOW, expires=LATER, head=b"x")
        wanted = replace(a, accepted=NOW + 5.0, due=NOW + 5.0, expires=NOW + 9.0, head=b"new")
        assert await seen(queue, "a") == (wanted, WAITING)
        assert await claim(queue) == Claimed([], NOW + 5.0)
        ((again,), _) = await claim(queue, now=NOW + 5.0)
        assert again == replace(wanted, attempt=2)
        assert not await queue.complete(a)  # a claim of its first life
        assert await queue.complete(again)
        assert sum(queue.depths().values()) == 0

    run(queue, check)


def test_only_dead_ones_are_forgotten(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        await queue.put(item("b"))
        await queue.put(item("a", due=NOW - 1.0))
        ((a,), _) = await claim(queue, 1)
        for name in ("a", "b", "c"):
            assert await queue.forget(name) is False
        await queue.complete(a, dead=b"why")
        assert await queue.forget("a")
        assert not await queue.forget("a")
        assert await queue.find("a") is None
        assert queue.depths() == {(EVENT, WAITING): 1}

    run(queue, check)


def test_lanes(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        await queue.put(item("a", accepted=NOW - 9.0, due=NOW + 1.0))
        await queue.put(item("b", accepted=NOW - 7.0))
        await queue.put(item("c", accepted=NOW - 99.0), LATER)
        await queue.put(item("d", kind=DELIVERY, lane="queue"), LATER)
        dead = item("e", lane="gone")
        await queue.put(dead, LATER)
        await queue.complete(dead, dead=b"")
        assert sorted(await queue.lanes()) == [
            Lane(DELIVERY, "queue", 0, 1, None, None),
            Lane(EVENT, LANE, 2, 1, NOW, NOW - 9.0),
        ]

    run(queue, check)


def test_depths_follow_everything(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        for number in range(5):
            await queue.put(item(str(number), due=NOW + number))
        assert queue.depths() == {(EVENT, WAITING): 5}
        (zero, one, two), _ = await claim(queue, 3, now=NOW + 9.0)
        assert queue.depths() == {(EVENT, WAITING): 2, (EVENT, CLAIMED): 3}
        await queue.complete(zero)
        await queue.complete(one, dead=b"")
        await queue.retry_at(two, NOW + 50.0, b"")
        assert queue.depths() == {(EVENT, WAITING): 3, (EVENT, DEAD): 1}
        await queue.put(item("d", kind=DELIVERY), LATER)
        assert queue.depths()[DELIVERY, CLAIMED] == 1

    run(queue, check)


def test_what_was_claimed_waits_again_after_a_restart(queue: InvokeQueue) -> None:
    put, large = item("a", due=NOW - 5.0), item("b", body=LARGE)

    async def before(queue: InvokeQueue) -> None:
        await queue.put(put)
        await queue.put(large, LATER)
        await queue.put(item("c", due=NOW + 5.0))
        dead = item("d")
        await queue.put(dead, LATER)
        await queue.complete(dead, dead=b"why")
        assert names(await claim(queue)) == ["a"]

    async def after(queue: InvokeQueue) -> None:
        assert queue.depths() == {(EVENT, WAITING): 3, (EVENT, DEAD): 1}
        assert await seen(queue, "a") == (replace(put, attempt=1), WAITING)
        assert not await queue.complete(replace(put, attempt=1))
        found = await claim(queue)
        assert found.items == [replace(put, attempt=2), replace(large, attempt=2)]
        assert found.next_due == NOW + 5.0
        assert await queue.revive("d", now=NOW, expires=LATER, head=b"")

    run(queue, before)
    run(queue, after)


def test_what_another_node_has_claimed_is_its_own(queue: InvokeQueue) -> None:
    """Until its claim runs out."""
    other = (
        MemoryInvokeQueue("there")
        if isinstance(queue, MemoryInvokeQueue)
        else SqliteInvokeQueue(queue.path.parent, "there", 1 << 30)  # type: ignore[attr-defined]
    )

    async def before(there: InvokeQueue) -> None:
        await there.put(item("a"), LATER)

    async def after(here: InvokeQueue) -> None:
        assert await state(here, "a") is CLAIMED
        assert await claim(here) == Claimed([], None)
        await claim(here, lane="another", now=LATER)
        assert here.depths() == {(EVENT, WAITING): 1}
        ((a,), _) = await claim(here, now=LATER, until=LATER + 60.0)
        assert (a.attempt, a.node) == (2, "here")

    run(other, before)
    if isinstance(queue, MemoryInvokeQueue):
        assert isinstance(other, MemoryInvokeQueue)
        queue._kept = other._kept
    run(queue, after)


def test_a_format_of_the_future_is_left_alone(
    queue: InvokeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    future = item("a", format=FORMAT_VERSION + 1, due=NOW - 1.0)

    async def before(queue: InvokeQueue) -> None:
        await queue.put(future)
        await queue.put(item("b"))

    async def after(queue: InvokeQueue) -> None:
        assert queue.depths() == {(EVENT, WAITING): 2}
        assert (await queue.lanes())[0].waiting == 2
        found = await claim(queue)
        assert (names(found), found.next_due) == (["b"], None)
        assert await seen(queue, "a") == (future, WAITING)
        assert names(await queue.look(WAITING)) == ["a"]
        assert names(await queue.look(WAITING, kind=EVENT, lane=LANE)) == ["a"]

    run(queue, before)
    run(queue, after)
    assert [record.message for record in caplog.records if "format" in record.message]


def test_what_is_asked_for_at_the_end_is_done(queue: InvokeQueue) -> None:
    async def before() -> None:
        await queue.open()
        puts = [queue.put(item(str(number))) for number in range(100)]
        await queue.close()
        await queue.close()
        assert all(put.done() and put.exception() is None for put in puts)

    async def after(queue: InvokeQueue) -> None:
        assert queue.depths() == {(EVENT, WAITING): 100}

    asyncio.run(before())
    run(queue, after)


def test_whoever_stops_waiting_disturbs_nobody(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        a = await claimed(queue, "a")
        await queue.put(item("b"))
        calls = [
            asyncio.ensure_future(call)
            for call in (
                queue.put(item("c")),
                queue.complete(a),
                claim(queue),
                queue.put(item("d")),
                queue.look(WAITING),
            )
        ]
        await asyncio.sleep(0)
        for call in calls[:3]:
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done[:3]].count(True) <= 3
        assert done[3] is None
        assert await queue.find("d") is not None

    run(queue, check)


def test_use_of_a_queue_that_is_not_open(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        await queue.close()
        with pytest.raises(EngineError, match="not open"):
            queue.put(item("a"))
        with pytest.raises(EngineError, match="not open"):
            await claim(queue)
        with pytest.raises(EngineError, match="not open"):
            await queue.find("a")
        for where in (WAITING, CLAIMED):
            with pytest.raises(EngineError, match="not open"):
                await queue.look(where)

    run(queue, check)
