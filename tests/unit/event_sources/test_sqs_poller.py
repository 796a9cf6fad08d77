"""Pollers of a queue: places before messages, batches, deletions, growth, failures, the end."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.unit.event_sources.poller_house import PollerHouse, play

from samovar.errors import AWS, ClientError
from samovar.event_sources.sqs_poller import FIRST, MOST

FIVE = [f"m{number}" for number in range(5)]


def test_what_is_done_is_deleted_and_what_is_not_stays() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a", "b")
        await it.turns()
        assert it.batches == [["a", "b"]]
        assert sorted(it.queue.in_flight.values()) == ["a", "b"]
        it.end(1)
        await it.turns()
        assert it.queue.in_flight == {}
        it.queue.put("c")
        await it.turns()
        it.end(2, error=True)
        await it.turns()
        assert list(it.queue.in_flight.values()) == ["c"]
        assert it.numbers.events == {"polled": 3, "invoked": 3, "deleted": 2, "failed": 1}

    play(scene)


def test_nothing_is_fetched_that_no_function_can_take() -> None:
    async def scene(it: PollerHouse) -> None:
        it.house.scheduler.reserve(it.mapping.function_arn, 0)
        it.queue.put("late")
        await it.turns()
        assert it.batches == []
        it.house.scheduler.reserve(it.mapping.function_arn, None)
        await it.turns()
        assert it.batches == [["late"]]

    # With nothing reserved from the start, not even the first poll is made.
    play(scene, reserved=0)


def test_a_place_stays_free_for_calls() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*map(str, range(100)))
        await it.turns(400)
        assert len(it.house.inside) == 2
        call = it.house.submit("now")
        await it.turns()
        assert call.future.done() and call.future.exception() is None

    play(scene, reserved=3, batch_size=1)


def test_pollers_grow_with_what_waits_and_shrink_with_silence() -> None:
    async def scene(it: PollerHouse) -> None:
        assert it.poller.pollers == 1
        it.queue.put(*map(str, range(1000)))
        await it.turns(200)
        assert it.poller.pollers == FIRST + 1
        it.end(1)
        await it.turns(200)
        assert it.poller.pollers == FIRST + 1, "the next one has its time"
        it.clock.advance(1.0)
        it.end(2)
        await it.turns(200)
        assert it.poller.pollers == FIRST + 2
        it.processors_are_busy = True
        it.clock.advance(1.0)
        it.end(3)
        await it.turns(200)
        assert it.poller.pollers == FIRST + 2
        it.queue.waiting.clear()
        for _ in range(4):
            for name in list(it.house.inside):
                it.end(int(name[1:]))
            await it.turns()
            it.queue.give_up()
            await it.turns()
        assert it.poller.pollers == 1

    play(scene)


def test_no_more_run_at_once_than_the_mapping_says() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*map(str, range(1000)))
        for _ in range(5):
            it.clock.advance(1.0)
            await it.turns(100)
        assert len(it.house.inside) == 2
        assert MOST > 2

    play(scene, maximum_concurrency=2)


def test_a_batch_fills_up_to_its_size_or_its_window() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*map(str, range(25)))
        await it.turns()
        assert it.batches == [], "the window is not over"
        it.clock.advance(3.0)
        it.queue.give_up()
        await it.turns()
        assert it.batches == [[*map(str, range(25))]]
        it.end(1)
        it.queue.put(*map(str, range(90)))
        await it.turns(200)
        assert len(it.batches[1]) == 40, "it is full, and waits for nothing"

    play(scene, batch_size=40, window=3)


def test_what_the_filters_keep_out_is_deleted() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("in", "out1", "out2")
        await it.turns()
        assert it.batches == [["in"]]
        assert list(it.queue.in_flight.values()) == ["in"]
        it.queue.put("out3")
        await it.turns()
        it.end(1)
        await it.turns()
        assert it.queue.in_flight == {}
        assert it.numbers.events["filtered"] == 3

    play(scene)


def test_messages_are_kept_for_as_long_as_the_batch_may_take() -> None:
    async def scene(it: PollerHouse) -> None:
        assert it.queue.asked[0] == (10, 2, 60 + 3 + 30)

    play(scene, window=60)


def test_a_throttle_slows_the_poller_and_leaves_the_messages() -> None:
    async def scene(it: PollerHouse) -> None:
        it.refuses = ClientError(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")
        it.queue.put("a")
        await it.turns()
        it.queue.put("b")
        await it.turns()
        assert it.batches == [["a"]]
        it.refuses = None
        it.clock.advance(1.0)
        await it.turns()
        assert it.batches == [["a"], ["b"]]
        assert "a" in it.queue.in_flight.values()

    play(scene)


def test_a_queue_that_can_not_be_read_is_asked_less_and_less_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.errors = [OSError("refused")] * 4
        it.queue.give_up()
        await it.turns()
        for wait in (1.0, 2.0, 4.0, 8.0):
            asked = len(it.queue.asked)
            it.clock.advance(wait - 0.01)
            await it.turns()
            assert len(it.queue.asked) == asked
            it.clock.advance(0.01)
            await it.turns()
            assert len(it.queue.asked) == asked + 1
        assert it.numbers.errors == {"OSError": 4}
        it.queue.put("a")
        await it.turns()
        assert it.batches == [["a"]]
        assert [record.levelno for record in caplog.records] == [logging.ERROR]

    play(scene)


def test_a_deletion_is_tried_again_and_then_the_messages_reappear(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.undeletable = 1
        it.queue.put("a")
        await it.turns()
        it.end(1)
        await it.turns()
        assert it.queue.in_flight
        it.clock.advance(1.0)
        await it.turns()
        assert not it.queue.in_flight
        it.queue.undeletable = 99
        it.queue.put("b")
        await it.turns()
        it.end(2)
        for wait in (1.0, 2.0):
            await it.turns()
            it.clock.advance(wait)
        await it.turns()
        assert "could not be deleted" in caplog.text
        assert it.queue.undeletable == 99 - 3

    play(scene)


def test_a_bug_ends_one_batch_and_not_the_reading(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(it: PollerHouse) -> None:
        it.refuses = RuntimeError("a bug")
        it.queue.put("a")
        await it.turns()
        it.refuses = None
        it.queue.put("b")
        await it.turns()
        assert it.batches == [["a"], ["b"]]
        assert it.poller.pollers >= 1
        assert "broke down" in caplog.text

    play(scene)


def test_a_stop_lets_what_is_in_hand_be_done_and_deleted() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        it.poller.pause()
        await it.turns()
        assert it.poller.pollers == 1
        it.end(1)
        await it.turns()
        assert (it.poller.pollers, it.queue.in_flight) == (0, {})
        assert it.batches == [["a"]]

    play(scene)


def test_what_a_queue_gives_at_the_very_end_is_given_back() -> None:
    async def scene(it: PollerHouse) -> None:
        it.poller.pause()
        await it.turns()
        assert it.poller.pollers == 1, "its poll is not cut off"
        it.queue.put("late")
        await it.turns()
        assert it.poller.pollers == 0
        assert (list(it.queue.waiting), it.queue.in_flight, it.batches) == (["late"], {}, [])

    play(scene)


def test_a_mapping_that_is_left_does_what_it_was_given() -> None:
    async def scene(it: PollerHouse) -> None:
        ending = asyncio.ensure_future(it.poller.stop())
        await it.turns()
        it.queue.put("last")
        await it.turns()
        it.end(1)
        await ending
        assert (it.batches, it.queue.in_flight) == ([["last"]], {})

    play(scene)


def test_a_quiet_queue_lets_others_of_its_function_have_the_place() -> None:
    async def scene(it: PollerHouse) -> None:
        busy, other = it.second("another")
        busy.put(*map(str, range(25)))
        await it.turns()
        assert busy.asked == [], "the first one has the only place, until its poll is over"
        for number in range(1, 4):
            it.queue.give_up()
            await it.turns()
            assert len(it.batches) == number
            it.end(number)
            await it.turns()
        assert busy.in_flight == {}
        assert it.queue.asked[0][1] == 2
        assert {wait for _, wait, _ in it.queue.asked[1:]} == {1}, "it asks, and not for long"
        await it.stop(other, busy)
        it.queue.give_up()
        await it.turns()
        assert it.queue.asked[-1][1] == 2

    play(scene, reserved=1)


def test_a_queue_that_can_not_be_read_keeps_no_place() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.errors = [OSError("refused")]
        it.queue.give_up()
        await it.turns()
        assert it.numbers.errors["OSError"] == 1
        good, other = it.second("another")
        good.put("a")
        await it.turns()
        assert it.batches == [["a"]]
        it.end(1)
        await it.turns()
        await it.stop(other, good)

    play(scene, reserved=1)


def test_a_poller_that_waits_goes_with_its_mapping_to_another_function() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put("a")
        await it.turns()
        assert it.queue.asked == []
        it.change(function_arn=it.mapping.function_arn.replace(":f", ":g"))
        await it.turns()
        assert it.batches == [["a"]]

    play(scene, reserved=0)


def test_pollers_end_when_fewer_are_allowed() -> None:
    async def scene(it: PollerHouse) -> None:
        it.queue.put(*map(str, range(1000)))
        for _ in range(5):
            it.clock.advance(1.0)
            await it.turns(100)
        assert len(it.house.inside) > 5
        it.change(maximum_concurrency=2)
        for name in list(it.house.inside):
            it.end(int(name[1:]))
        await it.turns(200)
        assert (it.poller.pollers, len(it.house.inside)) == (2, 2)

    play(scene, batch_size=1)


def test_provisioned_pollers_are_always_there_and_come_without_delay() -> None:
    async def scene(it: PollerHouse) -> None:
        assert it.poller.pollers == 3
        it.processors_are_busy = True
        it.queue.put(*map(str, range(1000)))
        await it.turns(400)
        assert (it.poller.pollers, len(it.house.inside)) == (40, 40)
        it.queue.waiting.clear()
        for _ in range(4):
            for name in list(it.house.inside):
                it.end(int(name[1:]))
            await it.turns(200)
            it.queue.give_up()
            await it.turns(200)
        assert it.poller.pollers == 3
        it.change(least_pollers=7)
        assert it.poller.pollers == 7
        it.change(least_pollers=None, most_pollers=None)
        for _ in range(3):
            it.queue.give_up()
            await it.turns(200)
        assert it.poller.pollers == 1

    play(scene, least_pollers=3, most_pollers=4, batch_size=1)


def test_nobody_pauses_at_the_end() -> None:
    async def scene(it: PollerHouse) -> None:
        it.refuses = ClientError(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")
        it.queue.put("a")
        await it.turns()
        ending = asyncio.ensure_future(it.poller.stop())
        await it.turns()
        assert ending.done(), "a pause is cut short"
        assert it.clock.pending == 0

    async def later(it: PollerHouse) -> None:
        ending = asyncio.ensure_future(it.poller.stop())
        it.refuses = ClientError(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")
        it.queue.put("a")
        await it.turns()
        assert it.batches and ending.done(), "and none begins"

    play(scene)
    play(later)


def test_a_queue_that_is_read_again_begins_with_short_pauses() -> None:
    async def scene(it: PollerHouse) -> None:
        for _ in range(2):
            it.queue.errors = [OSError("refused")]
            it.queue.give_up()
            await it.turns()
            asked = len(it.queue.asked)
            it.clock.advance(1.0)
            await it.turns()
            assert len(it.queue.asked) == asked + 1
            it.queue.give_up()
            await it.turns()

    play(scene)
