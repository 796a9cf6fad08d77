"""Takes what is due out of the queue, hands it to whoever works on it, and sees that it is settled.

Nothing polls: a pump hears of each lane in which something waits, has one timer for the earliest
that is due, and asks for a place before it claims anything, so that what waits stays on disk. Lanes
have their turns one after the other: a long one holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from heapq import heappop, heappush
from typing import Any, Protocol

from samovar.clock import Clock, Timer
from samovar.stores.invoke_queue import InvokeQueue, Item, ItemKind

_log = logging.getLogger(__name__)

# Seconds that a claim holds. A node that is alive renews its claims at half of that; one that died
# finds its own again as it starts, and others wait for so long.
CLAIM = 60.0
_RENEWAL = CLAIM / 2
# Seconds until a queue that failed (a full disk) is asked again.
PAUSE = 1.0
_TOLD_PAUSE = 60.0  # seconds until the log says again that it fails

BATCH = 32  # items that one claim takes at most
_CLAIMS = 4  # claims at the same time; the queue makes them durable together
# Items in hand, running or being settled, at most: what bounds the memory when the disk is slow.
MAX_HELD = 1000
# Items handed on before the loop sees to others again: whoever calls synchronously waits behind so
# many at most.
_AT_ONCE = 2


class Consumer(Protocol):
    """Works on items. It has places: one for each item that it is ready to have in hand."""

    @property
    def full(self) -> bool:
        """Whether there is no place for any lane whatever. When that ends, and something of it was
        asked for, the pump is told by `room_again`."""

    def take(self, lane: str, most: int) -> int:
        """Take up to `most` places for items of a lane, and say how many. After a 0 the pump does
        not ask for this lane until it is told `room_again`."""

    def give_back(self, lane: str, count: int) -> None:
        """Places that were taken are not needed: there were not as many items."""

    def begin(self, item: Item) -> None:
        """Work on an item, in a place that was taken for it. Must not block or raise.

        Whatever comes of it, the pump's `complete`, `retry_at` or `release` is called with the item
        once, and the place is the consumer's to free, by itself, when the work is over."""


class _State(Enum):
    TIMED = "timed"  # what waits is not due yet
    READY = "ready"  # its turn comes
    BLOCKED = "blocked"  # there was no place
    CLAIMING = "claiming"


class _Lane:
    __slots__ = ("due", "name", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.due: float | None = None  # of the earliest that is known to wait
        self.state = _State.TIMED


class _Held:
    """An item in hand, and when its claim is to be renewed (monotonic seconds)."""

    __slots__ = ("item", "renewal", "settling")

    def __init__(self, item: Item, renewal: float) -> None:
        self.item = item
        self.renewal = renewal
        self.settling = False


class Pump:
    """Moves one kind of item. `consumer` is to be set before anything else is called."""

    consumer: Consumer

    def __init__(self, queue: InvokeQueue, kind: ItemKind, clock: Clock) -> None:
        self._queue = queue
        self._kind = kind
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, _Lane] = {}  # in which something waits, or is being claimed
        self._ready: deque[_Lane] = deque()
        self._timed: list[tuple[float, int, _Lane]] = []  # a heap; entries may be out of date
        self._pushed = 0  # tells entries of one time apart
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._claims = 0
        self._claimed: deque[Item] = deque()  # to be handed on
        # By id, in the order in which their claims are to be renewed.
        self._held: dict[str, _Held] = {}
        self._renewing: Timer | None = None
        self._work: set[asyncio.Task[bool]] = set()
        self._turning = False
        self._handing = False
        self._full = False
        self._resting: Timer | None = None  # after the queue failed
        self._pauses: set[asyncio.Future[None]] = set()
        self._told = float("-inf")
        self._closed = False  # nothing is claimed any more
        self._over = False  # nothing is tried again any more
        self._settled: asyncio.Event | None = None

    # -- what waits

    def arrived(self, lane: str, due: float) -> None:
        """Something waits in a lane, durably, until `due` (epoch seconds)."""
        known = self._lanes.get(lane)
        if known is None:
            known = self._lanes[lane] = _Lane(lane)
        elif known.due is not None and known.due <= due:
            return
        known.due = due
        if known.state is _State.TIMED:
            self._place(known)

    def room_again(self, lane: str) -> None:
        """The consumer may have a place for a lane that it had none for. Cheap where nobody waits
        for it."""
        if self._full:
            self._full = False
            self._turn_soon()
        blocked = self._lanes.get(lane)
        if blocked is not None and blocked.state is _State.BLOCKED:
            self._place(blocked)

    # -- the short way: an item that is claimed as it is put

    def take(self, lane: str) -> bool:
        """Whether an item that comes now may be put claimed until `claim_until`, for nothing of its
        lane waits for its turn and there is a place, which is taken now: for `begin` once it is
        durable, or `give_back` if that fails."""
        if self._closed or self._resting is not None or len(self._held) >= MAX_HELD:
            return False
        known = self._lanes.get(lane)
        if known is not None and known.state is not _State.TIMED:
            return False
        return not self.consumer.full and self.consumer.take(lane, 1) == 1

    @property
    def claim_until(self) -> float:
        """Until when what is put now is to be claimed; epoch seconds."""
        return self._clock.wall() + CLAIM

    def give_back(self, lane: str) -> None:
        """What was to come did not."""
        self.consumer.give_back(lane, 1)

    def begin(self, item: Item) -> None:
        """Hand on an item that was put claimed, and is durable."""
        self._hold(item)
        if self._closed:
            self.consumer.give_back(item.lane, 1)
            self.release(item)
        else:
            self.consumer.begin(item)

    # -- what became of it

    def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> asyncio.Task[bool]:
        """End an item, with `then` in its place; `dead` as in `InvokeQueue.complete`. Tried until
        the queue can; the result is whether the claim was still held."""
        return self._settle(item, lambda: self._queue.complete(item, *then, dead=dead))

    def retry_at(self, item: Item, due: float, head: bytes) -> asyncio.Task[bool]:
        """Have an item wait until `due` (epoch seconds), with another head. As `complete`."""

        async def change() -> bool:
            held = await self._queue.retry_at(item, due, head)
            if held:
                self.arrived(item.lane, due)
            return held

        return self._settle(item, change)

    def release(self, item: Item) -> asyncio.Task[bool]:
        """Have an item wait as it did: nothing came of it."""
        return self.retry_at(item, item.due, item.head)

    # -- the end

    def close(self) -> None:
        """Claim nothing any more. What is in hand goes on."""
        self._closed = True
        while self._claimed:
            item = self._claimed.popleft()
            self.consumer.give_back(item.lane, 1)
            self.release(item)
        for timer in (self._timer, self._resting):
            if timer is not None:
                timer.cancel()
        self._timer = self._resting = None

    async def stop(self, grace: float) -> None:
        """Close, let what is in hand be settled for `grace` seconds, and have the rest wait again
        in the queue; idempotent. What even that fails for waits when the queue is opened again."""
        self.close()
        if not self._settled_all():
            self._settled = asyncio.Event()
            timer = self._clock.call_later(grace, self._settled.set)
            try:
                await self._settled.wait()
            finally:
                timer.cancel()
        self._over = True
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        for pause in self._pauses:
            _finish(pause)
        underway = list(self._work)
        underway += [self.release(one.item) for one in self._held.values() if not one.settling]
        await asyncio.gather(*underway, return_exceptions=True)
        self._held.clear()

    def _settled_all(self) -> bool:
        return not self._held and not self._claims and not self._work

    # -- turns

    def _place(self, lane: _Lane) -> None:
        """Put a lane where it belongs, by when what waits in it is due."""
        due = lane.due
        if due is None:
            del self._lanes[lane.name]
        elif due <= self._clock.wall():
            lane.state = _State.READY
            self._ready.append(lane)
            self._turn_soon()
        else:
            lane.state = _State.TIMED
            self._pushed += 1
            heappush(self._timed, (due, self._pushed, lane))
            self._set_timer()

    def _set_timer(self) -> None:
        """Have the timer at the earliest time that is still meant."""
        timed = self._timed
        while timed and not _is_meant(timed[0]):
            heappop(timed)
        if not timed or self._closed:
            return
        due = timed[0][0]
        if self._timer is not None:
            if self._timer_at <= due:
                return  # it goes off early, and is set anew then
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._clock.call_later(max(0.0, due - self._clock.wall()), self._time_came)

    def _time_came(self) -> None:
        self._timer = None
        now = self._clock.wall()
        while self._timed and self._timed[0][0] <= now:
            entry = heappop(self._timed)
            if _is_meant(entry):
                self._place(entry[2])
        self._set_timer()

    def _turn_soon(self) -> None:
        if not self._turning and not self._closed:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Claim for the lanes whose turn it is, as far as there are places."""
        self._turning = False
        if self._closed or self._resting is not None:
            return
        consumer = self.consumer
        while self._ready and self._claims < _CLAIMS and not self._claimed:
            room = MAX_HELD - len(self._held)
            if room <= 0:
                return  # the next one that is settled has another turn
            if consumer.full:
                self._full = True
                return
            lane = self._ready.popleft()
            places = consumer.take(lane.name, min(BATCH, room))
            if places:
                lane.state = _State.CLAIMING
                lane.due = None
                self._claims += 1
                self._begin_work(self._claim(lane, places))
            else:
                lane.state = _State.BLOCKED

    async def _claim(self, lane: _Lane, places: int) -> bool:
        now = self._clock.wall()
        try:
            items, next_due = await self._queue.claim(
                self._kind, lane.name, now=now, limit=places, until=now + CLAIM
            )
        except Exception as error:
            self._tell(error)
            items, next_due = [], now
            self._rest()
        finally:
            self._claims -= 1
        if places > len(items):
            self.consumer.give_back(lane.name, places - len(items))
        if next_due is not None and (lane.due is None or next_due < lane.due):
            lane.due = next_due
        self._place(lane)
        for item in items:
            self._hold(item)
        self._claimed.extend(items)
        if self._closed:
            self.close()
        elif items and not self._handing:
            self._hand_on()
        else:
            self._turn_soon()
        return True

    def _hand_on(self) -> None:
        """A few at a time: between them the loop sees to whoever else is there."""
        claimed = self._claimed
        try:
            for _ in range(min(_AT_ONCE, len(claimed))):
                self.consumer.begin(claimed.popleft())
        finally:  # a bug of the consumer's holds up none of the others
            self._handing = bool(claimed)
            if claimed:
                self._loop.call_soon(self._hand_on)
            else:
                self._turn_soon()

    # -- claims in hand

    def _hold(self, item: Item) -> None:
        self._held[item.id] = _Held(item, self._clock.monotonic() + _RENEWAL)
        if self._renewing is None and not self._over:
            self._renewing = self._clock.call_later(_RENEWAL, self._renew)

    def _renew(self) -> None:
        """All claims last equally long: the first in the order is the first to be renewed."""
        self._renewing = None
        now = self._clock.monotonic()
        while self._held:
            held = next(iter(self._held.values()))
            if held.renewal > now:
                self._renewing = self._clock.call_later(held.renewal - now, self._renew)
                return
            held.renewal = now + _RENEWAL
            self._held[held.item.id] = self._held.pop(held.item.id)
            self._begin_work(self._extend(held.item))

    async def _extend(self, item: Item) -> bool:
        try:
            held = await self._queue.extend(item, self._clock.wall() + CLAIM)
        except Exception as error:
            self._tell(error)  # there is another renewal before it runs out, nearly
            return False
        if not held:
            _log.warning("%s %s is not this node's any more, and goes on", self._kind, item.id)
        return held

    def _settle(self, item: Item, change: Callable[[], Awaitable[bool]]) -> asyncio.Task[bool]:
        held = self._held.get(item.id)
        if held is not None and held.item is item:
            held.settling = True
        return self._begin_work(self._settled_at_last(item, change))

    async def _settled_at_last(self, item: Item, change: Callable[[], Awaitable[bool]]) -> bool:
        """What a process that dies here had done is done again: at least once."""
        while True:
            try:
                held = await change()
                break
            except Exception as error:
                if self._over:
                    return False  # still claimed: it waits when the queue is opened again
                self._tell(error)
                await self._pause()
        if not held:
            _log.warning(
                "%s %s was settled too late: its claim had run out, and it is worked on again",
                *(self._kind, item.id),
            )
            self.arrived(item.lane, self._clock.wall())
        kept = self._held.get(item.id)
        if kept is not None and kept.item is item:
            del self._held[item.id]
        if self._ready:
            self._turn_soon()
        return held

    def _begin_work(self, work: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        task = self._loop.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)
        return task

    def _work_ended(self, task: asyncio.Task[bool]) -> None:
        self._work.discard(task)
        if self._settled is not None and self._settled_all():
            self._settled.set()

    # -- a queue that fails

    async def _pause(self) -> None:
        over: asyncio.Future[None] = self._loop.create_future()
        timer = self._clock.call_later(PAUSE, lambda: _finish(over))
        self._pauses.add(over)
        try:
            await over
        finally:
            self._pauses.discard(over)
            timer.cancel()

    def _rest(self) -> None:
        if self._resting is None and not self._closed:
            self._resting = self._clock.call_later(PAUSE, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._turn_soon()

    def _tell(self, error: Exception) -> None:
        now = self._clock.monotonic()
        if now >= self._told + _TOLD_PAUSE:
            self._told = now
            _log.error(
                "the queue of asynchronous invocations fails; it is tried again every %g s: %s",
                *(PAUSE, error),
                exc_info=error,
            )


def _is_meant(entry: tuple[float, int, _Lane]) -> bool:
    due, _, lane = entry
    return lane.state is _State.TIMED and lane.due == due


def _finish(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
