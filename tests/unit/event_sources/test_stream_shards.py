"""Shards that come and go, and whose turn it is."""

from __future__ import annotations

import asyncio

from tests.unit.event_sources.failing_leases import Failing
from tests.unit.event_sources.stream_house import TARGET, House, after, play

from samovar.errors import EngineError
from samovar.event_sources.shard_batches import Condition
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.streams import END

# Shards that are no more.


def test_what_is_in_hand_of_a_shard_that_is_no_more_is_given_up_and_told_of() -> None:
    it = House(on_failure=TARGET, batch_size=2)
    it.shard("s", "a", "b", "c")
    it.answer = lambda texts: True

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 6)  # the next one is far off
        del it.stream.kept["s"]
        await it.until(lambda: poller.pollers == 0)
        # And what was read already, and was in no batch yet.
        (dropped, shard), (ahead, _) = it.gone
        assert (dropped.condition, shard) == (Condition.AGE, "s")
        assert [record.key for record in ahead.piece.records] == ["s-2"]
        assert [record.key for record in dropped.piece.records] == ["s-0", "s-1"]
        assert dropped.piece.runs == len(it.batches) <= 7
        assert it.numbers.events["dropped"] == 3
        await it.stands()
        assert await it.checkpoint() is None

    play(it, scene)


def test_what_runs_when_its_shard_is_no_more_may_succeed() -> None:
    it = House(on_failure=TARGET, batch_size=1, parallelization=10)
    it.shard("s", "a", "b")

    async def scene(poller: StreamPoller) -> None:
        held = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: held if texts == ["a"] else True
        await it.until(lambda: it.texts.count("b") == 3)
        del it.stream.kept["s"]
        await it.until(lambda: it.gone)
        ((dropped, _),) = it.gone
        assert [record.key for record in dropped.piece.records] == ["s-1"]
        assert poller.pollers == 1
        held.set_result(None)
        await it.until(lambda: poller.pollers == 0)
        assert len(it.gone) == 1

    play(it, scene)


def test_what_waits_for_a_place_is_given_up_with_its_shard() -> None:
    it = House(on_failure=TARGET, batch_size=1)
    it.shard("s", "a")
    it.answer = lambda texts: True

    async def played() -> None:
        poller = it.poller()
        await poller.start()
        await it.until(lambda: it.batches)
        it.full = asyncio.Event()
        del it.stream.kept["s"]
        await it.until(lambda: it.gone)
        assert it.texts == ["a"]
        await it.until(lambda: poller.pollers == 0)
        await poller.stop()
        assert it.places == 0

    asyncio.run(played())


def test_a_reader_that_waits_for_a_place_ends_with_its_shard() -> None:
    it = House()
    it.shard("s", "a")

    async def played() -> None:
        it.full = asyncio.Event()
        poller = it.poller()
        await poller.start()
        await it.stands()
        del it.stream.kept["s"]
        await it.until(lambda: poller.pollers == 0)
        await poller.stop()
        assert (it.places, it.clock.pending, it.texts) == (0, 0, [])

    asyncio.run(played())


def test_what_was_given_up_is_written_down_although_the_store_fails_at_first() -> None:
    it = House(on_failure=TARGET)
    it.leases = leases = Failing()
    it.shard("s", "a")
    it.answer = lambda texts: True

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 3)
        leases.writes = [EngineError("the disk is full")] * 2
        del it.stream.kept["s"]
        await it.until(lambda: it.gone)
        await it.until(lambda: poller.pollers == 0)
        assert leases.writes == []
        assert len(it.gone) == 1

    play(it, scene)


def test_a_window_that_is_open_is_given_up_with_its_shard() -> None:
    it = House(on_failure=TARGET, tumbling_window=60)
    it.shard("s", "a")
    it.answer = lambda texts: {"state": {"count": 1}}

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts)
        del it.stream.kept["s"]
        await it.until(lambda: poller.pollers == 0)
        ((dropped, _),) = it.gone
        assert (dropped.piece.records, dropped.condition) == ((), Condition.AGE)
        assert dropped.turn is not None
        assert dropped.turn.final
        assert it.batches == [["a"]]
        await it.stands()
        assert await it.checkpoint() is None

    play(it, scene)


def test_what_was_given_up_before_its_shard_is_no_more_is_told_of() -> None:
    it = House(on_failure=TARGET, retries=0)
    it.shard("s", "a")
    it.answer = lambda texts: True
    it.untold = [EngineError("the disk is full")] * 6  # for a minute

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.untold) == 3)
        del it.stream.kept["s"]
        await it.until(lambda: poller.pollers == 0)
        ((dropped, _),) = it.gone
        assert dropped.condition is Condition.RETRIES
        assert it.texts == ["a"]

    play(it, scene)


def test_a_shard_that_a_list_leaves_out_is_read_on() -> None:
    it = House()
    it.shard("s", "a")
    it.shard("t", "b")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.texts) == 2)
        left_out = it.stream.kept.pop("s")
        it.stream.elsewhere["s"] = left_out
        it.stream.kept["t"].closed = True
        looks = it.stream.looks
        await it.until(lambda: it.stream.looks == looks + 1)
        it.stream.kept["s"] = it.stream.elsewhere.pop("s")
        it.put("s", "c")
        await it.passes_by(30)
        assert it.texts == ["a", "b", "c"]
        assert await it.checkpoint() == after("s-1")

    play(it, scene)


def test_two_looks_that_follow_each_other_closely_are_as_one() -> None:
    it = House()
    it.shard("s", "a")
    it.shard("t", "b")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.texts) == 2)
        it.stream.elsewhere["s"] = it.stream.kept.pop("s")
        await it.passes_by(10)
        it.stream.kept["t"].closed = True
        looks = it.stream.looks
        for _ in range(3):
            poller._again.set()
            await it.stands()
        assert it.stream.looks == looks + 3
        assert poller.pollers == 2

    play(it, scene)


def test_a_lease_stays_where_it_can_not_be_removed() -> None:
    it = House()
    it.leases = leases = Failing()
    it.shard("s", "a")
    it.shard("t", "b")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.texts) == 2)
        leases.removals = [EngineError("the disk is full")]
        del it.stream.kept["s"]
        await it.passes_by(60)
        assert leases.removals == []
        assert await it.checkpoint() is None
        assert it.numbers.errors["EngineError"] == 1

    play(it, scene)


# Children.


def test_a_child_waits_for_a_parent_that_runs_although_it_is_no_more() -> None:
    it = House()
    it.shard("p", "p1", closed=True)
    it.shard("c", "c1", parents=("p",))

    async def scene(poller: StreamPoller) -> None:
        held = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: held if texts == ["p1"] else None
        await it.until(lambda: it.batches)
        del it.stream.kept["p"]
        await it.passes_by(40)
        assert it.texts == ["p1"]
        held.set_result(None)
        await it.until(lambda: it.texts == ["p1", "c1"])

    play(it, scene)


def test_a_child_waits_for_a_parent_that_the_first_list_leaves_out() -> None:
    it = House(batch_size=1)
    it.shard("p", "p1", "p2", closed=True)
    it.shard("c", "c1", parents=("p",))
    it.answer = lambda texts: texts == ["p2"]

    async def first(poller: StreamPoller) -> None:
        await it.until(lambda: "p2" in it.texts)

    async def second(poller: StreamPoller) -> None:
        assert "c1" not in it.texts
        await it.stands()
        it.stream.kept["p"] = it.stream.elsewhere.pop("p")
        await it.until(lambda: "c1" in it.texts)
        assert it.texts == ["p2", "c1"]

    play(it, first)
    it.batches, it.answer = [], lambda texts: None
    it.stream.elsewhere["p"] = it.stream.kept.pop("p")
    play(it, second)


def test_a_closed_shard_ends_with_its_iterator_where_nobody_says_what_is_behind() -> None:
    it = House()
    it.stream.tells, it.stream.ends = False, True
    it.shard("p", "p1", closed=True)
    it.shard("c", "c1", parents=("p",))

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: "c1" in it.texts)
        assert await it.checkpoint("p") == END

    play(it, scene)


def test_an_empty_page_of_a_closed_shard_is_not_its_end_while_there_is_more() -> None:
    it = House()
    it.shard("p", "p1", closed=True)
    it.shard("c", "c1", parents=("p",))
    it.stream.holes = 3

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: "c1" in it.texts)
        assert it.texts == ["p1", "c1"]
        assert it.stream.holes == 0

    play(it, scene)


def test_an_end_during_a_look_begins_another_one() -> None:
    it = House()
    it.leases = leases = Failing()
    it.shard("gone", "g")
    it.shard("p", "p1")
    it.shard("c", "c1", parents=("p",))

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: {"g", "p1"} <= set(it.texts))
        leases.held = asyncio.Event()
        del it.stream.kept["gone"]
        await it.until(lambda: leases.holds)  # a look is under way
        poller._readers["p"][0].closed = True  # as a look would have told it
        it.stream.kept["p"].closed = True
        await it.until(lambda: poller.pollers == 0)
        now = it.clock.monotonic()
        leases.held.set()
        await it.stands()
        assert "c1" in it.texts
        assert it.clock.monotonic() == now

    play(it, scene)
