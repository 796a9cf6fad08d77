"""Whose turn it is when room appears, by example; `World.check` holds the rules at each step."""

from __future__ import annotations

from tests.unit.scheduler.world import World

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import Refusal
from samovar.scheduler.policy import FOOTPRINT, PROVISION_ATTEMPTS

F, F2, G = "f:1#1", "f:2#2", "g:1#3"


def serve(world: World, pool: str) -> None:
    """One invocation on a new context, which is idle then."""
    world.invoke(pool)
    number = max(world.bodies)
    world.ready(number)
    world.end(number)


def test_who_waits_comes_before_a_newcomer() -> None:
    """Room that is there but was not given yet: a context of 1 is stopping, of 2 that may be."""
    world = World(max_contexts=2, max_waiting=1)
    world.provision(G, 1)
    world.ready(1)
    world.invoke(F)
    world.invoke(F2)
    world.provision(G, 0)
    world.invoke(F)  # f:2 has none yet, and gets what there is
    assert world.living(F2) == 1
    assert world.refusals == {}


def test_a_pool_whose_provisioned_context_starts_does_not_starve() -> None:
    world = World(max_contexts=2, max_waiting=2)
    world.provision(F2, 1)
    world.ready(1)
    world.invoke(F)
    world.invoke(G)
    world.provision(F2, 0)
    world.provision(G, 1)
    assert world.living(G, provisioned=True) == 1
    world.die(1)
    world.ready(max(world.bodies))
    assert G not in world.waiting


def test_provisioned_contexts_take_the_place_of_what_becomes_idle() -> None:
    world = World(max_contexts=1)
    world.invoke(F)
    world.ready(1)
    world.provision(G, 1)
    assert world.living(G) == 0
    world.end(1)
    assert world.bodies[1].phase is ContextState.STOPPING
    assert world.living(G, provisioned=True) == 1


def test_large_contexts_do_not_hold_up_small_ones() -> None:
    world = World(max_contexts=4, max_waiting=2)
    serve(world, F)
    world.measure(0, {F: 3 * FOOTPRINT})
    world.die(1)
    world.measure(FOOTPRINT, {})
    world.invoke(F)  # waits for three times what there is
    world.invoke(G)
    assert (world.living(F), world.living(G)) == (0, 1)
    world.measure(10 * FOOTPRINT, {})
    assert world.living(F) == 1


def test_a_start_that_failed_as_memory_ran_out_is_not_waited_for() -> None:
    world = World()
    ticket = world.invoke(F)
    world.measure(0, {})
    world.die(1)
    assert world.refusals == {ticket: Refusal.MEMORY}


def test_a_late_success_does_not_take_a_failure_back() -> None:
    world = World()
    world.provision(F, 3)
    for _ in range(PROVISION_ATTEMPTS):
        world.die(max(world.bodies))
    assert world.state.pools[F].failed
    late, later = world.bodies
    world.ready(late)
    world.die(later)
    assert world.living(F) == 1  # and nothing more is tried
    world.provision(F, 3)
    assert world.living(F) == 3


def test_a_slow_function_keeps_no_other_from_running() -> None:
    world = World(max_contexts=2, max_waiting=6)
    for _ in range(6):
        world.invoke(F)
    world.ready(1)
    world.ready(2)
    world.invoke(G)
    world.end(1)  # four more of f wait, and were first
    assert world.living(G) == 1
