"""The places that events find: windows of their functions, on what the scheduler would admit."""

from __future__ import annotations

import os
from collections.abc import Callable

from samovar.clock import Clock
from samovar.invocation.fairness import STEP, YIELD, Window
from samovar.invocation.pump import Pump
from samovar.scheduler.driver import Scheduler

Busy = Callable[[], int]
"""How many threads of the host want a processor at this moment."""


class Places:
    """Of all functions together at most `most`. `pump` is set before the first is taken."""

    def __init__(self, scheduler: Scheduler, clock: Clock, busy: Busy, most: int) -> None:
        self.pump: Pump
        self._scheduler = scheduler
        self._clock = clock
        self._busy = busy
        self._most = most
        self._processors = len(os.sched_getaffinity(0))
        self._windows: dict[str, Window] = {}
        self._in_flight = 0
        self._looking = False
        scheduler.caller_throttled = self._caller_throttled

    def take(self, function: str) -> bool:
        """Take a place for an event of the function with this ARN; the pump is told when there may
        be one, where there is none."""
        window = self._windows.get(function)
        if window is None:
            window = self._windows[function] = Window(self._processors, self._most)
        free, total = self._scheduler.places(function)
        if total <= 0:
            free = total = 2  # it is not to run, but to be ended
        if self._in_flight < self._most and window.take(free, total, self._clock.monotonic()):
            self._in_flight += 1
            return True
        self._scheduler.room_came = self._room_came
        self._look_later()
        return False

    def give_back(self, function: str) -> None:
        """An event is in flight no more, or never was."""
        self._in_flight -= 1
        window = self._windows[function]
        window.give_back()
        if not window.in_flight and window.limit == self._processors:
            del self._windows[function]

    def _room_came(self) -> None:
        if not self.pump.in_want:
            self._scheduler.room_came = None
        self.pump.room_again()

    def _look_later(self) -> None:
        """While events wait for places, see now and then whether there may be more of them."""
        if not self._looking:
            self._looking = True
            self._clock.call_later(STEP, self._look)

    def _look(self) -> None:
        self._looking = False
        if not self.pump.in_want:
            return
        now = self._clock.monotonic()
        calm = self._busy() <= self._processors
        for window in self._windows.values():
            window.grow(now, calm)
        self.pump.room_again()

    def _caller_throttled(self, function: str) -> None:
        window = self._windows.get(function)
        if window is not None:
            window.yield_to_caller(self._clock.monotonic())
            self._clock.call_later(YIELD, self.pump.room_again)


def busy_threads() -> int:
    """The kernel's count of threads that run or want to, this one left out. 10 us."""
    with open("/proc/loadavg", "rb") as file:  # noqa: PTH123 - a third of what Path costs
        running = file.read().split()[3].partition(b"/")[0]
    return int(running) - 1
