"""Events in any legal order against a model: what must hold after each stands in `Stage.check`."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.unit.scheduler.stage import IDLE_TIMEOUT, Stage

from samovar.context.lifecycle import ContextState

POOLS = st.sampled_from("abc")
SELDOM = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 0])  # 0 for yes: what ends much is asked twice
WHICH = st.integers(0, 1000)  # which of those that there are, modulo their number


class Scheduling(RuleBasedStateMachine):
    """Callers, contexts, updates and the clock, in whatever order they please."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()

    @initialize(max_contexts=st.integers(1, 4), max_waiting=st.integers(0, 5))
    def begin(self, max_contexts: int, max_waiting: int) -> None:
        self.stage = Stage(max_contexts, max_waiting)

    def _any(self, *states: ContextState, which: int) -> int:
        found = [n for n, life in self.stage.lives.items() if life.state in states]
        return found[which % len(found)]

    def _is_there(self, *states: ContextState) -> bool:
        return any(life.state in states for life in self.stage.lives.values())

    @rule(pool=POOLS, seconds=st.sampled_from([0.0, 0.0, 0.5, 3.0]))
    def invoke(self, pool: str, seconds: float) -> None:
        self.stage.now += seconds
        self.stage.invoke(pool)

    @rule(pool=POOLS)
    def drop_idle(self, pool: str) -> None:
        self.stage.drop_idle(pool)

    @precondition(lambda self: self._is_there(ContextState.STARTING))
    @rule(which=WHICH)
    def init_begins(self, which: int) -> None:
        self.stage.initialize(self._any(ContextState.STARTING, which=which))

    @precondition(lambda self: self._is_there(ContextState.INITIALIZING))
    @rule(which=WHICH)
    def ready(self, which: int) -> None:
        self.stage.ready(self._any(ContextState.INITIALIZING, which=which))

    @precondition(lambda self: self._is_there(ContextState.STARTING, ContextState.INITIALIZING))
    @rule(which=WHICH)
    def start_fails(self, which: int) -> None:
        states = ContextState.STARTING, ContextState.INITIALIZING
        self.stage.die(self._any(*states, which=which), "no fork")

    @precondition(lambda self: self.stage.running)
    @rule(which=WHICH)
    def end(self, which: int) -> None:
        self.stage.end(self._any(ContextState.BUSY, which=which))

    @precondition(lambda self: self._is_there(ContextState.IDLE, ContextState.BUSY))
    @rule(which=WHICH)
    def die(self, which: int) -> None:
        self.stage.die(self._any(ContextState.IDLE, ContextState.BUSY, which=which))

    @precondition(lambda self: self._is_there(ContextState.STOPPING))
    @rule(which=WHICH)
    def stopped(self, which: int) -> None:
        self.stage.die(self._any(ContextState.STOPPING, which=which), "stopped")

    @rule(pool=POOLS, seconds=st.sampled_from([0.5, 3.0]))
    def serve(self, pool: str, seconds: float) -> None:
        """An invocation from end to end: without these, few contexts would ever be idle."""
        ticket = self.stage.invoke(pool)
        if starting := self.stage.starting(pool):
            self.stage.ready(starting[0])
        self.stage.now += seconds
        if ticket in self.stage.served:
            self.stage.end(self.stage.served[ticket])

    @rule(pool=POOLS, really=SELDOM)
    def retire(self, pool: str, really: int) -> None:
        if really == 0:
            self.stage.retire(pool)

    @precondition(lambda self: self.stage.wake is not None)
    @rule()
    def wake(self) -> None:
        assert self.stage.wake is not None
        self.stage.now = max(self.stage.now, self.stage.wake)
        self.stage.tick()

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, IDLE_TIMEOUT, 2 * IDLE_TIMEOUT]))
    def tick(self, seconds: float) -> None:
        """A wake-up that is late, or that nobody wished for."""
        self.stage.now += seconds
        self.stage.tick()

    @precondition(lambda self: not self.stage.stopping and self.stage.lives)
    @rule(really=SELDOM)
    def stop(self, really: int) -> None:
        if really == 0:
            self.stage.stop()

    def teardown(self) -> None:
        """The end of an engine: all settles, and everybody was answered."""
        stage = self.stage
        stage.stop()
        stage.grace_over()
        assert not any(stage.waiting.values())
        while stage.lives:
            stage.die(next(iter(stage.lives)), "the engine stopped")
        assert stage.state.settled
        assert not stage.state.pools
        assert not stage.state.contexts
        line, ledger = stage.state._line, stage.state.ledger
        assert (line.short, line._missing, line._starved) == (0, {}, {})
        assert stage.state._room.living == 0
        assert ledger.unreserved.left == stage.policy.account_concurrency


def test_any_order_of_events() -> None:
    run_state_machine_as_test(
        Scheduling, settings=settings(max_examples=300, stateful_step_count=60)
    )
