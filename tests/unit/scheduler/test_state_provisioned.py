"""Provisioned contexts and the host's memory in the scheduler's state, by example."""

from __future__ import annotations

from tests.unit.scheduler.play import A, B, Play, idle

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import (
    Dispatch,
    ProvisionedChanged,
    Refusal,
    Reject,
    StopContext,
)
from samovar.scheduler.events import (
    ContextDied,
    IdleDropped,
    MemoryMeasured,
    PoolRetired,
    ReservedSet,
    StopRequested,
    Tick,
)
from samovar.scheduler.policy import FOOTPRINT, PROVISION_AT_ONCE, PROVISION_ATTEMPTS


def test_they_start_ahead_of_need_and_are_used_first() -> None:
    play = Play()
    commands = play.provision(2)
    one, two = play.starts(commands)
    assert commands[-1] == ProvisionedChanged(A)
    assert all(play.state.contexts[number].provisioned for number in (one, two))
    assert play.ready(one) == [ProvisionedChanged(A)]
    play.ready(two)
    assert play.invoke("first") == [Dispatch(two, "first")]
    assert play.invoke("second") == [Dispatch(one, "second")]
    (spilled,) = play.starts(play.invoke("third"))
    assert not play.state.contexts[spilled].provisioned
    play.ready(spilled)
    play.end(spilled)
    play.end(one)
    assert play.invoke("fourth") == [Dispatch(one, "fourth")]  # though the other is hotter


def test_while_they_start_invocations_are_served_on_demand() -> None:
    play = Play()
    (coming,) = play.starts(play.provision(1))
    (on_demand,) = play.starts(play.invoke("now"))
    # Whichever is ready first serves; the other is there for the next.
    assert Dispatch(coming, "now") in play.ready(coming)
    play.ready(on_demand)
    assert play.invoke("next") == [Dispatch(on_demand, "next")]
    assert play.state.ledger.share("arn:f").busy == 1


def test_they_neither_expire_nor_are_dropped_nor_evicted() -> None:
    play = Play(max_contexts=1)
    (context,) = play.provisioned(1)
    play.now = 1000.0
    assert play.state.handle(Tick(1000.0)) == []
    assert play.state.handle(IdleDropped(A)) == []
    (refused,) = play.invoke("other", "arn:g:1#3")
    assert isinstance(refused, Reject)
    assert refused.refusal is Refusal.CONTEXTS
    assert play.invoke("mine") == [Dispatch(context, "mine")]


def test_they_take_the_place_of_idle_ones_on_demand() -> None:
    play = Play(max_contexts=1)
    (old,) = play.starts(play.invoke("one", "arn:g:1#3"))
    play.ready(old)
    play.end(old)
    commands = play.provision(1)
    assert commands[0] == StopContext(old, "evicted")
    assert len(play.starts(commands)) == 1


def test_without_room_they_start_once_there_is_some() -> None:
    play = Play(max_contexts=1)
    (busy,) = play.starts(play.invoke("one", "arn:g:1#3"))
    play.ready(busy)
    assert play.starts(play.provision(1)) == []
    assert len(play.starts(play.state.handle(ContextDied(busy, "killed", 0.0)))) == 1


def test_one_that_dies_is_replaced() -> None:
    play = Play()
    one, two = play.provisioned(2)
    assert play.invoke("ticket") == [Dispatch(two, "ticket")]
    for victim in (one, two):
        commands = play.state.handle(ContextDied(victim, "killed", 0.0))
        (fresh,) = play.starts(commands)
        assert play.state.contexts[fresh].provisioned
        play.ready(fresh)
    assert play.state.pools[A].initialized == 2
    assert play.state.ledger.unreserved.left == 98


def test_after_inits_that_fail_again_and_again_it_is_given_up() -> None:
    play = Play()
    started = play.starts(play.provision(1))
    for attempt in range(PROVISION_ATTEMPTS):
        assert len(started) == 1, attempt
        play.state.contexts[started[0]].move(ContextState.INITIALIZING)
        commands = play.state.handle(ContextDied(started[0], "its init failed", 0.0))
        assert ProvisionedChanged(A) in commands
        started = play.starts(commands)
    assert started == []
    assert play.state.pools[A].failed
    assert len(play.starts(play.provision(1))) == 1  # asked for anew, tried anew
    assert not play.state.pools[A].failed


def test_only_some_of_them_initialise_at_the_same_time() -> None:
    play = Play()
    started = play.starts(play.provision(PROVISION_AT_ONCE + 2))
    assert len(started) == PROVISION_AT_ONCE
    for context in started:
        play.ready(context)
    assert play.state.pools[A].provisioned == PROVISION_AT_ONCE + 2


def test_fewer_are_wanted() -> None:
    play = Play()
    one, two, three = play.provisioned(3)
    play.invoke("ticket")  # on the third
    assert play.provision(1) == [
        StopContext(one, "not provisioned any more"),
        StopContext(two, "not provisioned any more"),
        ProvisionedChanged(A),
    ]
    assert play.end(three) == []
    assert play.provision(0)[0] == StopContext(three, "not provisioned any more")
    for context in (one, two, three):
        play.state.handle(ContextDied(context, "stopped", 0.0))
    assert play.state.pools == {}
    assert play.state.ledger.unreserved.left == 100


def test_reserved_and_all_of_it_provisioned() -> None:
    play = Play()
    play.state.handle(ReservedSet("arn:f", 2))
    play.provisioned(2)
    (refused,) = play.invoke("latest", "arn:f:$LATEST#9")
    assert isinstance(refused, Reject)
    assert refused.refusal is Refusal.RESERVED
    assert isinstance(play.invoke("one")[0], Dispatch)
    assert isinstance(play.invoke("two")[0], Dispatch)
    assert play.invoke("three") == [Reject("three", Refusal.RESERVED, "arn:f")]


def test_what_waits_for_a_start_is_in_flight_when_something_is_reserved() -> None:
    play = Play()
    (starting,) = play.starts(play.invoke("waits"))
    play.state.handle(ReservedSet("arn:f", 1))
    assert play.invoke("more", B) == [Reject("more", Refusal.RESERVED, "arn:f")]
    play.ready(starting)
    play.end(starting)
    assert play.starts(play.invoke("now", B)) != []


def test_a_version_that_goes_takes_them_along() -> None:
    play = Play()
    (one,) = play.provisioned(1)
    assert play.state.handle(PoolRetired(A)) == [StopContext(one, "drained")]
    play.state.handle(ContextDied(one, "stopped", 0.0))
    assert play.state.pools == {}


def test_when_the_engine_stops_none_is_started_any_more() -> None:
    play = Play()
    one, two = play.starts(play.provision(2))
    play.ready(one)
    stopped = play.state.handle(StopRequested())
    assert set(stopped) == {StopContext(number, "the engine stops") for number in (one, two)}
    assert play.starts(play.state.handle(ContextDied(two, "killed", 0.0))) == []
    play.state.handle(ContextDied(one, "stopped", 0.0))
    assert play.state.settled


def test_without_memory_the_coldest_go_first_and_then_nobody_starts() -> None:
    play = Play()
    cold = idle(play, "arn:a:1#1")
    play.now = 1.0
    warm = idle(play, "arn:b:1#2")
    busy = idle(play, "arn:c:1#3")
    play.invoke("busy", "arn:c:1#3")
    play.state.handle(MemoryMeasured(FOOTPRINT - 1, {}))
    commands = play.invoke("new", "arn:d:1#4")
    assert commands[0] == StopContext(cold, "evicted")
    assert len(play.starts(commands)) == 1
    assert play.state.handle(MemoryMeasured(-1, {})) == [
        StopContext(warm, "the host is short of memory")
    ]
    (refused,) = play.invoke("newer", "arn:e:1#5")
    assert isinstance(refused, Reject)
    assert refused.refusal is Refusal.MEMORY
    assert play.state.contexts[busy].state is ContextState.BUSY
    play.state.handle(MemoryMeasured(10_000, {}))
    assert len(play.starts(play.invoke("newest", "arn:e:1#5"))) == 1


def test_a_burst_does_not_take_more_memory_than_was_measured() -> None:
    play = Play()
    play.state.handle(MemoryMeasured(3 * FOOTPRINT, {}))
    answers = [play.invoke(f"{number}") for number in range(5)]
    assert [len(play.starts(commands)) for commands in answers] == [1, 1, 1, 0, 0]
    play.state.handle(MemoryMeasured(3 * FOOTPRINT, {}))  # none of the three has used any yet
    (refused,) = play.invoke("sixth")
    assert isinstance(refused, Reject)


def test_a_pool_counts_by_the_largest_of_its_contexts() -> None:
    play = Play()
    large = "arn:large:1#1"
    idle(play, large)
    play.invoke("busy", large)
    play.state.handle(MemoryMeasured(900, {large: 500}))
    assert len(play.starts(play.invoke("one", large))) == 1
    (refused,) = play.invoke("two", large)
    assert isinstance(refused, Reject)
    assert len(play.starts(play.invoke("small"))) == 1
