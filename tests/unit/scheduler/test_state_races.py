"""Two things at once: what becomes of a ticket when its context and the world change meanwhile."""

from __future__ import annotations

import pytest
from tests.unit.scheduler.stage import IDLE_TIMEOUT, Stage

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import Dispatch, Refusal, StartContext
from samovar.scheduler.events import ContextDied, ContextReady, InvokeRequested
from samovar.scheduler.policy import START_ATTEMPTS, Policy
from samovar.scheduler.state import SchedulerState


def test_a_ticket_takes_a_freed_context_and_its_own_start_serves_the_next() -> None:
    stage = Stage()
    busy = stage.ready_context()
    stage.invoke()
    ticket = stage.invoke()
    coming = stage.starting()[0]
    stage.end(busy)
    assert stage.served[ticket] == busy
    following = stage.invoke()
    assert stage.starting() == [coming]  # no second start: one is coming that nobody waits for
    stage.ready(coming)
    assert stage.served[following] == coming


def test_a_start_that_nobody_waits_for_any_more_becomes_an_idle_context() -> None:
    stage = Stage()
    busy = stage.ready_context()
    stage.invoke()
    stage.invoke()
    coming = stage.starting()[0]
    stage.end(busy)
    stage.now = 1.0
    stage.ready(coming)
    assert list(stage.idle) == [coming]
    stage.now = 1.0 + IDLE_TIMEOUT
    stage.tick()
    assert stage.stopped == {coming: "idle for too long"}


def test_a_start_that_nobody_waits_for_any_more_gives_its_place_to_another_pool() -> None:
    stage = Stage(max_contexts=2, max_waiting=1)
    busy = stage.ready_context()
    stage.invoke()
    stage.invoke()
    coming = stage.starting()[0]
    stage.end(busy)
    waiting = stage.invoke("b")
    assert stage.starting("b") == []
    stage.ready(coming)
    assert stage.stopped == {coming: "evicted"}
    stage.ready(stage.starting("b")[0])
    assert waiting in stage.served


def test_a_start_that_fails_while_nobody_waits_is_not_repeated() -> None:
    stage = Stage()
    busy = stage.ready_context()
    stage.invoke()
    stage.invoke()
    coming = stage.starting()[0]
    stage.end(busy)
    stage.die(coming)
    assert stage.starting() == []


def test_a_context_that_dies_while_reserved() -> None:
    """The driver carries a Dispatch out at once; should it ever not, the state is none the worse:
    whoever holds the ticket answers it."""
    state = SchedulerState(Policy(10.0, 1, 1))
    (start,) = state.handle(InvokeRequested("a", "first", 0.0))
    assert isinstance(start, StartContext)
    state.handle(InvokeRequested("a", "second", 0.0))
    start.lifecycle.move(ContextState.INITIALIZING)
    assert state.handle(ContextReady(1, 1.0)) == [Dispatch(1, "first")]
    assert start.lifecycle.state is ContextState.RESERVED
    (again,) = state.handle(ContextDied(1, "killed", 1.0))
    assert isinstance(again, StartContext)  # for the second; nobody gets the first twice
    again.lifecycle.move(ContextState.INITIALIZING)
    assert state.handle(ContextReady(2, 2.0)) == [Dispatch(2, "second")]


def test_a_context_that_dies_idle_is_passed_over() -> None:
    stage = Stage()
    stage.invoke()
    stage.invoke()
    cold, hot = stage.starting()
    for context in (cold, hot):
        stage.ready(context)
    for context in (cold, hot):
        stage.end(context)
    stage.die(hot)
    assert stage.served[stage.invoke()] == cold
    stage.end(cold)
    stage.die(cold)
    fresh = stage.invoke()
    assert fresh not in stage.served
    assert len(stage.starting()) == 1


def test_dead_contexts_do_not_pile_up_among_the_idle() -> None:
    """Those at the cold end go with the next tick, those at the hot end when they are met."""
    stage = Stage()
    for _ in range(5):
        stage.invoke()
    contexts = stage.starting()
    for context in contexts:
        stage.ready(context)
    for context in contexts:
        stage.end(context)
    for context in contexts[:3]:
        stage.die(context)
    stage.tick()
    assert [life.context for life in stage.state.pools["a"].idle] == contexts[3:]


def test_a_busy_context_that_dies_leaves_its_place_to_those_who_wait() -> None:
    stage = Stage(max_contexts=1, max_waiting=1)
    context = stage.ready_context()
    stage.invoke()
    waiting = stage.invoke("b")
    stage.die(context)
    stage.ready(stage.starting("b")[0])
    assert waiting in stage.served


def test_a_stopping_context_has_no_place() -> None:
    """It may take its time to go: whoever comes meanwhile does not wait for it."""
    stage = Stage(max_contexts=1)
    idle = stage.ready_context()
    stage.now = IDLE_TIMEOUT
    stage.tick()
    assert stage.in_state(ContextState.STOPPING) == [idle]
    stage.invoke()
    assert len(stage.starting()) == 1
    stage.die(idle)
    assert stage.alive() == 1


@pytest.mark.parametrize("attempts", [1, START_ATTEMPTS - 1])
def test_a_start_that_fails_is_tried_again(attempts: int) -> None:
    stage = Stage()
    ticket = stage.invoke()
    for _ in range(attempts):
        stage.die(stage.starting()[0], "no fork")
    context = stage.starting()[0]
    stage.ready(context)
    assert stage.served == {ticket: context}


def test_after_three_failed_starts_in_a_row_one_ticket_is_answered() -> None:
    stage = Stage()
    first, second = stage.invoke(), stage.invoke()
    for number in range(START_ATTEMPTS):
        stage.die(stage.starting()[0], f"no fork, {number}")
    assert stage.rejected == {first: Refusal.START_FAILED}
    assert stage.reasons == {first: "no fork, 2"}
    assert len(stage.starting()) == 1  # for the other, which gets as many attempts again
    for _ in range(START_ATTEMPTS):
        assert second not in stage.rejected
        stage.die(stage.starting()[0], "no fork")
    assert stage.rejected.keys() == {first, second}
    assert stage.state.settled


def test_a_start_that_works_forgives_those_that_failed() -> None:
    stage = Stage()
    for _ in range(3):
        stage.invoke()
        for _ in range(START_ATTEMPTS - 1):
            stage.die(stage.starting()[0], "no fork")
        stage.ready(stage.starting()[0])
    assert stage.rejected == {}


def test_an_invocation_evicts_the_context_that_was_idle_longest() -> None:
    stage = Stage(max_contexts=3)
    contexts = {}
    for stage.now, pool in ((1.0, "b"), (2.0, "a"), (3.0, "c")):
        contexts[pool] = stage.ready_context(pool)
    stage.invoke("d")
    assert stage.stopped == {contexts["b"]: "evicted"}
    assert len(stage.starting("d")) == 1
    stage.invoke("e")
    assert stage.stopped == {contexts["b"]: "evicted", contexts["a"]: "evicted"}
    again = stage.invoke("b")  # the one that is on its way out is not for it
    assert stage.stopped.keys() == set(contexts.values())
    stage.ready(stage.starting("b")[0])
    assert again in stage.served


def test_eviction_passes_over_the_dead_and_never_takes_the_busy() -> None:
    stage = Stage(max_contexts=2)
    dead = stage.ready_context("a")
    stage.now = 1.0
    busy = stage.ready_context("b")
    stage.die(dead)
    idle = stage.ready_context("a")
    stage.invoke("b")
    stage.invoke("c")
    assert stage.stopped == {idle: "evicted"}
    assert stage.running.keys() == {busy}
    refused = stage.invoke("d")
    assert stage.rejected == {refused: Refusal.CONTEXTS}


def test_a_retired_pools_place_goes_to_those_who_wait_before_those_who_come() -> None:
    stage = Stage(max_contexts=1, max_waiting=1)
    context = stage.ready_context()
    stage.invoke()
    waiting = stage.invoke("b")
    stage.retire()
    stage.end(context)
    assert len(stage.starting("b")) == 1
    stage.invoke("c")
    assert stage.starting("c") == []
    stage.ready(stage.starting("b")[0])
    assert waiting in stage.served


def test_a_busy_pool_does_not_starve_another() -> None:
    """With `max_waiting` a function that is never without a queue gives the others their turn."""
    stage = Stage(max_contexts=1, max_waiting=100)
    order = []
    for pool in "abc":
        for _ in range(3):
            stage.invoke(pool)
    for _ in range(17):
        (context,) = [n for n in stage.lives if n not in stage.stopped]
        pool = stage.lives[context].pool
        if context in stage.running:
            stage.invoke(pool)  # its queue never gets shorter
            stage.end(context)
        else:
            stage.ready(context)
            order.append(pool)
    assert order == ["a", "b", "c"] * 3


def test_whoever_has_a_context_waits_for_that_one() -> None:
    """Only a pool that has none gets another's place while that has a use for it."""
    stage = Stage(max_contexts=2, max_waiting=100)
    one, other = stage.ready_context("a"), stage.ready_context("b")
    for _ in range(3):
        stage.invoke("a")
        stage.invoke("b")
    for _ in range(2):
        stage.end(one)
        stage.end(other)
    assert stage.stopped == {}
    assert stage.running.keys() == {one, other}


def test_a_starved_pool_comes_before_one_that_stands_before_it_in_line() -> None:
    stage = Stage(max_contexts=2, max_waiting=100)
    first, second = stage.ready_context("a"), stage.ready_context("b")
    for pool in ("a", "b", "a", "b", "c"):
        stage.invoke(pool)
    stage.end(second)
    assert stage.stopped == {second: "evicted"}
    assert (len(stage.starting("a")), len(stage.starting("c"))) == (0, 1)
    assert stage.running.keys() == {first}


def test_places_that_get_free_go_round() -> None:
    stage = Stage(max_contexts=4, max_waiting=100)
    stage.ready_context("a")
    stage.ready_context("b")
    for _ in range(2):
        stage.invoke("c")
    freed = stage.starting("c")
    for context in freed:
        stage.ready(context)
    for pool in ("a", "b", "a", "a", "b", "b"):
        stage.invoke(pool)
    for context in freed:
        stage.end(context)
    assert stage.stopped == dict.fromkeys(freed, "evicted")
    assert (len(stage.starting("a")), len(stage.starting("b"))) == (1, 1)


def test_a_context_runs_at_least_once_before_its_place_is_given_up() -> None:
    """Or two pools would start contexts for ever and run nothing."""
    stage = Stage(max_contexts=1, max_waiting=100)
    first, second = stage.invoke("a"), stage.invoke("b")
    stage.ready(stage.starting("a")[0])
    assert first in stage.served
    stage.invoke("a")
    stage.end(stage.served[first])
    assert list(stage.stopped.values()) == ["evicted"]
    stage.ready(stage.starting("b")[0])
    assert second in stage.served


def test_a_pool_whose_contexts_all_crash_does_not_starve_another() -> None:
    stage = Stage(max_contexts=1, max_waiting=100)
    for _ in range(3):
        stage.invoke("a")
    waiting = stage.invoke("b")
    context = stage.starting("a")[0]
    stage.ready(context)
    stage.die(context)
    assert stage.starting("a") == []
    stage.ready(stage.starting("b")[0])
    assert waiting in stage.served
