"""Who waits for room, and what goes for whom."""

from __future__ import annotations

from tests.unit.scheduler.play import Play, idle
from tests.unit.scheduler.stage import Stage

from samovar.scheduler.commands import Dispatch, Refusal, Reject, StopContext
from samovar.scheduler.events import MemoryMeasured
from samovar.scheduler.policy import FOOTPRINT


def test_one_slow_function_does_not_fill_the_line_for_all_others() -> None:
    stage = Stage(max_contexts=2, max_waiting=3)
    for _ in range(5):
        stage.invoke("slow")
    for context in stage.starting("slow"):
        stage.ready(context)
    assert len(stage.waiting["slow"]) == 3
    assert stage.rejected[stage.invoke("slow")] is Refusal.CONTEXTS
    latest = stage.waiting["slow"][-1]
    quick = stage.invoke("quick")
    assert stage.waiting["quick"] == [quick]
    assert stage.rejected[latest] is Refusal.CONTEXTS
    # One is all that it is given so; and where everybody has one, who comes last goes.
    assert stage.rejected[stage.invoke("quick")] is Refusal.CONTEXTS
    stage.invoke("third")
    assert stage.rejected[stage.invoke("fourth")] is Refusal.CONTEXTS
    for _ in range(2):
        stage.end(min(stage.running))
    assert len(stage.starting("quick")) == len(stage.starting("third")) == 1


def test_no_idle_context_goes_for_a_start_that_is_throttled() -> None:
    play = Play(max_contexts=2, scaling_rate=1)
    other = idle(play, "arn:other:1#1")
    (busy,) = play.starts(play.invoke("one"))
    play.ready(busy)
    (refused,) = play.invoke("two")
    assert isinstance(refused, Reject) and refused.refusal is Refusal.SCALING_RATE
    assert play.invoke("warm", "arn:other:1#1") == [Dispatch(other, "warm")]


def test_a_start_that_there_is_no_room_for_is_none_of_the_rate() -> None:
    play = Play(max_contexts=1, scaling_rate=2)
    (busy,) = play.starts(play.invoke("one"))
    play.ready(busy)
    for _ in range(3):
        (refused,) = play.invoke("two")
        assert isinstance(refused, Reject) and refused.refusal is Refusal.CONTEXTS
    play.die(busy)
    assert len(play.starts(play.invoke("three"))) == 1


LARGE, SMALL = "arn:large:1#1", "arn:small:1#2"


def short_of_memory(max_waiting: int) -> tuple[Play, int]:
    """A large function's invocations need more than all that is idle could give."""
    play = Play(max_waiting=max_waiting)
    (context,) = play.starts(play.invoke("large", LARGE))
    play.ready(context)
    play.state.handle(MemoryMeasured(1000, {LARGE: 10 * FOOTPRINT}))
    play.die(context)
    small = idle(play, SMALL)
    play.state.handle(MemoryMeasured(FOOTPRINT, {}))
    return play, small


def test_no_idle_context_goes_for_one_that_there_is_no_memory_for() -> None:
    play, small = short_of_memory(max_waiting=0)
    (refused,) = play.invoke("large", LARGE)
    assert isinstance(refused, Reject) and refused.refusal is Refusal.MEMORY
    assert play.invoke("warm", SMALL) == [Dispatch(small, "warm")]


def test_whoever_waits_for_memory_does_not_make_everybody_cold() -> None:
    play, small = short_of_memory(max_waiting=1)
    assert play.invoke("large", LARGE) == []
    for _ in range(3):
        assert play.invoke("warm", SMALL) == [Dispatch(small, "warm")]
        assert [type(command).__name__ for command in play.end(small)] in ([], ["WakeAt"])
    # Where it would do, what is idle goes.
    commands = play.state.handle(MemoryMeasured(9 * FOOTPRINT, {}))
    assert commands[0] == StopContext(small, "evicted")
    assert len(play.starts(commands)) == 1


def test_what_becomes_free_goes_to_whom_it_is_enough_for() -> None:
    play, small = short_of_memory(max_waiting=1)
    play.invoke("warm", SMALL)
    play.invoke("large", LARGE)
    play.state.handle(MemoryMeasured(9 * FOOTPRINT, {}))
    commands = play.end(small)
    assert commands[0] == StopContext(small, "evicted")
    assert len(play.starts(commands)) == 1
