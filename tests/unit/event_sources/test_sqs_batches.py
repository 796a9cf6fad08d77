"""Batches of a queue: how they fill, how long messages are kept, what becomes of parts of one."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.event_sources.poller_house import PollerHouse, play

from samovar.invocation import lineage


def test_a_batch_that_fills_goes_as_it_is_when_all_comes_to_an_end() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        ending = asyncio.ensure_future(it.poller.stop())
        await it.turns()
        assert it.batches == [], "a request that is on its way is not cut off"
        it.queue.put("late")
        await it.turns()
        assert it.batches == [["a", "late"]]
        it.end(1)
        await ending
        assert it.queue.in_flight == {}
        assert len(it.queue.asked) == 2

    play(scene, batch_size=100, window=300)


def test_the_last_part_of_a_window_ends_with_everything_else() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        it.clock.advance(0.5)
        it.queue.give_up()
        await it.turns()
        assert it.queue.asked[2:] == [], "for less than a second nobody polls"
        ending = asyncio.ensure_future(it.poller.stop())
        await it.turns()
        assert it.batches == [["a"]]
        assert len(it.queue.asked) == 2
        it.end(1)
        await ending

    play(scene, batch_size=100, window=1)


def test_what_fills_is_given_back_when_the_engine_stops() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        it.poller.pause()
        it.queue.put("late")
        await it.turns()
        assert (it.poller.pollers, it.queue.in_flight, it.batches) == (0, {}, [])
        assert sorted(it.queue.waiting) == ["a", "late"]

    play(scene, batch_size=100, window=300)


def test_a_batch_that_fills_keeps_no_place_and_asks_again() -> None:
    async def scene(it: PollerHouse) -> None:
        other, poller = it.second("another", batch_size=1, window=0)
        it.queue.put("a")
        await it.turns()
        other.put("b")
        await it.turns()
        assert it.batches == [["b"]]
        it.clock.advance(300)
        it.queue.give_up()
        await it.turns()
        assert it.batches == [["b"]], "there is no place"
        it.end(1)
        await it.turns()
        other.give_up()  # one more of its pollers was before this one, and is told to be quick
        await it.turns()
        assert other.asked[-1][1] == 1
        assert it.batches == [["b"], ["a"]]
        assert it.queue.asked[0][2] == 300 + 2 * 3 + 30
        it.end(2)
        await it.turns()
        await it.stop(poller, other)

    play(scene, reserved=1, batch_size=100, window=300)


def test_what_finds_no_place_in_time_is_given_back() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        it.house.scheduler.reserve(it.mapping.function, 0)
        it.clock.advance(60)
        it.queue.give_up()
        await it.turns()
        it.clock.advance(27.9)  # the function's timeout, and what deletions take, before the end
        await it.turns()
        assert list(it.queue.in_flight.values()) == ["a"]
        it.clock.advance(0.1)
        await it.turns()
        assert (list(it.queue.waiting), it.queue.in_flight, it.batches) == (["a"], {}, [])
        it.house.scheduler.reserve(it.mapping.function, 1)
        await it.turns()
        assert it.queue.in_flight, "it is fetched again"

    # 60 + 2 * 3 + 30 seconds, less 3 and 5.
    play(scene, reserved=1, batch_size=100, window=60)


def test_who_waits_for_a_place_with_a_batch_gives_it_back_when_the_engine_stops() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        it.house.scheduler.reserve(it.mapping.function, 0)
        it.clock.advance(60)
        it.queue.give_up()
        await it.turns()
        it.poller.pause()
        await it.turns()
        assert (it.poller.pollers, list(it.queue.waiting), it.queue.in_flight) == (0, ["a"], {})

    play(scene, reserved=1, batch_size=100, window=60)


def test_what_came_is_kept_where_one_of_several_requests_fails() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*map(str, range(60)))
        it.queue.fails_at = 3
        await it.turns(100)
        assert it.batches == [], "the window is not over"
        it.clock.advance(300)
        it.queue.give_up()
        await it.turns(200)
        assert len(it.queue.in_flight) == 60
        assert sum(map(len, it.batches)) == 60
        assert it.numbers.errors == {"OSError": 1}
        assert it.numbers.events["polled"] == 60

    play(scene, batch_size=100, window=20)


def test_a_batch_stops_to_fill_when_an_event_is_full() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*(f"{number}" + "x" * 200_000 for number in range(300)))
        await it.turns(300)
        assert [len(batch) for batch in it.batches] == [31, 31]
        assert len(it.queue.in_flight) == 2 * 40, "of 10,000 each"
        it.queue.waiting.clear()
        for name in list(it.house.inside):
            it.end(int(name[1:]))
        await it.turns()
        assert [len(batch) for batch in it.batches] == [31, 31, 9, 9]

    play(scene, batch_size=10_000, window=300, maximum_concurrency=2)


def test_a_visibility_is_asked_for_only_where_the_queues_own_is_too_short() -> None:
    async def scene(it: PollerHouse) -> None:
        assert it.queue.asked == [(10, 2, 40 + 30)]
        it.queue.own_visibility = 69
        it.timeout = 39
        it.queue.give_up()
        await it.turns()
        assert it.queue.asked[-1][2] == 69, "it is not asked each time"
        it.change(batch_size=5)
        it.queue.give_up()
        await it.turns()
        assert it.queue.asked[-1] == (5, 2, None), "but after a change"
        it.queue.own_visibility = 30
        it.queue.errors = [OSError("refused")]
        it.queue.give_up()
        await it.turns()
        it.clock.advance(1.0)
        await it.turns()
        it.queue.give_up()
        await it.turns()
        assert it.queue.asked[-1][2] == 69, "and when a queue is there again"
        it.queue.own_visibility = OSError("no rights")
        it.change(batch_size=6)
        it.queue.give_up()
        await it.turns()
        assert it.queue.asked[-1] == (6, 2, 69), "who may not ask reads all the same"

    play(scene, timeout=40)


def test_more_than_an_event_holds_is_another_one() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*(f"{number}" + "x" * 1_000_000 for number in range(10)))
        await it.turns()
        assert [len(batch) for batch in it.batches] == [6]
        it.end(1)
        await it.turns()
        assert [len(batch) for batch in it.batches] == [6, 4]
        assert len(it.queue.in_flight) == 4
        it.end(2)
        await it.turns()
        assert it.queue.in_flight == {}

    play(scene)


def test_what_could_reappear_while_it_runs_is_not_begun() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*(f"{number}" + "x" * 1_000_000 for number in range(10)))
        await it.turns()
        it.clock.advance(25.1)  # 3 and 30 s, less another run and what deleting takes
        it.end(1)
        await it.turns()
        assert it.queue.given_back == 4
        assert [len(batch) for batch in it.batches] == [6, 4], "they are fetched again first"
        assert len(it.queue.asked) >= 2

    play(scene)


def test_messages_of_a_group_that_follow_a_failure_wait() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*(f"{number}" + "x" * 1_000_000 for number in range(10)))
        await it.turns()
        it.end(1, error=True)
        await it.turns()
        assert len(it.batches) == 1
        assert len(it.queue.in_flight) == 10

    play(scene, fifo=True)


def test_messages_without_an_order_follow_a_failure() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*(f"{number}" + "x" * 1_000_000 for number in range(10)))
        await it.turns()
        it.end(1, error=True)
        await it.turns()
        assert len(it.batches) == 2

    play(scene)


@pytest.mark.parametrize("report", [True, False])
def test_failures_are_reported_only_where_the_mapping_says_so(report: bool) -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a", "b")
        await it.turns()
        it.end(1, answer={"batchItemFailures": [{"itemIdentifier": "b"}]})
        await it.turns()
        assert list(it.queue.in_flight.values()) == (["b"] if report else [])

    play(scene, report_failures=report)


def test_the_longest_chain_of_calls_goes_on_with_a_batch() -> None:
    async def scene(it: PollerHouse) -> None:
        traces = [lineage.follow("Root=1-a", it.mapping.function)[0]]
        for _ in range(2):
            traces.append(lineage.follow(traces[-1], it.mapping.function)[0])
        it.queue.traces = {"b": traces[0], "c": traces[2], "d": traces[1], "e": "no\nheader"}
        it.queue.put(*"abcde")
        await it.turns()
        assert (it.batches, it.traces) == ([[*"abcde"]], [traces[2]])
        it.end(1)
        it.queue.put("e")
        await it.turns()
        assert it.traces[1:] == [""], "it begins one"

    play(scene)


@pytest.mark.parametrize("fifo", [False, True])
def test_what_is_part_of_a_loop_stays_in_its_queue(fifo: bool) -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.traces = {"b": "Root=1-a;loop"}
        it.queue.put(*"abc")
        await it.turns()
        assert it.batches == [["a"] if fifo else ["a", "c"]]
        it.end(1)
        await it.turns()
        assert sorted(it.queue.in_flight.values()) == (["b", "c"] if fifo else ["b"])
        it.queue.put("b")
        await it.turns()
        assert len(it.batches) == 1, "nothing is run for it"

    play(scene, fifo=fifo)


def test_what_was_being_fetched_comes_in_batches_of_the_size_of_now() -> None:
    async def scene(it: PollerHouse) -> None:
        it.change(batch_size=2)
        it.queue.put("a", "b", "c")
        await it.turns()
        assert it.batches == [["a", "b"]]
        it.end(1)
        await it.turns()
        assert it.batches == [["a", "b"], ["c"]]

    play(scene)
