"""Time is injected: everything that waits asks a Clock, so that tests never sleep.

`SystemClock` runs on the event loop's timer; `samovar.testing.ManualClock` is its twin for tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A pending call; `cancel` is idempotent."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Two clocks and a timer. All values are seconds."""

    def monotonic(self) -> float:
        """A clock that never goes back; only differences mean something."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the loop once, `delay` seconds from now."""


class SystemClock:
    """The machine's clocks, and timers of the running event loop."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


async def pause(clock: Clock, seconds: float) -> None:
    """Let time pass; leaves no timer behind when it is cancelled."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()
