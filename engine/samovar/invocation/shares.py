"""The places that events find: as many as the scheduler would admit, and as is fair to calls."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

from samovar.clock import Clock, Timer
from samovar.invocation.fairness import TICK, Fairness, Lack
from samovar.invocation.pump import Pump
from samovar.model.event import MAX_EVENT_AGE
from samovar.scheduler.driver import Scheduler
from samovar.stores.invoke_queue import Item

Busy = Callable[[], int]
"""How many threads of the host want a processor at this moment."""

# Calls per second from which on the loop is theirs first: events are then begun a few at a time,
# with pauses, so that a call waits behind next to none of them. In bursts, because each of them is
# a commit of the queue: it is felt less than as many single ones.
_CALLS = 10.0
_WINDOW = 0.2  # seconds over which calls are counted, at least
_BURST = 4
_PACE = 0.01  # seconds from one burst to the next: 400 events in a second
_TIMER = 0.001  # the loop's timers are that exact, and may be early
_AT_ONCE = 2  # begun in one turn of the loop
# Seconds between two looks at how old the first event is of those that find no place: the least age
# that a config can set, so that none lives twice as long as it may. On a shorter scale no less than
# the second number.
_AGE_LOOK, _LEAST_LOOK = float(MAX_EVENT_AGE[0]), 0.1
# What a function may lack that another one which waits for the same need not.
_OWN_LACKS = frozenset({Lack.LIMIT, Lack.HOLD, Lack.REQUESTS})


class Shares:
    """The half of a `Consumer` of events that counts, and keeps what is claimed ahead of its turn.
    `pump`, `run` and `too_old_in` are set before anything is asked. `run` is called with an item
    that may be handed to its function now, or is too old for that, and `freed` answers it;
    `too_old_in` says in how many seconds one is."""

    def __init__(
        self, scheduler: Scheduler, clock: Clock, busy: Busy, most: int, time_scale: float = 1.0
    ) -> None:
        """`most`: events in flight, of all functions together."""
        self.pump: Pump
        self.run: Callable[[Item], None]
        self.too_old_in: Callable[[Item], float]
        self._age_look = max(_LEAST_LOOK, _AGE_LOOK * (time_scale or 1.0))
        self._aging: dict[str, Timer] = {}  # functions that find no place, until the next look
        self._due_for_look: set[str] = set()  # whose first event is to be claimed, to be looked at
        self._looked_at: set[str] = set()  # of whom it is being claimed
        self._scheduler = scheduler
        self._clock = clock
        self._busy = busy
        self._processors = len(os.sched_getaffinity(0))
        self._fairness = Fairness(self._processors, most)
        self._parked: dict[str, deque[Item]] = {}  # claimed, and not handed on; never empty
        self._for_all: dict[str, None] = {}  # who waits for one of any function to end
        self._tick: Timer | None = None
        self._pace: Timer | None = None
        self._renewals: dict[str, Timer] = {}
        self._paced_until = float("-inf")
        self._burst = _BURST  # left of this one
        self._paced: dict[str, None] = {}
        self._calls = scheduler.calls
        self._counted = clock.monotonic()
        self._beside_calls = False
        self._closed = False
        self._coming: set[str] = set()  # whose turn comes
        self._loop = asyncio.get_running_loop()
        scheduler.headroom.listen(self._told_of_room)
        scheduler.caller_throttled = self._caller_throttled

    @property
    def full(self) -> bool:
        """Part of `Consumer`."""
        return self._fairness.full

    def take(self, lane: str, most: int) -> int:
        """Part of `Consumer`: a lane of events is a function's unqualified ARN."""
        now = self._clock.monotonic()
        headroom = self._scheduler.headroom.of(lane, now)
        if headroom.limit <= 0:  # they are not to run, but to be ended
            self._fairness.claim(lane, most)
            return most
        ahead = lane in self._parked
        if not ahead and self._lack(lane, now) is not None:
            return self._take_to_look(lane)
        # None is asked for again as soon as one of those that keep it from more is over.
        return self._fairness.may_claim(lane, most, ahead=ahead)

    def give_back(self, lane: str, count: int) -> None:
        """Part of `Consumer`."""
        self._looked_at.discard(lane)
        self._fairness.unclaim(lane, count)
        self.pump.room_again(lane)

    def begin(self, item: Item) -> None:
        """Part of `Consumer`: run it now, or when there is a place."""
        lane = item.lane
        if lane in self._looked_at:
            self._look(item)
            return
        parked = self._parked.get(lane)
        if parked is not None:
            parked.append(item)
        elif self._may_run(lane):
            self._begin(item)
        else:
            self._parked[lane] = deque((item,))
            self._look_later(lane)

    def freed(self, lane: str, duration: float | None = None, *, throttled: bool = False) -> None:
        """What was run is over, after `duration` seconds in its function; None where it was not in
        there, maybe because it was throttled."""
        self._fairness.end(lane, duration)
        if throttled:
            self._fairness.throttled(lane)
        if lane in self._parked:  # not from in here: what is run may be over at once
            self._soon(lane)
        else:
            self.pump.room_again(lane)
        self._tell_next()

    def close(self) -> None:
        """Begin nothing any more, have what was claimed ahead wait again, and let go of timers."""
        self._closed = True
        self._scheduler.headroom.forget(self._told_of_room)
        self._scheduler.caller_throttled = lambda function: None
        for timer in (self._tick, self._pace, *self._renewals.values(), *self._aging.values()):
            if timer is not None:
                timer.cancel()
        self._tick = self._pace = None
        self._renewals.clear()
        self._aging.clear()
        parked, self._parked = self._parked, {}
        for lane, items in parked.items():
            self._fairness.unclaim(lane, len(items))
            for item in items:
                self.pump.release(item)

    # -- turns

    def _begin(self, item: Item) -> None:
        self._fairness.begin(item.lane)
        if self._beside_calls:
            now = self._clock.monotonic()
            if now >= self._paced_until:
                self._paced_until, self._burst = now + _PACE, _BURST
            self._burst -= 1
        self.run(item)

    def _soon(self, lane: str) -> None:
        if lane not in self._coming:
            self._coming.add(lane)
            self._loop.call_soon(self._room_again, lane)

    def _room_again(self, lane: str) -> None:
        """Hand on what is parked, a few at once, and let more be claimed."""
        self._coming.discard(lane)
        parked = self._parked.get(lane)
        if parked is not None:
            for _ in range(_AT_ONCE):
                if not self._may_run(lane):
                    break
                item = parked.popleft()
                if not parked:
                    del self._parked[lane]
                self._begin(item)
                if not parked:
                    break
            else:
                self._soon(lane)
        self.pump.room_again(lane)
        if not self._fairness.full:  # it had no use for that place, or there are more
            self._tell_next()

    def _tell_next(self) -> None:
        if self._for_all:
            first = next(iter(self._for_all))
            del self._for_all[first]
            self._soon(first)

    def _told_of_room(self, lane: str) -> None:
        """There may be room for a function again; if it can't use it, for the next one."""
        self._room_again(lane)
        now = self._clock.monotonic()
        # Whoever of the lane still waits has said so; nobody else shall wait for it.
        lack = self._fairness.lack(lane, self._scheduler.headroom.of(lane, now), now)
        if not self._closed and lack in _OWN_LACKS:
            self._loop.call_soon(self._scheduler.headroom.pass_on, lane)

    def _may_run(self, lane: str) -> bool:
        return not self._closed and self._lack(lane, self._clock.monotonic()) is None

    def _lack(self, lane: str, now: float) -> Lack | None:
        """What a function's events lack now; whoever lacks something is told when it is there."""
        if now - self._counted >= _WINDOW:
            self._count_calls(now)
        headroom = self._scheduler.headroom.of(lane, now)
        lack = self._fairness.lack(lane, headroom, now)
        if lack is None and self._burst <= 0 and self._beside_calls and now < self._paced_until:
            lack = Lack.ALL
            self._paced[lane] = None
            if self._pace is None:
                wait = self._paced_until - now + _TIMER
                self._pace = self._clock.call_later(wait, self._pace_over)
        elif lack in (Lack.PLACES, Lack.CONTEXTS):
            self._scheduler.headroom.wait(lane)
        elif lack is Lack.ALL:
            self._for_all[lane] = None
        elif lack is Lack.REQUESTS:
            if lane not in self._renewals:
                wait = max(0.0, headroom.renewed - now)
                self._renewals[lane] = self._clock.call_later(wait, lambda: self._renewed(lane))
        elif lack is not None:
            self._tick_soon()
        return lack

    # -- age: what finds no place ends when it is too old, as it would have in its turn

    def _take_to_look(self, lane: str) -> int:
        """No place is to be had; one event may be claimed all the same, to see how old it is."""
        if lane not in self._due_for_look:
            self._look_later(lane)
            return 0
        self._due_for_look.discard(lane)
        self._looked_at.add(lane)
        self._fairness.claim(lane, 1)
        return 1

    def _look_later(self, lane: str, wait: float | None = None) -> None:
        if lane not in self._aging and not self._closed:
            wait = self._age_look if wait is None else min(self._age_look, max(wait, _LEAST_LOOK))
            self._aging[lane] = self._clock.call_later(wait, lambda: self._look_now(lane))

    def _look_now(self, lane: str) -> None:
        del self._aging[lane]
        parked = self._parked.get(lane)
        if parked is None:
            self._due_for_look.add(lane)
            self.pump.room_again(lane)
            return
        old = [item for item in parked if self.too_old_in(item) <= 0]
        for item in old:
            parked.remove(item)
        if parked:
            self._look_later(lane)
        else:
            del self._parked[lane]
        for item in old:
            self._begin(item)

    def _look(self, item: Item) -> None:
        """What was claimed to be looked at ends, or waits as it did."""
        lane = item.lane
        self._looked_at.discard(lane)
        left = self.too_old_in(item)
        if left <= 0:
            self._due_for_look.add(lane)  # the next one may be, too
            self._begin(item)
        elif self._may_run(lane):
            self._begin(item)
        else:
            self._look_later(lane, left)
            self._fairness.unclaim(lane, 1)
            self.pump.release(item)

    # -- time

    def _tick_soon(self) -> None:
        if self._tick is None and not self._closed:
            self._tick = self._clock.call_later(TICK, self._ticked)

    def _ticked(self) -> None:
        self._tick = None
        now = self._clock.monotonic()
        self._count_calls(now)
        busy = self._busy() >= self._processors
        found = self._fairness.tick(now, busy=busy, calls=self._beside_calls)
        if self._fairness.changing:
            self._tick_soon()
        for lane in found:
            self._room_again(lane)

    def _renewed(self, lane: str) -> None:
        del self._renewals[lane]
        self._room_again(lane)

    def _pace_over(self) -> None:
        self._pace = None
        if self._paced:
            lane = next(iter(self._paced))
            del self._paced[lane]
            self._room_again(lane)
        if self._paced and self._pace is None:
            self._pace = self._clock.call_later(_PACE, self._pace_over)

    # -- calls

    def _count_calls(self, now: float) -> None:
        elapsed = now - self._counted
        if elapsed >= _WINDOW:
            calls = self._scheduler.calls
            self._beside_calls = calls - self._calls >= _CALLS * elapsed
            self._calls, self._counted = calls, now

    def _caller_throttled(self, function: str) -> None:
        self._fairness.call_throttled(function, self._clock.monotonic())


def busy_threads() -> int:
    """The kernel's count of threads that run or want to, this one left out. 10 us."""
    with open("/proc/loadavg", "rb") as file:  # noqa: PTH123 - a third of what Path costs
        running = file.read().split()[3].partition(b"/")[0]
    return int(running) - 1
