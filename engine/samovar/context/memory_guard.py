"""Has contexts looked at while they run, where the kernel tells nobody how much memory they use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from samovar.clock import Clock, Timer

# Seconds between two looks. A process takes 25-100 MB in that time (page faults, measured).
PERIOD = 0.05


class Guard(Protocol):
    """Whom to tell of code that runs."""

    def begin(self, number: int) -> None:
        """Code of a function's runs in this context; on the way of every invocation."""

    def end(self, number: int) -> None:
        """It waits, or is gone; idempotent."""


class NoGuard:
    """Nobody needs to know."""

    def begin(self, number: int) -> None:
        """Part of Guard."""

    def end(self, number: int) -> None:
        """Part of Guard."""


class MemoryGuard:
    """Knows which contexts run. There is a timer only as long as there are some."""

    def __init__(self, clock: Clock, look: Callable[[list[int]], None]) -> None:
        """`look` is called with the numbers of those that run, and must not block."""
        self._clock = clock
        self._look = look
        self._running: set[int] = set()
        self._timer: Timer | None = None
        self._closed = False

    def begin(self, number: int) -> None:
        """Part of Guard."""
        self._running.add(number)
        if self._timer is None and not self._closed:
            self._timer = self._clock.call_later(PERIOD, self._tick)

    def end(self, number: int) -> None:
        """Part of Guard."""
        self._running.discard(number)

    def close(self) -> None:
        """No more looks; idempotent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if self._running:
            self._timer = self._clock.call_later(PERIOD, self._tick)
            self._look(list(self._running))
