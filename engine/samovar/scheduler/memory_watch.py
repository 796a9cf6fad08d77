"""Measures the host's memory while contexts exist or start, or are to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from samovar.clock import Clock, Timer
from samovar.context.host_memory import MemoryGauge
from samovar.context.launcher import Context
from samovar.scheduler.events import MemoryMeasured

_PERIOD = 1.0  # seconds between two looks while there are contexts
# Seconds that a look is good for when a context starts: so a burst is decided on what the host has
# now, and yet costs ten looks a second at most (a look takes some ten microseconds).
_FRESH = 0.1


class MemoryWatch:
    """Tells the scheduler what there is room for: regularly, and about when contexts start.

    How large contexts are is looked at with the regular looks only: that goes through all of them.
    """

    def __init__(
        self,
        gauge: MemoryGauge,
        clock: Clock,
        contexts: Mapping[int, Context],
        wanted: Callable[[], bool],
        tell: Callable[[MemoryMeasured], None],
    ) -> None:
        """`contexts` are those that exist, as they come and go; `wanted`: whether somebody waits
        for room, maybe for memory that only another look can find."""
        self._gauge = gauge
        self._clock = clock
        self._contexts = contexts
        self._wanted = wanted
        self._tell = tell
        self._looked = float("-inf")
        self._timer: Timer | None = None
        self._any = False  # whether contexts started since the last regular look
        self._stopped = False

    def renew(self) -> None:
        """A context starts, or is about to: look, unless somebody has just done so."""
        self._any = True
        if self._stopped:
            return
        self.go_on()
        if self._clock.monotonic() - self._looked >= _FRESH:
            self._look({})

    def go_on(self) -> None:
        """Somebody waits for room: look regularly, from the next time on."""
        if self._timer is None and not self._stopped:
            self._timer = self._clock.call_later(_PERIOD, self._tick)

    def stop(self) -> None:
        """No more looks; idempotent."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if self._contexts or self._any or self._wanted():
            self._any = False
            self._timer = self._clock.call_later(_PERIOD, self._tick)
            self._look(self._footprints())

    def _look(self, footprints: Mapping[str, int]) -> None:
        self._looked = self._clock.monotonic()
        self._tell(MemoryMeasured(self._gauge.room(), footprints))

    def _footprints(self) -> dict[str, int]:
        """The largest context of each pool that has been measured, MB."""
        largest: dict[str, int] = {}
        for context in self._contexts.values():
            used, lifecycle = context.memory_used, context.lifecycle
            if used and lifecycle is not None and used > largest.get(lifecycle.pool, 0):
                largest[lifecycle.pool] = used
        return largest
