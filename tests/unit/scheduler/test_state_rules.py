"""Events in any legal order against a model: what must hold after each stands in `World.check`."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.unit.scheduler.world import IDLE_TIMEOUT, World

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import Refusal
from samovar.scheduler.policy import FOOTPRINT

_S = ContextState
EXAMPLES = int(os.environ.get("SCHEDULES", "200"))
# Two versions of one function, which share what is reserved for it, and two functions besides.
VERSIONS = ("f:1#1", "f:2#2", "g:1#3", "h:1#4")
POOLS = st.sampled_from(VERSIONS)
FUNCTIONS = st.sampled_from("fgh")
SELDOM = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 0])  # 0 for yes: what ends much is asked twice
WHICH = st.integers(0, 1000)  # which of those that there are, modulo their number


class Scheduling(RuleBasedStateMachine):
    """Callers, contexts, limits, updates and the clock, in whatever order they please."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(
        max_contexts=st.integers(1, 6), max_waiting=st.integers(0, 5), account=st.integers(3, 12)
    )
    def begin(self, max_contexts: int, max_waiting: int, account: int) -> None:
        self.world = World(max_contexts, max_waiting, account)

    def _any(self, *phases: ContextState, which: int) -> int:
        found = self.world.which(*phases)
        return found[which % len(found)]

    def _is_there(self, *phases: ContextState) -> bool:
        return bool(self.world.which(*phases))

    # -- callers

    @rule(pool=POOLS, seconds=st.sampled_from([0.0, 0.0, 0.5, 3.0]))
    def invoke(self, pool: str, seconds: float) -> None:
        self.world.now += seconds
        self.world.invoke(pool)

    @rule(pool=POOLS, count=st.integers(2, 5))
    def burst(self, pool: str, count: int) -> None:
        for _ in range(count):
            self.world.invoke(pool)

    @rule(pools=st.lists(POOLS, min_size=1, max_size=5), seconds=st.sampled_from([0.5, 3.0]))
    def serve(self, pools: list[str], seconds: float) -> None:
        """Invocations from end to end, one after the other: without these, few contexts would ever
        be idle, and fewer used again."""
        for pool in pools:
            self._serve(pool, seconds)

    def _serve(self, pool: str, seconds: float) -> None:
        world = self.world
        ticket = world.invoke(pool)
        for number in world.which(_S.STARTING, _S.INITIALIZING):
            if world.bodies[number].pool == pool:
                world.ready(number)
                break
        world.now += seconds
        for number in world.which(_S.BUSY):
            if world.bodies[number].ticket == ticket:
                world.end(number)

    # -- contexts

    @precondition(lambda self: self._is_there(_S.STARTING))
    @rule(which=WHICH)
    def init_begins(self, which: int) -> None:
        self.world.initialize(self._any(_S.STARTING, which=which))

    @precondition(lambda self: self._is_there(_S.INITIALIZING))
    @rule(which=WHICH)
    def ready(self, which: int) -> None:
        self.world.ready(self._any(_S.INITIALIZING, which=which))

    @precondition(lambda self: self._is_there(_S.STARTING, _S.INITIALIZING))
    @rule(which=WHICH, times=st.sampled_from([1, 1, 3, 6]), lost=st.booleans())
    def starts_fail(self, which: int, times: int, lost: bool) -> None:
        for _ in range(times):
            if self._is_there(_S.STARTING, _S.INITIALIZING):
                self.world.die(self._any(_S.STARTING, _S.INITIALIZING, which=which), lost)

    @precondition(lambda self: self._is_there(_S.BUSY))
    @rule(which=WHICH)
    def end(self, which: int) -> None:
        self.world.end(self._any(_S.BUSY, which=which))

    @precondition(lambda self: self._is_there(_S.IDLE, _S.BUSY))
    @rule(which=WHICH, lost=st.booleans())
    def die(self, which: int, lost: bool) -> None:
        self.world.die(self._any(_S.IDLE, _S.BUSY, which=which), lost)

    @rule()
    def zygote_dies(self) -> None:
        """And takes all contexts along."""
        for number in list(self.world.bodies):
            self.world.die(number, lost=True)

    @precondition(lambda self: self._is_there(_S.STOPPING))
    @rule(which=WHICH)
    def stopped(self, which: int) -> None:
        self.world.die(self._any(_S.STOPPING, which=which))

    # -- users

    @rule(pool=POOLS)
    def drop_idle(self, pool: str) -> None:
        self.world.drop_idle(pool)

    @rule(function=FUNCTIONS, share=st.one_of(st.none(), st.integers(0, 4)))
    def reserve(self, function: str, share: int | None) -> None:
        """As the API lets them: never more, of all functions, than the account has."""
        others = sum(most for name, most in self.world.reserved.items() if name != function)
        if share is None or others + share <= self.world.policy.account_concurrency:
            self.world.reserve(function, share)

    @precondition(lambda self: not self.world.stopping)
    @rule(pool=POOLS, wanted=st.integers(0, 4))
    def provision(self, pool: str, wanted: int) -> None:
        if pool not in self.world.retired:
            self.world.provision(pool, wanted)

    @rule(pool=POOLS, really=SELDOM)
    def retire(self, pool: str, really: int) -> None:
        if really == 0:
            self.world.retire(pool)

    @rule(function=FUNCTIONS, really=SELDOM)
    def delete(self, function: str, really: int) -> None:
        if really == 0:
            self.world.delete(function, [pool for pool in VERSIONS if pool[0] == function])

    # -- the host

    @rule(
        room=st.integers(-1, 6),
        footprints=st.dictionaries(POOLS, st.integers(1, 2 * FOOTPRINT), max_size=2),
    )
    def measure(self, room: int, footprints: dict[str, int]) -> None:
        self.world.measure(room * FOOTPRINT, footprints)

    @precondition(lambda self: self.world.wake is not None)
    @rule()
    def wake(self) -> None:
        assert self.world.wake is not None
        self.world.now = max(self.world.now, self.world.wake)
        self.world.tick()

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, IDLE_TIMEOUT, 2 * IDLE_TIMEOUT]))
    def tick(self, seconds: float) -> None:
        """A wake-up that is late, or that nobody wished for."""
        self.world.now += seconds
        self.world.tick()

    @precondition(lambda self: not self.world.stopping and self.world.bodies)
    @rule(really=SELDOM)
    def stop(self, really: int) -> None:
        if really == 0:
            self.world.stop()

    def teardown(self) -> None:
        """All goes well from now on, and then it ends."""
        world = self.world
        if world.memory.left is not None:
            world.measure(1000 * FOOTPRINT, {})
        settle(world)
        # Provisioned contexts never make room.
        full = world.living(provisioned=True) == world.policy.max_contexts
        assert full or not world.waiting, "everybody who waited was served"
        for pool, promise in world.promises.items():
            ready = world.living(pool, provisioned=True)
            assert full or ready == promise.target or not promise.kept_up
        world.stop()
        world.grace_over()
        while world.bodies:
            world.die(next(iter(world.bodies)))
        assert world.state.settled
        assert not world.state.pools
        for function in "fgh":
            world.delete(function, [])
        ledger, line = world.state.ledger, world.state._line
        assert (line.short, line._missing, line._starved) == (0, {}, {})
        assert ledger.unreserved.left == world.policy.account_concurrency
        assert ledger.shares() == []


def settle(world: World) -> None:
    """Every start succeeds, every invocation ends, what was told to stop is gone."""
    for _ in range(1000):
        if gone := world.which(_S.STOPPING):
            world.die(gone[0])
        elif coming := world.which(_S.STARTING, _S.INITIALIZING):
            world.ready(coming[0])
        elif busy := world.which(_S.BUSY):
            world.end(busy[0])
        else:
            return
    raise AssertionError("it does not come to rest")


def test_any_order_of_events() -> None:
    run_state_machine_as_test(
        Scheduling,
        # No deadline: a busy machine is no fault of the scheduler's.
        settings=settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None),
    )


def test_whoever_can_not_start_any_more_is_told_of_what_there_is_too_little() -> None:
    """Of contexts: the last place has gone to what was promised. It was said to be memory."""
    state = Scheduling()
    state.begin(account=11, max_waiting=1, max_contexts=5)
    state.invoke(pool="g:1#3", seconds=0.0)
    state.provision(pool="f:1#1", wanted=1)
    state.provision(pool="h:1#4", wanted=3)
    state.invoke(pool="g:1#3", seconds=3.0)
    state.starts_fail(lost=False, times=1, which=119)
    state.invoke(pool="g:1#3", seconds=3.0)
    state.measure(footprints={"h:1#4": 3, "f:1#1": 3}, room=2)
    state.starts_fail(lost=True, times=3, which=631)
    assert list(state.world.refusals.values()) == [Refusal.CONTEXTS]


def test_a_place_that_is_too_small_for_one_is_anothers() -> None:
    """All contexts that may be are there, and the idle one's memory is enough for the last pool."""
    state = Scheduling()
    state.begin(max_waiting=2, account=11, max_contexts=3)
    state.provision(pool="f:1#1", wanted=2)
    state.reserve(function="f", share=0)
    state.invoke(pool="h:1#4", seconds=0.0)
    state.provision(pool="g:1#3", wanted=2)
    state.serve(pools=["f:1#1", "f:2#2", "h:1#4", "f:2#2"], seconds=0.5)
    state.end(which=461)
    state.measure(footprints={"f:1#1": 21, "f:2#2": 4}, room=1)
    state.provision(pool="h:1#4", wanted=4)
    state.end(which=35)
    state.init_begins(which=556)
    state.ready(which=396)
    state.zygote_dies()  # and the world has nothing to say
