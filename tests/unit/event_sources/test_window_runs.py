"""Tumbling windows of shards that are read: what functions are handed, and what is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.event_sources.stream_house import STREAM
from tests.unit.event_sources.test_stream_poller import THROTTLED, after, play
from tests.unit.event_sources.window_house import BEGUN, WindowHouse, start

from samovar.event_sources.shard_batches import Condition
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.streams import END, Position, Where
from samovar.event_sources.windows import Window
from samovar.model import limits

Scene = Callable[[StreamPoller], Awaitable[None]]
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


def opened(state: str, key: str = "s-0") -> Position:
    """What is written down while the first window is open."""
    return Position(Where.AFTER, key, Window(BEGUN, BEGUN + 60, state))


def test_what_a_function_is_handed_of_a_window() -> None:
    it = WindowHouse(batch_size=2)
    it.shard()
    it.at(0, "a", "b", "c")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.finals)
        bounds = {"start": start(0), "end": start(60)}
        given = {"window": bounds, "shardId": "s", "eventSourceARN": STREAM}
        given |= {"isFinalInvokeForWindow": False, "isWindowTerminatedEarly": False}
        final = {**given, "isFinalInvokeForWindow": True}
        records = [{"text": text} for text in "abc"]
        assert it.events == [
            {"Records": records[:2], "state": {}, **given},
            {"Records": records[2:], "state": {"texts": ["a", "b"]}, **given},
            {"Records": [], "state": {"texts": ["a", "b", "c"]}, **final},
        ]
        # What is invoked with is counted, and a final invocation has nothing of it.
        assert it.numbers.events == {"polled": 3, "filtered": 0, "invoked": 3, "failed": 0}

    play(it, scene)


def test_a_batch_is_of_one_window_and_one_ends_before_the_next_begins() -> None:
    it = WindowHouse()
    it.shard()
    it.at(1, "a")
    it.at(59.999, "b")
    it.at(60, "c")
    it.at(300, "d")
    # Time does not go back: no window is begun again.
    it.at(299, "e")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert it.batches == [["a", "b"], [], ["c"], [], ["d", "e"]]
        assert it.finals == [(start(0), ["a", "b"]), (start(60), ["c"])]
        assert it.events[2]["state"] == it.events[4]["state"] == {}
        assert it.events[4]["window"]["start"] == start(300)
        it.at(298, "f")
        await it.until(lambda: "f" in it.texts)
        assert it.events[-1]["window"]["start"] == start(300)
        assert it.events[-1]["state"] == {"texts": ["d", "e"]}

    play(it, scene)


def test_a_window_ends_by_the_clock_once_all_of_it_was_read() -> None:
    it = WindowHouse()
    it.shard()
    it.at(1, "a")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        it.clock.advance(60)
        await it.stands()
        assert it.finals == []
        it.at(59, "late")  # what came before the end is seen behind it
        await it.until(lambda: it.finals)
        assert it.finals == [(start(0), ["a", "late"])]
        it.at(59, "too late")
        await it.until(lambda: "too late" in it.texts)
        assert it.events[-1]["window"]["start"] == start(60)
        await it.until(lambda: len(it.finals) == 2)
        for _ in range(5):
            it.clock.advance(60)
            await it.stands()
        assert len(it.finals) == 2

    play(it, scene)


def test_a_source_that_does_not_say_so_is_read_some_more() -> None:
    it = WindowHouse()
    it.shard()
    it.at(1, "a")
    it.stream.tells = False

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        it.clock.advance(90)
        for _ in range(2):
            await it.stands()
            it.clock.advance(1)
        await it.stands()
        assert it.finals == []
        it.at(2, "b")
        await it.until(lambda: it.finals)
        assert it.finals == [(start(0), ["a", "b"])]

    play(it, scene)


def test_state_and_position_are_written_down_at_once() -> None:
    it = WindowHouse(batch_size=1, report_failures=True, retries=0)
    it.shard()
    it.at(0, "a")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert await it.checkpoint() == opened('{"texts": ["a"]}')
        it.at(1, "b")
        it.spoil = lambda event: None if event["isFinalInvokeForWindow"] else True
        await it.until(lambda: it.numbers.events["dropped"])
        await it.stands()
        # What was given up is passed, and the state is as it was.
        assert await it.checkpoint() == opened('{"texts": ["a"]}', "s-1")
        await it.until(lambda: it.finals)
        await it.stands()
        over = Window(BEGUN, BEGUN + 60, None, over=True)
        assert await it.checkpoint() == Position(Where.AFTER, "s-1", over)

    play(it, scene)


def test_a_window_in_which_all_was_given_up_is_ended() -> None:
    it = WindowHouse(retries=0)
    it.shard()
    it.at(0, "a")
    it.spoil = lambda event: True if event["Records"] else None

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.finals)
        assert it.finals == [(start(0), [])]

    play(it, scene)


def test_a_batch_leaves_room_for_the_largest_state() -> None:
    it = WindowHouse()
    it.shard()
    half = limits.SYNC_PAYLOAD_SIZE // 2
    it.at(0, "a" * (half - 1000), "b" * (half - 1000))

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert [[text[0] for text in batch] for batch in it.batches] == [["a"], ["b"]]

    it.spoil = lambda event: {"state": {}}
    play(it, scene)


def test_another_reader_goes_on_with_the_state() -> None:
    it = WindowHouse()
    it.shard()
    it.at(0, "a")

    async def first(poller: StreamPoller) -> None:
        await it.stands()

    async def second(poller: StreamPoller) -> None:
        await it.stands()
        assert it.finals == [(start(0), ["a", "b"])]

    play(it, first)
    it.at(30, "b")
    it.clock.advance(3600)
    it.at(3600, "c")
    play(it, second)
    assert it.batches == [["a"], ["b"], [], ["c"]]


def test_a_window_that_ended_while_nobody_read_gets_its_end() -> None:
    it = WindowHouse(record_age=60)
    it.shard()
    it.at(0, "a")

    async def first(poller: StreamPoller) -> None:
        await it.stands()

    async def second(poller: StreamPoller) -> None:
        await it.stands()
        assert it.finals == [(start(0), ["a"])]

    play(it, first)
    it.clock.advance(7200)
    play(it, second)


@pytest.mark.parametrize("answer", [{}, {"state": None}, {"state": [1]}, {"state": "{}"}, [], 1])
def test_an_answer_without_a_state_is_a_failure(answer: object) -> None:
    it = WindowHouse(bisect=True)
    it.shard()
    it.at(0, "a", "b")
    it.spoil = lambda event: answer if len(it.batches) in (1, 4) else None

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) == 1)
        await it.stands()
        assert poller.result == "PROBLEM: Function call failed"
        await it.until(lambda: it.finals)
        # It counts as the function's error, of the final invocation too.
        assert it.batches == [["a", "b"], ["a"], ["b"], [], []]
        assert it.finals == [(start(0), ["a", "b"])]

    play(it, scene)


def test_the_state_of_what_failed_in_part_is_that_of_the_rest() -> None:
    it = WindowHouse(report_failures=True)
    it.shard()
    it.at(0, "a", "b", "c")
    failed = [{"itemIdentifier": "s-1"}]
    partly = {"state": {"texts": ["a"]}, "batchItemFailures": failed}
    it.spoil = lambda event: partly if len(it.batches) == 1 else None

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert await it.checkpoint() == opened('{"texts": ["a"]}')
        await it.until(lambda: it.finals)
        assert it.batches == [["a", "b", "c"], ["b", "c"], []]
        assert it.finals == [(start(0), ["a", "b", "c"])]

    play(it, scene)


def test_a_state_of_what_failed_as_a_whole_is_not_taken() -> None:
    it = WindowHouse(report_failures=True)
    it.shard()
    it.at(0, "a")
    nothing = {"state": {"texts": ["x"]}, "batchItemFailures": [{"itemIdentifier": "s-0"}]}
    it.spoil = lambda event: nothing if len(it.batches) == 1 else None

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.finals)
        assert it.finals == [(start(0), ["a"])]

    play(it, scene)


def large(size: int) -> dict[str, Any]:
    """An answer whose state has so many bytes."""
    return {"state": {"texts": [], "much": "x" * (size - len('{"texts": [], "much": ""}'))}}


def test_a_state_that_is_too_large_ends_its_window_early() -> None:
    it = WindowHouse(batch_size=1)
    it.shard()
    it.at(0, "a")
    answers = {1: large(limits.WINDOW_STATE_SIZE), 2: large(limits.WINDOW_STATE_SIZE + 1)}
    it.spoil = lambda event: answers.get(len(it.batches))

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert (await it.checkpoint() or END).value == "s-0"
        it.at(1, "b", "c")
        await it.until(lambda: len(it.batches) == 4)
        await it.stands()
        flags = "isFinalInvokeForWindow", "isWindowTerminatedEarly"
        assert [[event[flag] for flag in flags] for event in it.events] == [
            [False, False],
            [False, False],
            [True, True],
            [False, False],
        ]
        assert it.events[2]["state"] == answers[2]["state"]
        # The same window goes on, with nothing in it.
        assert it.events[3]["state"] == {}
        assert {event["window"]["start"] for event in it.events} == {start(0)}
        assert await it.checkpoint() == opened('{"texts": ["c"]}', "s-2")
        await it.until(lambda: len(it.finals) == 2)
        assert it.finals[1] == (start(0), ["c"])

    play(it, scene)


def test_what_made_a_state_too_large_is_run_again_if_its_end_was_not_told() -> None:
    it = WindowHouse()
    it.shard()
    it.at(0, "a")
    it.spoil = lambda event: (
        True if event["isFinalInvokeForWindow"] else large(limits.WINDOW_STATE_SIZE + 1)
    )

    async def first(poller: StreamPoller) -> None:
        await it.until(lambda: len(it.batches) > 2)

    async def second(poller: StreamPoller) -> None:
        await it.until(lambda: it.finals)
        assert it.finals == [(start(0), ["a"])]

    play(it, first)
    it.spoil = lambda event: None
    play(it, second)


def test_a_final_invocation_is_tried_again_and_given_up() -> None:
    it = WindowHouse(retries=2, on_failure=QUEUE)
    it.shard()
    it.at(0, "a")
    it.at(60, "b")
    it.spoil = lambda event: True if event["isFinalInvokeForWindow"] else None

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: "b" in it.texts)
        assert it.batches == [["a"], [], [], [], ["b"]]
        ((dropped, shard),) = it.gone
        assert (dropped.condition, dropped.piece.runs, shard) == (Condition.RETRIES, 3, "s")
        assert dropped.turn is not None
        assert dropped.turn.final
        assert dropped.turn.window == opened('{"texts": ["a"]}').window
        assert it.events[-1]["state"] == {}

    play(it, scene)


def test_a_final_invocation_grows_too_old_from_its_first_try_on() -> None:
    it = WindowHouse(record_age=60, on_failure=QUEUE)
    it.shard()
    it.at(0, "a")
    it.spoil = lambda event: THROTTLED if event["isFinalInvokeForWindow"] else None

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: [] in it.batches)
        begun = it.clock.wall()
        await it.until(lambda: len(it.batches) == 7)  # after 1, 2, 4, 8 and 16 seconds
        assert not it.gone
        it.at(120, "b")
        await it.until(lambda: "b" in it.texts)
        assert it.batches == [["a"], *[[]] * 6, ["b"]]
        assert it.clock.wall() > begun + 60
        ((dropped, _),) = it.gone
        assert (dropped.condition, dropped.piece.runs) == (Condition.AGE, 0)

    play(it, scene)


def test_a_shard_that_ends_closes_its_window_before_its_children_begin() -> None:
    it = WindowHouse()
    it.shard("parent", closed=True)
    it.at(0, "p", shard="parent")
    it.shard("child", parents=("parent",))
    it.at(1, "c", shard="child")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: "c" in it.texts)
        assert it.batches == [["p"], [], ["c"]]
        assert it.finals == [(start(0), ["p"])]
        assert it.events[-1]["state"] == {}
        assert await it.checkpoint("parent") == END

    play(it, scene)


def test_what_no_record_was_invoked_with_has_no_end() -> None:
    it = WindowHouse(record_age=60)
    it.passes = lambda record: record["text"] != "no"
    it.shard()
    it.at(-600, "old")
    it.at(0, "no")
    it.at(60, "no")

    async def scene(poller: StreamPoller) -> None:
        await it.until(lambda: it.clock.wall() > BEGUN + 300, step=5)
        assert it.batches == []
        assert (await it.checkpoint() or END).value == "s-2"

    play(it, scene)


def test_a_record_that_is_filtered_ends_the_window_before_its_own() -> None:
    it = WindowHouse()
    it.passes = lambda record: record["text"] != "no"
    it.shard()
    it.at(0, "a")
    it.at(60, "no")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        assert it.batches == [["a"], []]

    play(it, scene)


def test_a_window_is_finished_as_it_was_begun() -> None:
    it = WindowHouse()
    it.shard()
    it.at(0, "a")

    async def scene(poller: StreamPoller) -> None:
        await it.stands()
        it.change(poller, tumbling_window=7)
        it.at(59, "b")
        it.at(61, "c")
        await it.until(lambda: "c" in it.texts)
        assert it.finals == [(start(0), ["a", "b"])]
        first = (BEGUN + 61) // 7 * 7 - BEGUN
        assert it.events[-1]["window"] == {"start": start(first), "end": start(first + 7)}
        it.change(poller, tumbling_window=0, parallelization=2)
        it.at(62, "d", "x")
        it.at(70, "e")
        await it.until(lambda: "e" in it.texts)
        # What is left of a window needs the state, and so is in one lane.
        assert it.finals[1:] == [(start(first), ["c", "d", "x"])]
        assert it.batches[-3:] == [["d", "x"], [], ["e"]]
        assert it.events[-1] == {"Records": [{"text": "e"}]}
        await it.stands()
        assert await it.checkpoint() == after("s-5")

    play(it, scene)


def test_a_stop_lets_a_final_invocation_be_written_down() -> None:
    it = WindowHouse()
    it.shard()
    it.at(0, "a")
    it.at(60, "b")

    async def played() -> None:
        running = asyncio.get_running_loop().create_future()
        it.spoil = lambda event: running if event["isFinalInvokeForWindow"] else None
        poller = it.poller()
        await poller.start()
        await it.until(lambda: len(it.batches) == 2)
        stopping = asyncio.ensure_future(poller.stop())
        await it.stands()
        assert not stopping.done()
        running.set_result({"state": {}})
        await stopping
        assert it.batches == [["a"], []]
        over = Window(BEGUN, BEGUN + 60, None, over=True)
        assert await it.checkpoint() == Position(Where.AFTER, "s-0", over)
        assert (it.places, it.clock.pending) == (0, 0)

    asyncio.run(played())
