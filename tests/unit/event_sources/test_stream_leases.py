"""Leases and what is wrong with them, and streams that are made anew."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.event_sources.failing_leases import Failing
from tests.unit.event_sources.stream_house import TARGET, House, Said, after, play

from samovar.errors import EngineError
from samovar.event_sources.reading import NOTHING
from samovar.event_sources.shard_batches import Condition
from samovar.event_sources.stream_leases import Whole
from samovar.event_sources.stream_poller import StreamPoller
from samovar.model.event_source import StartingPosition
from samovar.stores.leases import LeaseLost

# What is wrong with one shard.


def test_a_checkpoint_that_is_none_holds_up_no_other_shard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = House()
    it.shard("a", "a1")
    it.shard("b", "b1")

    async def prepared() -> None:
        await it.leases.take("uuid", "", "x", 0, '{"since": 1.0, "settled": true}')
        await it.leases.take("uuid", "a", "x", 0, '["sideways","1"]')

    asyncio.run(prepared())

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["b1"])
        it.shard("c", "c1")
        await it.until(lambda: it.texts == ["b1", "c1"])
        await it.passes_by(20)
        assert it.numbers.errors["ValueError"] > 1

    play(it, scene)
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


def test_a_lease_of_somebody_else_holds_up_no_other_shard() -> None:
    it = House()
    it.leases = leases = Failing()
    it.shard("a", "a1")
    it.shard("b", "b1")
    leases.takes = {"a": [LeaseLost("uuid", "a", 0, 7)]}

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["b1"])
        await it.passes_by(30)
        assert it.texts == ["b1"]
        assert it.numbers.errors == {}
        assert (await it.whole()).settled

    play(it, scene)


def test_a_lease_that_can_not_be_taken_is_taken_later_and_others_at_once() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.leases = leases = Failing()
    it.shard("a")
    it.shard("b")

    async def scene(poller: StreamPoller) -> None:
        it.put("a", "a1")
        it.put("b", "b1")
        await it.stands()
        it.clock.advance(0.9)
        await it.stands()
        assert it.texts == expected
        await it.until(lambda: sorted(it.texts) == ["a1", "b1"])

    leases.takes = {"a": [EngineError("the disk is full")]}
    expected = ["b1"]
    it.put("b", "old")
    play(it, scene)  # of a new one
    it.batches = []
    for one in it.stream.kept.values():
        one.records.clear()
    leases.takes = {"a": [EngineError("the disk is full")]}

    async def again(poller: StreamPoller) -> None:
        await it.passes_by(5)
        assert poller.pollers == 2
        assert it.texts == []
        assert await it.checkpoint("a") == after("a-0")

    play(it, again)  # of one that is there


def test_what_is_kept_of_the_whole_may_be_damaged(caplog: pytest.LogCaptureFixture) -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["a"])

    asyncio.run(it.leases.take("uuid", "", "x", 0, "[]"))
    play(it, scene)
    assert "is lost" in caplog.text


def test_a_shard_that_can_not_be_read_is_tried_less_and_less() -> None:
    it = House()
    it.shard("s", "a")
    it.stream.errors = [Said("InternalFailure")] * 100

    async def scene(poller: StreamPoller) -> None:
        await it.passes_by(120)
        # After 1, 2, 4, 8, 16, 32 and 60 seconds.
        assert 6 <= it.numbers.errors["InternalFailure"] <= 8
        it.stream.errors = []
        await it.until(lambda: it.texts == ["a"])

    play(it, scene)


def test_leases_that_can_not_be_opened_are_tried_again() -> None:
    it = House()
    it.leases = leases = Failing()
    leases.lists = [EngineError("the database is damaged")] * 3
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        assert it.numbers.errors == {"EngineError": 1}
        await it.until(lambda: it.texts == ["a"])
        assert it.numbers.errors == {"EngineError": 3}

    play(it, scene)


def test_a_poller_can_be_stopped_while_its_leases_can_not_be_opened() -> None:
    it = House()
    it.leases = leases = Failing()
    leases.lists = [EngineError("the database is damaged")] * 100
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.passes_by(3)
        assert poller.pollers == 0

    play(it, scene)
    assert it.texts == []


# A stream that is made anew.


def test_a_stream_that_was_made_anew_is_read_from_its_start() -> None:
    it = House(starting_position=StartingPosition.LATEST, on_failure=TARGET, batch_size=1)
    it.shard("s")

    async def first(poller: StreamPoller) -> None:
        it.put("s", "a", "b")
        await it.until(lambda: it.texts == ["a", "b"])

    async def second(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts[-1] == "d")
        assert it.texts == ["a", "b", "c", "d"]
        assert (await it.whole()).stream == "2"

    async def third(poller: StreamPoller) -> None:
        await it.passes_by(3)
        assert it.texts == ["a", "b", "c", "d"]

    play(it, first)
    it.stream.identity = "2"
    it.shard("s", "c", "d")
    play(it, second)
    play(it, third)


def test_a_stream_that_was_made_anew_before_it_was_settled_is_read_from_its_start() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard()
    it.stream.unlatest = [Said("ProvisionedThroughputExceededException")]

    async def first(poller: StreamPoller) -> None:
        assert not (await it.whole()).settled

    async def second(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["a"])

    play(it, first)
    it.stream.identity = "2"
    it.put("s", "a", arrived=it.clock.wall() - 5)  # by another clock
    play(it, second)


def test_what_is_in_hand_of_the_former_stream_is_given_up() -> None:
    it = House(on_failure=TARGET)
    it.shard("s", "a")
    it.answer = lambda texts: texts == ["a"]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 3)
        it.stream.identity = "2"
        it.shard("s", "b")
        await it.until(lambda: it.texts[-1] == "b")
        ((dropped, _),) = it.gone
        assert dropped.condition is Condition.AGE
        await it.stands()
        assert await it.checkpoint() == after("s-0")

    play(it, scene)


def test_whoever_dies_while_a_stream_begins_anew_goes_on_with_it() -> None:
    it = House()
    it.leases = leases = Failing()
    it.shard("s", "a")
    it.shard("t", "b")

    async def first(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.texts) == 2)

    async def second(poller: StreamPoller) -> None:
        assert leases.removals == []
        assert it.texts == []

    async def third(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.texts) == 2)
        assert sorted(it.texts) == ["c", "d"]

    play(it, first)
    it.batches = []
    it.stream.identity = "2"
    it.shard("s", "c")
    it.shard("t", "d")
    leases.removals = [None, EngineError("it dies here")]
    play(it, second)
    play(it, third)


def test_leases_of_an_earlier_version_are_of_the_stream_that_is_there() -> None:
    it = House()
    it.shard("s", "a", "b")

    async def prepared() -> None:
        await it.leases.take("uuid", "", "x", 0, '{"since": 1.0, "settled": true}')
        await it.leases.take("uuid", "s", "x", 0, after("s-0").text())

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["b"])
        assert await it.whole() == Whole(1.0, settled=True, stream="1")

    asyncio.run(prepared())
    play(it, scene)


def test_who_does_not_say_which_stream_it_is_has_the_same_one() -> None:
    it = House()
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.passes_by(12)
        assert it.texts == ["a"]
        assert (await it.whole()).stream == "1"

    play(it, scene)
    it.stream.identity = ""
    play(it, scene)


# How the last batch ended.


def test_the_last_result_outlives_a_restart() -> None:
    it = House(retries=0)
    it.shard("s", "a")
    it.answer = lambda texts: True

    async def first(poller: StreamPoller) -> None:
        assert poller.result == NOTHING
        await it.until(lambda: it.numbers.events["dropped"])

    async def second(poller: StreamPoller) -> None:
        assert poller.result == "PROBLEM: Function call failed"

    play(it, first)
    play(it, second)


def test_a_result_is_written_when_it_is_another_one() -> None:
    it = House(batch_size=1)
    it.leases = leases = Failing()
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.passes_by(11)
        assert (await it.whole()).result == "OK"
        written = leases.wholes
        it.put("s", *"bcdef")
        await it.passes_by(30)
        assert leases.wholes == written

    play(it, scene)


def test_the_iterator_age_is_that_of_the_shard_which_is_furthest_behind() -> None:
    it = House()
    it.shard("s")
    it.shard("t")
    it.put("s", "stuck", arrived=it.clock.wall() - 100)
    it.put("t", "fine", arrived=it.clock.wall() - 5)
    it.answer = lambda texts: texts == ["stuck"]

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert it.numbers.ages == {"s": 100.0, "t": 5.0}
        await it.passes_by(12)
        assert it.numbers.ages["s"] > 100.0
        assert it.numbers.ages["t"] == 0.0  # it is caught up
        del it.stream.kept["s"]
        await it.until(lambda: poller.pollers == 1)
        assert it.numbers.ages == {"t": 0.0}

    play(it, scene)
    assert it.numbers.ages == {}
