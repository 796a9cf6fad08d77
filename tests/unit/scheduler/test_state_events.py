"""Each event of the scheduler's state by example: what it answers, and in which order."""

from __future__ import annotations

import pytest
from tests.unit.scheduler.stage import IDLE_TIMEOUT, Stage

from samovar.context.lifecycle import ContextState, IllegalTransition
from samovar.scheduler.commands import Dispatch, Refusal, Reject, StartContext, StopContext, WakeAt
from samovar.scheduler.events import (
    ContextDied,
    ContextReady,
    GraceOver,
    IdleDropped,
    InvocationEnded,
    InvokeRequested,
    PoolRetired,
    StopRequested,
    Tick,
)
from samovar.scheduler.policy import START_ATTEMPTS, Policy
from samovar.scheduler.state import SchedulerState


def test_one_invocation_from_its_cold_start_to_its_expiry() -> None:
    state = SchedulerState(Policy(idle_timeout=10.0, max_contexts=5))
    (start,) = state.handle(InvokeRequested("a", "ticket", 1.0))
    assert isinstance(start, StartContext)
    context = start.lifecycle
    assert (context.context, context.pool, context.state) == (1, "a", ContextState.STARTING)
    context.move(ContextState.INITIALIZING)
    assert state.handle(ContextReady(1, 2.0)) == [Dispatch(1, "ticket")]
    assert context.state is ContextState.RESERVED
    context.move(ContextState.BUSY)
    assert state.handle(InvocationEnded(1, 3.0)) == [WakeAt(13.0)]
    assert (context.state, context.idle_since) == (ContextState.IDLE, 3.0)
    assert state.handle(InvokeRequested("a", "second", 4.0)) == [Dispatch(1, "second")]
    context.move(ContextState.BUSY)
    assert state.handle(InvocationEnded(1, 5.0)) == []  # the wake-up is on its way already
    assert state.handle(Tick(13.0)) == [WakeAt(15.0)]
    assert state.handle(Tick(15.0)) == [StopContext(1, "idle for too long")]
    assert not state.settled
    assert state.handle(ContextDied(1, "stopped", 15.1)) == []
    assert state.settled
    assert (state.pools, state.contexts) == ({}, {})


def test_numbers_of_contexts_are_not_used_again() -> None:
    stage = Stage()
    first = stage.ready_context()
    stage.die(first)
    assert stage.ready_context() == first + 1


def test_as_many_starts_as_tickets() -> None:
    stage = Stage()
    tickets = [stage.invoke() for _ in range(20)]
    assert len(stage.starting()) == 20
    for context in reversed(stage.starting()):
        stage.ready(context)
    assert sorted(stage.served) == tickets
    assert len(set(stage.served.values())) == 20


def test_the_first_to_wait_is_the_first_to_be_served() -> None:
    stage = Stage()
    first, second = stage.invoke(), stage.invoke()
    one, other = stage.starting()
    stage.ready(other)
    assert stage.served == {first: other}
    stage.ready(one)
    assert stage.served == {first: other, second: one}


def test_the_hot_end_is_used_again_and_the_cold_end_expires() -> None:
    stage = Stage()
    for _ in range(3):
        stage.invoke()
    cold, middle, hot = stage.starting()
    for context in (cold, middle, hot):
        stage.ready(context)
    for stage.now, context in ((1.0, cold), (2.0, middle), (3.0, hot)):
        stage.end(context)
    assert stage.wake == 1.0 + IDLE_TIMEOUT
    for stage.now in (4.0, 5.0, 6.0):
        assert stage.served[stage.invoke()] == hot
        stage.end(hot)
    stage.now = 1.0 + IDLE_TIMEOUT
    stage.tick()
    assert stage.stopped == {cold: "idle for too long"}
    assert stage.wake == 2.0 + IDLE_TIMEOUT
    stage.now = 2.0 + IDLE_TIMEOUT
    stage.tick()
    assert stage.stopped.keys() == {cold, middle}
    assert stage.wake == 6.0 + IDLE_TIMEOUT


def test_a_tick_that_comes_too_early_is_asked_for_again() -> None:
    stage = Stage()
    stage.ready_context()
    stage.now = IDLE_TIMEOUT - 0.001
    stage.tick()
    assert stage.stopped == {}
    assert stage.wake == IDLE_TIMEOUT


def test_a_tick_stops_neither_busy_nor_starting_contexts() -> None:
    stage = Stage()
    stage.invoke()
    busy = stage.starting()[0]
    stage.ready(busy)
    stage.invoke()
    stage.now = 100 * IDLE_TIMEOUT
    stage.tick()
    assert stage.stopped == {}
    assert stage.wake is None


def test_a_tick_looks_at_every_pool() -> None:
    stage = Stage()
    contexts = []
    for stage.now, pool in ((0.0, "a"), (1.0, "b"), (2.0, "c"), (3.0, "d")):
        contexts.append(stage.ready_context(pool))
    stage.now = 1.0 + IDLE_TIMEOUT
    stage.tick()
    assert sorted(stage.stopped) == contexts[:2]
    assert stage.wake == 2.0 + IDLE_TIMEOUT  # the earliest of those that are left


def test_a_retired_pool_drains_and_vanishes() -> None:
    stage = Stage()
    idle = stage.ready_context()
    stage.invoke()
    stage.invoke()
    busy, starting = idle, stage.starting()[0]
    assert stage.running.keys() == {busy}
    other = stage.ready_context("b")
    stage.retire()
    assert stage.stopped == {}  # whoever runs or waits is not disturbed
    stage.ready(starting)
    for context in (busy, starting):
        stage.end(context)
    assert stage.stopped == {busy: "drained", starting: "drained"}
    for context in (busy, starting):
        stage.die(context)
    assert stage.state.pools.keys() == {"b"}
    assert list(stage.idle) == [other]


def test_retiring_stops_what_is_idle() -> None:
    stage = Stage()
    idle = stage.ready_context()
    stage.retire()
    assert stage.stopped == {idle: "drained"}
    stage.die(idle)
    assert stage.state.pools == {}


def test_dropping_what_is_idle_makes_the_next_start_cold_and_no_later_one() -> None:
    stage = Stage()
    idle, busy = stage.ready_context(), 2
    stage.invoke()
    stage.invoke()
    stage.ready(busy)
    stage.end(idle)
    stage.drop_idle()
    assert stage.stopped == {idle: "dropped while idle"}
    assert stage.running.keys() == {busy}
    stage.invoke()
    assert stage.starting() == [3]
    stage.ready(3)
    stage.end(3)
    stage.end(busy)
    assert list(stage.idle) == [3, busy]  # the pool goes on as before


def test_dropping_what_is_idle_of_a_pool_that_is_not_there_leaves_nothing() -> None:
    state = SchedulerState(Policy(10.0, 1))
    assert state.handle(IdleDropped("a")) == []
    assert state.pools == {}


def test_retiring_a_pool_that_is_not_there_leaves_nothing() -> None:
    state = SchedulerState(Policy(10.0, 1))
    assert state.handle(PoolRetired("a")) == []
    assert state.pools == {}


@pytest.mark.parametrize("event", [ContextReady, InvocationEnded])
def test_late_news_of_a_dead_context_is_no_news(
    event: type[ContextReady | InvocationEnded],
) -> None:
    state = SchedulerState(Policy(10.0, 1))
    assert state.handle(event(7, 1.0)) == []
    assert state.handle(ContextDied(7, "gone", 1.0)) == []


def test_a_context_that_says_twice_that_it_is_free_is_a_bug_that_shows() -> None:
    stage = Stage()
    context = stage.ready_context()
    with pytest.raises(IllegalTransition, match=r"context 1: idle -> idle is not legal"):
        stage.state.handle(InvocationEnded(context, 1.0))


def test_stopping_ends_idle_contexts_now_and_busy_ones_when_they_are_done() -> None:
    stage = Stage()
    idle = stage.ready_context("b")
    busy = stage.ready_context()
    stage.invoke()
    waiting = stage.invoke()
    coming = stage.starting()[0]
    stage.stop()
    assert stage.stopped == {idle: "the engine stops"}
    late = stage.invoke("b")
    assert stage.rejected == {late: Refusal.STOPPING}
    assert stage.reasons[late] == "the engine is stopping"
    stage.end(busy)  # whoever was accepted before is still served
    assert stage.served[waiting] == busy
    stage.end(busy)
    stage.ready(coming)
    assert stage.stopped.keys() == {idle, busy, coming}
    assert not stage.state.settled
    for context in list(stage.lives):
        stage.die(context)
    assert stage.state.settled


def test_when_grace_is_over_those_who_wait_are_told() -> None:
    stage = Stage(max_contexts=1, max_waiting=2)
    stage.ready_context()
    stage.invoke()
    waiting = [stage.invoke("a"), stage.invoke("b")]
    stage.stop()
    assert stage.rejected == {}
    stage.grace_over()
    assert stage.rejected == dict.fromkeys(waiting, Refusal.STOPPING)
    assert set(stage.reasons.values()) == {"the engine stopped before there was a context"}
    assert stage.state.pools.keys() == {"a"}


def test_grace_over_with_nothing_there() -> None:
    state = SchedulerState(Policy(10.0, 1))
    assert state.handle(StopRequested()) == []
    assert state.handle(GraceOver()) == []
    assert state.settled


def test_with_no_room_a_ticket_is_refused_at_once() -> None:
    stage = Stage(max_contexts=2)
    stage.invoke("a")
    stage.invoke("b")
    refused = stage.invoke("c")
    assert stage.rejected == {refused: Refusal.CONTEXTS}
    assert stage.reasons[refused] == "2 contexts exist and none is idle"
    assert stage.state.pools.keys() == {"a", "b"}


def test_some_may_wait_for_room_and_no_more() -> None:
    stage = Stage(max_contexts=1, max_waiting=2)
    served = stage.invoke()
    waiting = [stage.invoke(), stage.invoke("b")]
    refused = [stage.invoke(), stage.invoke("c")]
    assert stage.rejected.keys() == set(refused)
    context = stage.starting()[0]
    stage.ready(context)
    assert stage.served == {served: context}
    assert sorted(n for tickets in stage.waiting.values() for n in tickets) == waiting


def test_reject_is_told_apart_from_the_start_that_failed() -> None:
    state = SchedulerState(Policy(10.0, 5))
    state.handle(InvokeRequested("a", "ticket", 0.0))
    for context in range(1, START_ATTEMPTS):
        (again,) = state.handle(ContextDied(context, "no fork", 0.0))
        assert isinstance(again, StartContext)
    assert state.handle(ContextDied(START_ATTEMPTS, "no fork at all", 0.0)) == [
        Reject("ticket", Refusal.START_FAILED, "no fork at all")
    ]
    assert state.settled
