"""Where reading begins, how long records are tried, and how much is read at once."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.event_sources.stream_house import House, Said, play

from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.streams import Where
from samovar.model.event_source import StartingPosition

# How long records are kept.


def test_what_can_not_be_described_is_described_later() -> None:
    it = House()
    it.stream.undescribed = [Said("LimitExceededException")]
    it.shard()
    it.put("s", "old", arrived=it.clock.wall() - 86400 - 5)
    it.answer = lambda texts: texts == ["old"]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches)
        it.put("s", "young")
        await it.until(lambda: it.texts[-1] == "young")
        assert it.texts == ["old", "young"]

    play(it, scene)


def test_what_is_kept_for_longer_is_tried_for_longer() -> None:
    it = House()
    it.stream.lifetime = 30.0
    it.shard("s", "a")
    it.answer = lambda texts: True

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches)
        it.stream.undescribed = [Said("LimitExceededException")]  # it is as long as before
        await it.passes_by(11)
        it.stream.lifetime = 300.0
        await it.passes_by(100)
        assert it.numbers.events["dropped"] == 0
        assert it.numbers.errors == {"LimitExceededException": 1}
        await it.passes_by(300)
        assert it.numbers.events["dropped"] == 1

    play(it, scene)


def test_shards_are_looked_for_while_their_stream_can_not_be_described() -> None:
    it = House()
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        it.stream.undescribed = [Said("LimitExceededException")] * 1000
        it.shard("t", "b")
        await it.until(lambda: sorted(it.texts) == ["a", "b"])

    play(it, scene)


# The latest.


def test_the_latest_of_a_later_look_are_those_since_the_first_one() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard()
    it.put("s", "old", arrived=it.clock.wall() - 2)
    it.stream.unlatest = [Said("ProvisionedThroughputExceededException")]

    async def scene(poller: StreamPoller) -> None:
        it.put("s", "new")
        it.stream.kept["s"].closed = True
        await it.until(lambda: it.texts)
        assert it.texts == ["new"]
        assert [position.where for position in it.stream.asked] == [Where.SINCE]

    play(it, scene)


def test_the_latest_of_a_look_that_failed_are_those_since_then() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard()
    it.stream.troubles = [Said("LimitExceededException")] * 3

    async def scene(poller: StreamPoller) -> None:
        it.put("s", "new")
        await it.until(lambda: it.texts)
        assert it.texts == ["new"]

    play(it, scene)


def test_a_mapping_that_was_not_settled_is_read_since_it_was_made_after_a_restart() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard()
    it.put("s", "old", arrived=it.clock.wall() - 2)
    it.stream.unlatest = [Said("ProvisionedThroughputExceededException")]

    async def first(poller: StreamPoller) -> None:
        assert not (await it.whole()).settled

    async def second(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts)
        assert it.texts == ["new"]
        assert (await it.whole()).settled

    play(it, first)
    it.put("s", "new")
    it.clock.advance(60)
    play(it, second)


# Large batches.


def test_a_batch_larger_than_a_read_is_filled_with_several() -> None:
    it = House(batch_size=250)
    it.shard("s", *(f"{number}" for number in range(270)))

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert [len(batch) for batch in it.batches] == [250, 20]
        assert it.stream.reads[:3] == [("s", 100, 100), ("s", 100, 100), ("s", 100, 70)]

    play(it, scene)


def test_filters_leave_turns_to_others() -> None:
    it = House(batch_size=1000)
    it.stream.most = 1000
    it.shard("s", *(f"{number}" for number in range(1000)))
    turns: list[int] = []
    turn = 0

    def passes(record: dict[str, Any]) -> bool:
        turns.append(turn)
        return False

    it.passes = passes

    async def scene(poller: StreamPoller) -> None:
        nonlocal turn
        for _ in range(50):
            turn += 1
            await asyncio.sleep(0)
        assert len(turns) == 1000
        assert len(set(turns)) >= 5

    play(it, scene)
