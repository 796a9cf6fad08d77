"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class ManualTimer:
    """A pending call of a ManualClock; `cancel` is idempotent."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A `samovar.clock.Clock` for tests: time passes in `advance` alone, and timers run there.

    `timers_made` counts the calls of `call_later`, so that a test can hold code to a number of
    timers where it would otherwise have to measure time. For the thread of the loop only, as
    timers are.
    """

    def __init__(self, *, monotonic: float = 1_000.0, wall: float = 1_700_000_000.0) -> None:
        """Both start at fixed values, the wall clock at 2023-11-14 22:13:20 UTC; in seconds."""
        self.timers_made = 0
        self._monotonic = monotonic
        self._ahead = wall - monotonic
        # The number keeps timers of the same moment in the order in which they were made.
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._monotonic + self._ahead

    def call_later(self, delay: float, callback: Callable[[], None]) -> ManualTimer:
        """Run `callback` in the `advance` that reaches it; never in here, whatever the delay."""
        timer = ManualTimer(self._monotonic + max(0.0, delay), callback)
        heapq.heappush(self._timers, (timer.due, self.timers_made, timer))
        self.timers_made += 1
        return timer

    @property
    def pending(self) -> int:
        """How many timers are still to run."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Let time pass: each timer that comes due runs at its own moment, in order.

        Timers made on the way run too if their moment is reached. What a callback raises comes
        through, with the clock at that moment. Raises ValueError for a negative number.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back: advance({seconds!r})")
        end = self._monotonic + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._monotonic = max(self._monotonic, due)
                callback()
        self._monotonic = max(self._monotonic, end)

    def set_wall(self, wall: float) -> None:
        """Set the wall clock, forwards or backwards, as an administrator may; no timer runs."""
        self._ahead = wall - self._monotonic
