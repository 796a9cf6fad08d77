"""Freezing against dispatching: whatever comes between, nothing is left stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from samovar.context.freeze import MOST_HELD, Freeze, FreezeState

COUNT = MOST_HELD + 3


class Process:
    """As the kernel has it."""

    def __init__(self) -> None:
        self.stopped = False
        self.gone = False


class Opened:
    """A descriptor of a process, as each freeze has its own."""

    open = 0

    def __init__(self, process: Process) -> None:
        self.process = process
        self.held = True
        Opened.open += 1

    def stop(self) -> None:
        assert self.held
        if self.process.gone:
            raise ProcessLookupError
        self.process.stopped = True

    def go_on(self) -> bool:
        if self.held:
            self.process.stopped = False
        return self.held

    def let_go(self) -> None:
        Opened.open -= self.held
        self.held = False

    def find(self) -> None:
        self.process.stopped = False


class Freezing(RuleBasedStateMachine):
    """The loop gives a context runs and gets replies. The thread works off what it is asked, in
    order and one process at a time, and may be late by any number of runs."""

    def __init__(self) -> None:
        super().__init__()
        Opened.open = 0
        self.processes = [Process() for _ in range(COUNT)]
        self.busy = True
        self.ended = False
        self.freeze: Freeze | None = None
        self.asked: deque[Iterator[None]] = deque()

    # -- the loop

    @precondition(lambda self: self.busy and not self.ended)
    @rule()
    def replies(self) -> None:
        self.busy = False
        self.freeze = Freeze()
        self.asked.append(self.stopping(self.freeze))

    @precondition(lambda self: not self.busy and not self.ended)
    @rule()
    def is_given_a_run(self) -> None:
        self.busy = True
        assert self.freeze is not None
        lost = self.freeze.thaw()
        if lost:
            self.asked.append(self.doing([one.find for one in lost]))
        self.freeze = None

    @precondition(lambda self: not self.ended)
    @rule()
    def ends(self) -> None:
        self.ended = True
        if self.freeze is not None:
            self.freeze.end()

    # -- what else may happen

    @rule(number=st.integers(0, COUNT - 1))
    def a_process_ends(self, number: int) -> None:
        self.processes[number].gone = True

    @precondition(lambda self: self.asked)
    @rule(steps=st.integers(1, COUNT + 1))
    def the_thread_goes_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.asked and next(self.asked[0], self) is self:
                self.asked.popleft()

    def stopping(self, freeze: Freeze) -> Iterator[None]:
        """As `freezing._stop`, in steps."""
        for process in self.processes:
            yield
            opened = Opened(process)
            try:
                kept = freeze.stop(opened)
            except ProcessLookupError:
                opened.let_go()
                continue
            if not kept:
                opened.let_go()
                break
        yield
        freeze.settle()

    def doing(self, what: list[Callable[[], None]]) -> Iterator[None]:
        for one in what:
            yield
            one()

    # -- what holds

    @invariant()
    def no_run_finds_a_stopped_process(self) -> None:
        """But for those that the thread is asked to find."""
        if self.busy and not self.ended:
            stopped = sum(one.stopped and not one.gone for one in self.processes)
            assert stopped <= (COUNT - MOST_HELD if self.asked else 0)

    @invariant()
    def all_stand_still_once_the_thread_is_done(self) -> None:
        if self.freeze is None or self.asked or self.ended:
            return
        assert self.freeze.state is FreezeState.FROZEN
        assert all(one.stopped or one.gone for one in self.processes)

    @invariant()
    def few_descriptors_are_held(self) -> None:
        over = self.ended or self.busy
        assert Opened.open <= (0 if over else MOST_HELD)


TestFreezing = Freezing.TestCase


def test_a_freeze_that_is_over_stops_nobody() -> None:
    process, freeze = Process(), Freeze()
    assert freeze.stop(Opened(process))
    assert list(freeze.thaw()) == []
    assert not process.stopped
    assert not freeze.stop(Opened(process))
    assert not freeze.confirm(Opened(process))
    freeze.settle()
    assert freeze.state is FreezeState.OVER
    assert not process.stopped
