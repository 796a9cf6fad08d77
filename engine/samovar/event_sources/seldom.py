"""How often the log is told of a source that can't be read, again and again."""

from __future__ import annotations

from samovar.clock import Clock

_PAUSE = 60.0  # seconds until the log says it again


class Seldom:
    """Whether it is time to say it again: at first, and a minute after the last time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told = float("-inf")

    def is_due(self) -> bool:
        """It is asked by whoever says it then."""
        now = self._clock.monotonic()
        if now < self._told + _PAUSE:
            return False
        self._told = now
        return True
