"""The places that events find: each function's window, on what the scheduler would admit."""

from __future__ import annotations

import os
from collections.abc import Callable

from samovar.clock import Clock
from samovar.invocation.fairness import STEP, YIELD, Window
from samovar.invocation.pump import Pump
from samovar.scheduler.driver import Scheduler

Busy = Callable[[], int]
"""How many threads of the host want a processor at this moment."""


class Shares:
    """The half of a `Consumer` of events that counts. `pump` is set before anything is asked."""

    def __init__(self, scheduler: Scheduler, clock: Clock, busy: Busy, most: int) -> None:
        """`most`: events in flight, of all functions together."""
        self.pump: Pump
        self._scheduler = scheduler
        self._clock = clock
        self._busy = busy
        self._most = self._left = most
        self._processors = len(os.sched_getaffinity(0))
        self._windows: dict[str, Window] = {}
        self._blocked: dict[str, None] = {}  # functions whose events found no place
        self._looking = False
        scheduler.caller_throttled = self._caller_throttled

    @property
    def full(self) -> bool:
        """Part of `Consumer`."""
        return self._left <= 0

    def take(self, lane: str, most: int) -> int:
        """Part of `Consumer`: a lane of events is a function's unqualified ARN."""
        window = self._windows.get(lane)
        if window is None:
            window = self._windows[lane] = Window(self._processors, self._most)
        free, total = self._scheduler.places(lane)
        if total <= 0:
            free = total = most + 1  # they are not to run, but to be ended
        room = window.room(free, total, self._clock.monotonic())
        count = max(0, min(most, room, self._left))
        if count:
            window.in_flight += count
            self._left -= count
        else:
            self._blocked[lane] = None
            self._scheduler.room_came = self._room_came
            self._look_later()
        return count

    def give_back(self, lane: str, count: int) -> None:
        """Part of `Consumer`."""
        self._left += count
        window = self._windows[lane]
        window.in_flight -= count
        if not window.in_flight and window.limit == self._processors:
            del self._windows[lane]

    def freed(self, lane: str) -> None:
        """An event of a function is in flight no more."""
        self.give_back(lane, 1)
        self._blocked.pop(lane, None)
        self.pump.room_again(lane)

    def _room_came(self) -> None:
        blocked, self._blocked = self._blocked, {}
        self._scheduler.room_came = None
        for lane in blocked:
            self.pump.room_again(lane)

    def _look_later(self) -> None:
        """While events wait for places, see now and then whether there may be more of them."""
        if not self._looking:
            self._looking = True
            self._clock.call_later(STEP, self._look)

    def _look(self) -> None:
        self._looking = False
        if not self._blocked:
            return
        now = self._clock.monotonic()
        calm = self._busy() <= self._processors
        for lane in self._blocked:
            window = self._windows.get(lane)
            if window is not None:
                window.grow(now, calm=calm)
        self._room_came()

    def _caller_throttled(self, function: str) -> None:
        window = self._windows.get(function)
        if window is not None:
            window.yield_to_caller(self._clock.monotonic())
            self._clock.call_later(YIELD, self._room_came)


def busy_threads() -> int:
    """The kernel's count of threads that run or want to, this one left out. 10 us."""
    with open("/proc/loadavg", "rb") as file:  # noqa: PTH123 - a third of what Path costs
        running = file.read().split()[3].partition(b"/")[0]
    return int(running) - 1
