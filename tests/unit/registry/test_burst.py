"""When a burst of changes counts as over."""

from __future__ import annotations

import pytest

from samovar.registry.live.burst import LIMIT, QUIET, Burst
from samovar.testing import ManualClock


class Ends:
    """Counts the ends of bursts, by the clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.start = self.clock.monotonic()
        self.ends: list[float] = []
        self.burst = Burst(self.clock, self._over)

    def _over(self) -> None:
        self.ends.append(round(self.clock.monotonic() - self.start, 6))


def test_one_change_is_over_when_it_has_been_quiet() -> None:
    it = Ends()
    it.burst.changed()
    it.clock.advance(QUIET * 0.99)
    assert it.ends == []
    it.clock.advance(1)
    assert it.ends == [QUIET]
    assert it.clock.pending == 0


def test_changes_close_together_are_one_burst() -> None:
    it = Ends()
    for _ in range(3):
        it.burst.changed()
        it.clock.advance(QUIET / 2)
    it.clock.advance(1)
    assert it.ends == [pytest.approx(2 * QUIET)]


def test_who_never_stops_is_not_waited_for() -> None:
    it = Ends()
    for _ in range(250):
        it.burst.changed()
        it.clock.advance(0.001)
    assert it.ends == [LIMIT, pytest.approx(2 * LIMIT, abs=0.01)]


def test_a_burst_after_the_burst() -> None:
    it = Ends()
    it.burst.changed()
    it.clock.advance(1)
    it.burst.changed()
    it.clock.advance(1)
    assert it.ends == [QUIET, pytest.approx(1 + QUIET)]


def test_many_changes_are_one_timer() -> None:
    it = Ends()
    for _ in range(10_000):
        it.burst.changed()
    assert it.clock.timers_made == 1


def test_a_cancelled_burst_does_not_end() -> None:
    it = Ends()
    it.burst.changed()
    it.burst.cancel()
    it.burst.cancel()
    it.clock.advance(1)
    assert it.ends == []
    it.burst.changed()
    it.clock.advance(1)
    assert len(it.ends) == 1
