"""Provisioned contexts that fail, are lost or are called off, and how many start at once."""

from __future__ import annotations

import pytest
from tests.unit.scheduler.play import A, B, Play
from tests.unit.scheduler.world import World

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import Dispatch, ProvisionedChanged, StopContext
from samovar.scheduler.events import (
    ContextReady,
    MemoryMeasured,
    PoolRetired,
    ProvisionRequested,
    StopRequested,
)
from samovar.scheduler.policy import (
    EARLY,
    FOOTPRINT,
    PROVISION_AT_ONCE,
    PROVISION_ATTEMPTS,
    PROVISION_IN_ALL,
)

_S = ContextState


def called_off(play: Play, how: str) -> list[object]:
    event = {
        "not wanted": ProvisionRequested(A, 0),
        "retired": PoolRetired(A),
        "the engine stops": StopRequested(),
    }[how]
    return [item for item in play.state.handle(event) if isinstance(item, StopContext)]


@pytest.mark.parametrize("how", ["not wanted", "retired", "the engine stops"])
@pytest.mark.parametrize("state", [_S.STARTING, _S.INITIALIZING], ids=lambda state: state.value)
def test_a_start_that_nobody_wants_any_more_is_called_off(how: str, state: ContextState) -> None:
    """An init may take minutes: nobody waits for its end."""
    play = Play()
    play.state.handle(MemoryMeasured(1000, {}))
    (context,) = play.starts(play.provision(1))
    if state is _S.INITIALIZING:
        play.state.contexts[context].move(state)
    (stop,) = called_off(play, how)
    assert isinstance(stop, StopContext) and stop.context == context
    assert play.state._room.living == play.state._room.promised == 0
    assert play.state._room.memory == 1000
    # It may get ready before it is gone.
    assert play.state.handle(ContextReady(context, 0.0)) == []
    assert play.starts(play.die(context)) == []
    assert play.state.settled and play.state.pools == {}
    assert play.state.ledger.unreserved.left == 100


def test_those_that_start_are_called_off_before_those_that_are_ready_go() -> None:
    play = Play()
    one, two, three = play.starts(play.provision(3))
    play.ready(one)
    assert play.provision(2) == [
        StopContext(three, "not provisioned any more"),
        ProvisionedChanged(A),
    ]
    play.ready(two)
    assert play.state.pools[A].initialized == 2


def test_a_start_on_demand_is_called_off_unless_it_is_waited_for() -> None:
    play = Play()
    (first,) = play.starts(play.invoke("one"))
    play.ready(first)
    (surplus,) = play.starts(play.invoke("two"))
    play.end(first)  # and runs the second
    (waited_for,) = play.starts(play.invoke("three", B))
    assert play.state.handle(StopRequested()) == [StopContext(surplus, "the engine stops")]
    assert Dispatch(waited_for, "three") in play.ready(waited_for)


def test_a_retired_pool_is_provisioned_no_more() -> None:
    play = Play()
    (context,) = play.provisioned(1)
    play.invoke("busy")
    play.state.handle(PoolRetired(A))
    assert play.provision(2) == []
    play.end(context)
    play.die(context)
    assert play.state.pools == {}


def test_a_zygote_that_dies_is_no_failure_of_the_function() -> None:
    play = Play()
    started = play.starts(play.provision(PROVISION_AT_ONCE))
    assert len(started) >= PROVISION_ATTEMPTS
    for context in started[::2]:
        play.state.contexts[context].move(_S.INITIALIZING)
    again = [fresh for context in started for fresh in play.starts(play.die(context, lost=True))]
    assert len(again) == PROVISION_AT_ONCE
    assert not play.state.pools[A].failed
    for context in again:
        play.ready(context)
    for context in again:  # and those that are ready are not, either
        play.die(context, lost=True)
    assert not play.state.pools[A].failed


def test_where_nothing_can_be_started_at_all_it_is_given_up() -> None:
    play = Play()
    coming = play.starts(play.provision(PROVISION_AT_ONCE))
    tried = 0
    while coming and tried < 100:
        tried += 1
        coming += play.starts(play.die(coming.pop(0), lost=True))
    assert play.state.pools[A].failed
    assert PROVISION_ATTEMPTS <= tried <= PROVISION_ATTEMPTS * PROVISION_AT_ONCE


def test_contexts_that_end_right_after_their_init_are_given_up() -> None:
    play = Play()
    coming = play.starts(play.provision(2))
    tried = 0
    while coming and tried < 100:
        tried += 1
        play.ready(coming[0])
        play.now += EARLY - 1
        coming += play.starts(play.die(coming.pop(0)))
    assert play.state.pools[A].failed
    assert PROVISION_ATTEMPTS <= tried <= PROVISION_ATTEMPTS + 1
    assert len(play.starts(play.provision(2))) == 2  # asked for anew, tried anew


@pytest.mark.parametrize("lived", ["long", "for an invocation"])
def test_one_that_lived_is_replaced_for_ever(lived: str) -> None:
    play = Play()
    (context,) = play.provisioned(1)
    for _ in range(2 * PROVISION_ATTEMPTS):
        if lived == "long":
            play.now += EARLY
        else:
            play.invoke("ticket")
            play.end(context)
        (context,) = play.starts(play.die(context))
        play.ready(context)
    assert not play.state.pools[A].failed


def test_many_configs_do_not_all_start_at_once() -> None:
    play = Play(max_contexts=1000, account=1000)
    pools = [f"arn:f{number}:1#{number}" for number in range(50)]
    coming = [start for pool in pools for start in play.starts(play.provision(4, pool))]
    assert len(coming) == PROVISION_IN_ALL
    most = 0
    while coming:
        coming += play.starts(play.ready(coming.pop(0)))
        most = max(most, len(coming))
    assert most <= PROVISION_IN_ALL
    assert [play.state.pools[pool].initialized for pool in pools] == [4] * 50
    assert play.state._unprovisioned == {}


def test_configs_take_turns() -> None:
    play = Play(max_contexts=1000, account=1000)
    pools = [f"arn:f{number}:1#{number}" for number in range(20)]
    coming = [start for pool in pools for start in play.starts(play.provision(8, pool))]
    for _ in range(20):  # while some wait for their first, nobody gets more
        coming += play.starts(play.ready(coming.pop(0)))
    assert all(play.state.pools[pool].provisioned for pool in pools)


def test_one_config_whose_inits_hang_does_not_hold_up_the_others() -> None:
    play = Play()
    play.provision(50)  # and none of them gets ready
    (coming,) = play.starts(play.provision(1, B))
    play.ready(coming)
    assert play.state.pools[B].initialized == 1


def test_who_waits_in_line_goes_before_one_that_failed() -> None:
    play = Play(max_contexts=1, max_waiting=1)
    (context,) = play.starts(play.provision(1))
    play.invoke("waits", B)
    (start,) = play.starts(play.die(context))
    assert play.state.contexts[start].pool == B


def test_a_hundred_where_ten_may_be() -> None:
    play = Play(max_contexts=10, account=1000)
    coming = play.starts(play.provision(100))
    ready = []
    while coming:
        ready.append(coming.pop(0))
        coming += play.starts(play.ready(ready[-1]))
    assert len(ready) == play.state.pools[A].initialized == 10
    play.provision(4)
    assert play.state.pools[A].initialized == 4 and not play.state.wants_room


def test_provisioning_that_has_no_memory_lets_others_be() -> None:
    """Idle contexts do not go for a context that there would be no memory for all the same."""
    play = Play()
    large = "arn:large:1#1"
    (context,) = play.starts(play.invoke("one", large))
    play.ready(context)
    play.state.handle(MemoryMeasured(1000, {large: 10 * FOOTPRINT}))
    (small,) = play.starts(play.invoke("small"))
    play.ready(small)
    play.state.handle(MemoryMeasured(FOOTPRINT, {}))
    assert play.starts(play.provision(1, large)) == []
    for _ in range(3):
        play.end(small)
        assert play.invoke("again") == [Dispatch(small, "again")]
    play.end(small)
    (start,) = play.starts(play.state.handle(MemoryMeasured(9 * FOOTPRINT, {})))
    assert play.state.contexts[start].pool == large
    assert play.state.contexts[small].state is _S.STOPPING


def test_pools_that_are_gone_are_not_kept_in_the_order_of_idle_contexts() -> None:
    """Nor until their contexts would have expired: functions that come and go are many."""
    world = World(max_contexts=4)
    for number in range(20):
        pool = f"f{number}:1#{number}"
        world.invoke(pool)
        (context,) = world.which(ContextState.STARTING)
        world.initialize(context)
        world.ready(context)
        world.end(context)
        world.retire(pool)
        world.die(context)
    assert world.state.pools == {}
    assert world.state._cold._heap == []
