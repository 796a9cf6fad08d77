"""What every Clock promises: the machine's on both kinds of loop, and the one for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
import uvloop

from samovar.clock import Clock, SystemClock
from samovar.testing import ManualClock

HANG = 30.0  # seconds after which a timer will never come

# libuv makes a pipe for signals with the process's first loop and keeps it to the end: made here,
# before any test, so that the leak check does not take it for the first test's.
uvloop.new_event_loop().close()


class Rig(Protocol):
    """A clock, and a way to let its time pass until something has happened."""

    clock: Clock

    async def until(self, event: asyncio.Event) -> None: ...


class SystemRig:
    """Time passes by itself."""

    def __init__(self) -> None:
        self.clock = SystemClock()

    async def until(self, event: asyncio.Event) -> None:
        await asyncio.wait_for(event.wait(), HANG)


class ManualRig:
    """Time passes when told to."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    async def until(self, event: asyncio.Event) -> None:
        self.clock.advance(HANG)
        assert event.is_set()


Scenario = Callable[[Rig], Awaitable[None]]
Play = Callable[[Scenario], None]


@pytest.fixture(params=["system-asyncio", "system-uvloop", "manual"])
def play(request: pytest.FixtureRequest) -> Play:
    def run(scenario: Scenario) -> None:
        async def main() -> None:
            await scenario(ManualRig() if request.param == "manual" else SystemRig())

        factory = uvloop.new_event_loop if request.param == "system-uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    return run


def test_a_timer_runs_once(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        ran: list[str] = []
        later = asyncio.Event()
        rig.clock.call_later(0.001, lambda: ran.append("once"))
        rig.clock.call_later(0.01, later.set)
        await rig.until(later)
        again = asyncio.Event()
        rig.clock.call_later(0.001, again.set)
        await rig.until(again)
        assert ran == ["once"]

    play(scenario)


def test_timers_run_in_the_order_of_their_moments(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        ran: list[int] = []
        last = asyncio.Event()
        for number, delay in ((3, 0.06), (1, 0.02), (2, 0.04)):
            rig.clock.call_later(delay, lambda number=number: ran.append(number))  # type: ignore[misc]
        rig.clock.call_later(0.08, last.set)
        await rig.until(last)
        assert ran == [1, 2, 3]

    play(scenario)


@pytest.mark.parametrize("delay", [0.0, -1.0])
def test_a_timer_that_is_due_does_not_run_before_call_later_returns(
    play: Play, delay: float
) -> None:
    async def scenario(rig: Rig) -> None:
        due = asyncio.Event()
        rig.clock.call_later(delay, due.set)
        assert not due.is_set()
        await rig.until(due)

    play(scenario)


def test_a_cancelled_timer_does_not_run(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        ran: list[str] = []
        later = asyncio.Event()
        timer = rig.clock.call_later(0.001, lambda: ran.append("cancelled"))
        rig.clock.call_later(0.01, later.set)
        timer.cancel()
        timer.cancel()
        await rig.until(later)
        assert ran == []

    play(scenario)


def test_a_timer_may_be_cancelled_after_it_ran_and_while_it_runs(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        ran = asyncio.Event()

        def callback() -> None:
            timer.cancel()
            ran.set()

        timer = rig.clock.call_later(0.001, callback)
        await rig.until(ran)
        timer.cancel()

    play(scenario)


def test_a_callback_may_make_and_cancel_timers(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        ran: list[str] = []
        last = asyncio.Event()
        doomed = rig.clock.call_later(0.05, lambda: ran.append("doomed"))

        def first() -> None:
            ran.append("first")
            doomed.cancel()
            rig.clock.call_later(0.1, second)

        def second() -> None:
            ran.append("second")
            last.set()

        rig.clock.call_later(0.001, first)
        await rig.until(last)
        assert ran == ["first", "second"]

    play(scenario)


def test_the_monotonic_clock_does_not_go_back(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        seen = [rig.clock.monotonic()]
        last = asyncio.Event()
        for delay in (0.001, 0.002, 0.003):
            rig.clock.call_later(delay, lambda: seen.append(rig.clock.monotonic()))
        rig.clock.call_later(0.004, last.set)
        await rig.until(last)
        seen.append(rig.clock.monotonic())
        assert seen == sorted(seen)
        assert len(seen) == 5

    play(scenario)


def test_the_wall_clock_counts_seconds_from_1970(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        # Milliseconds, or seconds from some other beginning, would be far outside.
        assert 1_600_000_000 < rig.clock.wall() < 5_000_000_000

    play(scenario)
