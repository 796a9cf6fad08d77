"""How much of a shard is read, and when: places, batches, ages."""

from __future__ import annotations

import asyncio

from tests.unit.event_sources.stream_house import House, Said, after, play

from samovar.errors import AWS, ClientError
from samovar.event_sources.shard_batches import Condition
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.streams import END
from samovar.model.event_source import StartingPosition

THROTTLED = ClientError(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")


def test_a_full_read_is_followed_by_the_next_at_once() -> None:
    it = House(batch_size=2)
    it.shard("s", *"abcde")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert it.batches == [["a", "b"], ["c", "d"], ["e"]]
        assert await it.checkpoint() == after("s-4")
        reads = len(it.stream.reads)
        it.clock.advance(0.99)
        await it.stands()
        assert len(it.stream.reads) == reads
        it.clock.advance(0.01)
        await it.stands()
        assert it.stream.reads[reads:] == [("s", 100, 0)]

    play(it, scene)


def test_batches_are_cut_from_what_one_read_brings() -> None:
    it = House(batch_size=1)
    it.shard("s", *map(str, range(150)))

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 150, step=0.0)
        assert [found for _, _, found in it.stream.reads if found] == [100, 50]

    play(it, scene)


def test_a_shard_ends_behind_all_that_one_read_has_brought() -> None:
    it = House(batch_size=1)
    it.stream.ends = True
    it.shard("s", *"abc", closed=True)

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: not poller.pollers)
        assert it.texts == [*"abc"]
        assert await it.checkpoint() == END

    play(it, scene)


def test_who_waits_for_more_of_a_batch_has_no_place_meanwhile() -> None:
    it = House(batch_size=3, window=300)
    it.shard("s", "a")
    it.shard("t", *"bcd")
    it.most = 1

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches == [["b", "c", "d"]])
        await it.until(lambda: it.batches[1:] == [["a"]], step=10.0)

    play(it, scene)


def test_a_lane_that_is_too_old_keeps_no_place_from_its_neighbours() -> None:
    it = House(parallelization=10, record_age=60)
    it.clock.advance(1000.0)
    it.shard("s")
    it.put("s", "a", arrived=it.clock.wall() - 100)
    it.put("s", "b")
    it.most = 1

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["b"])
        assert it.numbers.events["dropped"] == 1

    play(it, scene)


def test_records_grow_too_old_while_there_is_no_place() -> None:
    it = House(record_age=60, on_failure="arn:aws:sqs:us-east-1:123456789012:q")
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        it.most = 0  # a function that is halted: ReservedConcurrentExecutions=0
        await it.until(lambda: it.gone)
        ((dropped, _),) = it.gone
        assert dropped.condition is Condition.AGE
        assert it.clock.wall() - dropped.piece.records[0].arrived < 62.0
        it.most = 1
        it._freed.set()
        it.put("s", "b")
        await it.until(lambda: it.texts == ["b"])

    play(it, scene)


def test_what_goes_wrong_with_a_read_leaves_its_iterator_as_it_is() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard("s", "before")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        it.stream.errors = [Said("ProvisionedThroughputExceededException"), OSError("no")]
        it.put("s", "a", arrived=it.clock.wall() - 3.0)  # by a clock that is behind this one
        await it.until(lambda: it.texts == ["a"])
        assert it.stream.asked == []

    play(it, scene)


def test_nothing_is_fetched_without_a_place() -> None:
    it = House()
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        it.full = asyncio.Event()
        await it.stands()
        it.clock.advance(100)
        await it.stands()
        assert it.stream.reads == []
        full, it.full = it.full, None
        full.set()
        await it.until(lambda: it.texts == ["a"])

    async def played() -> None:
        it.full = asyncio.Event()
        poller = it.poller()
        await poller.start()
        await scene(poller)
        await poller.stop()

    asyncio.run(played())


def test_rights_that_are_lost_show_until_they_are_there_again() -> None:
    it = House()
    it.shard("s", "a")
    words = f"PROBLEM: Cannot access stream {it.mapping.source_arn}."

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: poller.result == "OK")
        it.stream.errors = [Said("AccessDeniedException") for _ in range(3)]
        await it.until(lambda: poller.result.startswith(words))
        await it.until(lambda: poller.result == "OK")
        assert it.numbers.errors == {"AccessDeniedException": 3}

    play(it, scene)
