"""Shards that are read in order, and what comes in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.event_sources.stream_house import House, Said, after, play

from samovar.errors import AWS, ClientError, EngineError
from samovar.event_sources.shard_batches import Condition
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.streams import END, START, Position, Where
from samovar.model.event_source import StartingPosition
from samovar.stores.leases import Lease, MemoryLeaseStore

THROTTLED = ClientError(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")


def test_one_place_is_enough() -> None:
    it = House(parallelization=10, batch_size=1, bisect=True)
    it.most = 1
    it.shard("s", "a1", "b1", "a2")
    it.shard("t", "c1")
    it.answer = lambda texts: it.texts.count("a1") == 1 and texts == ["a1"]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: {"a2", "b1", "c1"} <= set(it.texts))
        assert sorted(it.texts) == ["a1", "a1", "a2", "b1", "c1"]

    play(it, scene)


def test_a_function_says_what_failed() -> None:
    it = House(report_failures=True, retries=1)
    it.shard("s", "a", "b", "c")
    said = [{"batchItemFailures": [{"itemIdentifier": "s-2"}, {"itemIdentifier": "s-1"}]}, {}]
    it.answer = lambda texts: said[len(it.batches) - 1]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 2)
        await it.stands()
        assert it.batches == [["a", "b", "c"], ["b", "c"]]
        assert await it.checkpoint() == after("s-2")
        assert poller.result == "OK"
        assert it.numbers.events == {"polled": 3, "filtered": 0, "invoked": 5, "failed": 2}

    play(it, scene)


def test_a_batch_fills_within_its_window() -> None:
    it = House(window=5)
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        it.put("s", "b")
        it.clock.advance(1)
        await it.stands()
        it.put("s", "c")
        assert it.batches == []
        await it.until(lambda: it.batches)
        assert it.batches == [["a", "b", "c"]]

    play(it, scene)


def test_children_come_after_their_parents() -> None:
    it = House(retries=1)
    it.shard("child", "c", parents=("one", "two"))
    it.shard("one", "1", closed=True)
    it.shard("two", "2", closed=True)
    it.shard("orphan", "o", parents=("long gone",))
    it.answer = lambda texts: texts == ["2"]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: "c" in it.texts)
        await it.stands()
        assert it.texts[-1] == "c"
        assert sorted(it.texts) == ["1", "2", "2", "c", "o"]
        assert [await it.checkpoint(shard) for shard in ("one", "two")] == [END, END]
        assert await it.checkpoint("child") == after("child-0")
        assert poller.pollers == 2

    play(it, scene)


def test_children_begin_when_their_parents_end() -> None:
    it = House()
    it.shard("parent", "p", closed=True)
    it.shard("child", "c", parents=("parent",))

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        it.clock.advance(1)  # the parent has nothing more
        await it.stands()
        assert it.texts == ["p", "c"]

    play(it, scene)


def test_a_shard_that_came_later_is_read_from_its_start() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard("open", "old")
    it.shard("closed", "older", closed=True)

    async def scene(poller: StreamPoller) -> None:
        it.put("open", "new")
        await it.until(lambda: it.texts == ["new"])
        it.stream.kept["open"].closed = True
        it.shard("later", "first", parents=("open",))
        await it.until(lambda: it.texts == ["new", "first"])
        assert await it.checkpoint("closed") == END

    play(it, scene)


def test_a_shard_that_is_no_more_is_forgotten() -> None:
    it = House()
    it.shard("s", "a")
    it.shard("t", "b")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.texts) == 2)
        del it.stream.kept["t"]
        await it.until(lambda: poller.pollers == 1)
        assert await it.checkpoint("t") == after("t-0")
        it.clock.advance(10)
        await it.stands()
        assert await it.checkpoint("t") is None
        assert await it.checkpoint("s") == after("s-0")

    play(it, scene)


def test_the_latest_is_since_the_first_look_where_its_iterator_is_lost() -> None:
    it = House(starting_position=StartingPosition.LATEST)
    it.shard()
    it.put("s", "old", arrived=it.clock.wall() - 2)

    async def scene(poller: StreamPoller) -> None:
        it.stream.errors = [Said("ExpiredIteratorException")]
        it.put("s", "new")
        await it.until(lambda: it.texts)
        assert it.texts == ["new"]
        assert [position.where for position in it.stream.asked] == [Where.SINCE]

    play(it, scene)


@pytest.mark.parametrize(
    ("code", "position"),
    [("ExpiredIteratorException", after("s-0")), ("TrimmedDataAccessException", START)],
)
def test_an_iterator_that_is_no_good_is_asked_for_anew(code: str, position: Position) -> None:
    it = House()
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["a"])
        it.stream.errors = [Said(code)]
        it.put("s", "b")
        await it.until(lambda: it.texts[-1] == "b")
        assert it.stream.asked[1:] == [position]
        assert it.numbers.errors == {code: 1}

    play(it, scene)


def test_what_can_not_be_read_is_read_later() -> None:
    it = House()
    it.shard("s", "a")
    it.stream.troubles = [Said("LimitExceededException")] * 2
    it.stream.errors = [Said("ProvisionedThroughputExceededException")] * 3

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["a"])
        assert it.numbers.errors == {
            "LimitExceededException": 2,
            "ProvisionedThroughputExceededException": 3,
        }

    play(it, scene)


def test_a_throttle_uses_up_no_retry() -> None:
    it = House(retries=0)
    it.shard("s", "a")
    it.answer = lambda texts: THROTTLED if len(it.batches) < 5 else None

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 5)
        await it.stands()
        assert await it.checkpoint() == after("s-0")
        assert it.gone == []
        assert poller.result == "OK"

    play(it, scene)


def test_what_was_given_up_is_told_of_before_it_is_passed() -> None:
    it = House(retries=0, on_failure="arn:aws:sqs:us-east-1:123456789012:q")
    it.shard("s", "a", "b")
    it.answer = lambda texts: True

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.gone)
        ((dropped, shard),) = it.gone
        assert (dropped.condition, shard) == (Condition.RETRIES, "s")
        await it.stands()
        assert await it.checkpoint() == after("s-1")
        assert it.numbers.events["dropped"] == 2

    play(it, scene)


def test_records_that_failed_are_tried_for_as_long_as_they_are_kept() -> None:
    it = House()
    it.shard()
    it.put("s", "old", arrived=it.clock.wall() - 86400 - 5)
    it.answer = lambda texts: texts == ["old"]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches)
        it.put("s", "young")
        await it.until(lambda: it.texts[-1] == "young")
        assert it.texts == ["old", "young"]

    play(it, scene)


def test_filtered_records_are_passed() -> None:
    it = House()
    it.shard("s", "a", "no", "b", "no")
    it.passes = lambda record: record["text"] != "no"

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches == [["a", "b"]])
        await it.stands()
        assert await it.checkpoint() == after("s-3")
        it.put("s", "no")
        await it.until(lambda: it.numbers.events["filtered"] == 3)
        await it.stands()
        assert await it.checkpoint() == after("s-4")

    play(it, scene)


def test_halves_that_are_done_are_not_run_again_by_the_next_reader() -> None:
    it = House(bisect=True)
    it.shard("s", *"abcd")
    it.answer = lambda texts: "d" in texts

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches[-1:] == [["d"]])
        assert await it.checkpoint() == after("s-2")

    play(it, scene)
    it.answer, it.batches = lambda texts: None, []

    async def again(poller: StreamPoller) -> None:
        await it.until(lambda: it.batches)
        assert it.batches == [["d"]]

    play(it, again)


def test_a_stop_lets_what_runs_be_written_down_and_begins_nothing() -> None:
    it = House(batch_size=1)
    it.shard("s", "a", "b")

    async def played() -> None:
        running = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: running
        poller = it.poller()
        await poller.start()
        await it.stands()
        stopping = asyncio.ensure_future(poller.stop())
        await it.stands()
        assert not stopping.done()
        running.set_result(None)
        await stopping
        assert it.texts == ["a"]
        assert await it.checkpoint() == after("s-0")
        assert (it.places, it.clock.pending) == (0, 0)

    asyncio.run(played())


def test_a_stop_leaves_the_other_half() -> None:
    it = House(bisect=True)
    it.shard("s", "a", "b")

    async def played() -> None:
        running = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: True if len(texts) == 2 else running
        poller = it.poller()
        await poller.start()
        await it.until(lambda: it.batches == [["a", "b"], ["a"]])
        stopping = asyncio.ensure_future(poller.stop())
        await it.stands()
        running.set_result(None)
        await stopping
        assert it.batches == [["a", "b"], ["a"]]
        assert await it.checkpoint() == after("s-0")

    asyncio.run(played())


def test_what_was_not_written_down_is_run_again() -> None:
    it = House()
    it.shard("s", "a")

    async def played() -> None:
        it.answer = lambda texts: asyncio.get_running_loop().create_future()
        poller = it.poller()
        await poller.start()
        await it.stands()
        poller.cancel()
        await poller.stop()
        assert await it.checkpoint() == START
        it.answer = lambda texts: None
        poller = it.poller()
        await poller.start()
        await it.until(lambda: it.texts == ["a", "a"])
        await poller.stop()

    asyncio.run(played())


class Failing(MemoryLeaseStore):
    """Can't write at first."""

    left = 0

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        if self.left and lease.shard:
            self.left -= 1
            raise EngineError("the disk is full")
        return await super().write(lease, checkpoint)


def test_nothing_more_is_run_before_the_checkpoint_is_written() -> None:
    it = House(batch_size=1)
    it.leases = Failing()
    it.leases.left = 2
    it.shard("s", "a", "b")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert (it.texts, await it.checkpoint()) == (["a"], START)
        await it.until(lambda: it.texts == ["a", "b"])

    play(it, scene)


def test_whoever_was_taken_over_reads_no_more() -> None:
    it = House()
    it.shard("s", "a")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.texts == ["a"])
        await it.stands()
        other = it.poller("there")
        await other.start()
        it.put("s", "b")
        await it.until(lambda: poller.pollers == 0)
        it.put("s", "c")
        await it.until(lambda: it.texts[-1] == "c")
        for text in "de":  # and begins no more, either
            it.clock.advance(10)
            await it.stands()
            it.put("s", text)
        await it.until(lambda: it.texts[-1] == "e")
        assert [it.texts.count(text) for text in "acde"] == [1, 1, 1, 1]
        assert (poller.pollers, other.pollers) == (0, 1)
        await other.stop()

    play(it, scene)


def test_a_change_counts_for_the_next_try() -> None:
    it = House()
    it.shard("s", "a")
    it.answer = lambda texts: True

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 3)
        it.change(poller, retries=0)
        await it.until(lambda: it.numbers.events["dropped"])
        assert poller.result == "PROBLEM: Function call failed"

    play(it, scene)


def test_a_reader_that_breaks_down_is_followed_by_another() -> None:
    it = House()
    it.shard("s", "a")

    def broken(record: dict[str, Any]) -> bool:
        raise RuntimeError("nobody foresaw this")

    it.passes = broken

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: poller.pollers == 0)
        it.passes = lambda record: True
        await it.until(lambda: it.texts == ["a"])

    play(it, scene)


def test_lanes_of_a_shard_are_run_beside_each_other_and_each_in_order() -> None:
    it = House(parallelization=10, batch_size=2)
    texts = ["a1", "b1", "a2", "a3", "b2", "a4"]
    it.shard("s", *texts)

    async def scene(poller: StreamPoller) -> None:
        held = asyncio.get_running_loop().create_future()
        it.answer = lambda of: held if of == ["a1", "a2"] else None
        await it.stands()
        assert sorted(it.batches) == [["a1", "a2"], ["b1", "b2"]]
        assert await it.checkpoint() == START
        it.put("s", "c1")
        it.clock.advance(5)
        await it.stands()
        assert len(it.batches) == 2
        held.set_result(None)
        await it.until(lambda: "c1" in it.texts)
        assert it.batches[2:] == [["a3", "a4"], ["c1"]]
        await it.stands()
        assert await it.checkpoint() == after("s-6")

    play(it, scene)


def test_a_lane_that_fails_keeps_the_checkpoint_back_and_no_other_lane() -> None:
    it = House(parallelization=10, retries=2, batch_size=1)
    it.shard("s", "a1", "b1", "b2", "a2")
    it.answer = lambda of: of == ["b1"]

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: "a2" in it.texts)
        await it.stands()
        assert await it.checkpoint() == after("s-0")
        await it.until(lambda: it.numbers.events["dropped"])
        await it.until(lambda: "b2" in it.texts)
        await it.stands()
        assert await it.checkpoint() == after("s-3")
        assert it.texts.count("b1") == 3
        assert sorted(it.texts) == ["a1", "a2", "b1", "b1", "b1", "b2"]

    play(it, scene)


def test_a_stop_waits_for_all_lanes() -> None:
    it = House(parallelization=10, batch_size=1)
    it.shard("s", "a1", "b1", "a2")

    async def played() -> None:
        running = asyncio.get_running_loop().create_future()
        it.answer = lambda of: running
        poller = it.poller()
        await poller.start()
        await it.stands()
        assert sorted(it.texts) == ["a1", "b1"]
        stopping = asyncio.ensure_future(poller.stop())
        await it.stands()
        assert not stopping.done()
        running.set_result(None)
        await stopping
        assert sorted(it.texts) == ["a1", "b1"]
        assert await it.checkpoint() == after("s-1")
        assert (it.places, it.clock.pending) == (0, 0)

    asyncio.run(played())


def test_a_lane_that_breaks_down_ends_the_others() -> None:
    it = House(parallelization=10, batch_size=1)
    it.shard("s", "a1", "b1")

    async def scene(poller: StreamPoller) -> None:
        never = asyncio.get_running_loop().create_future()
        it.answer = lambda of: RuntimeError("nobody foresaw this") if of == ["a1"] else never
        await it.until(lambda: poller.pollers == 0)
        assert await it.checkpoint() == START
        it.answer = lambda of: None
        await it.until(lambda: it.texts.count("a1") == it.texts.count("b1") == 2)

    play(it, scene)
