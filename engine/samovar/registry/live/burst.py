"""When a burst of changes is over."""

from __future__ import annotations

from collections.abc import Callable

from samovar.clock import Clock, Timer

QUIET = 0.02  # seconds: a save in several steps (write, rename, chmod) leaves smaller gaps
LIMIT = 0.1  # seconds: half of the 200 ms within which a save is to run, for those who never stop


class Burst:
    """Calls `over` once it has been quiet for QUIET seconds, and LIMIT after the first change at
    the latest. One timer at a time, however many changes there are."""

    def __init__(self, clock: Clock, over: Callable[[], None]) -> None:
        self._clock = clock
        self._over = over
        self._timer: Timer | None = None
        self._first = 0.0
        self._last = 0.0

    def changed(self) -> None:
        """Something changed just now."""
        self._last = self._clock.monotonic()
        if self._timer is None:
            self._first = self._last
            self._timer = self._clock.call_later(QUIET, self._look)

    def cancel(self) -> None:
        """Forget what was gathered; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = self._clock.monotonic()
        due = min(self._last + QUIET, self._first + LIMIT)
        if now < due:
            self._timer = self._clock.call_later(due - now, self._look)
        else:
            self._timer = None
            self._over()
