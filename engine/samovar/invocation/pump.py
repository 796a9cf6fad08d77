"""From the queue to whoever works on its items: claims what is due, as far as there is room for it.

One pump for each kind of item. It knows of each lane when its next item is due, and never holds
more than a batch of a lane in memory, however many wait. Lanes have their turns one after the
other. Nothing polls: what makes it look is an arrival, room that came back, or a time that came.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from samovar.clock import Clock, Timer
from samovar.errors import EngineError
from samovar.stores.invoke_queue import InvokeQueue, Item, ItemKind

_log = logging.getLogger(__name__)

LEASE = 300.0  # seconds that a claim lasts; what takes longer has it renewed
# Items that are claimed at once, so that a claim's commit is shared by some.
_BATCH = 16
# Items that are begun in one turn of the loop: whoever else wants it waits for no more of them.
_TURN = 4
_AFTER_A_FAILURE = 1.0  # seconds until a queue that failed is asked again


class Consumer(Protocol):
    """Who works on the items of one kind. Called on the loop; must not block or raise."""

    def take(self, lane: str) -> bool:
        """Take a place for one more item of `lane`; False where there is none. Once there is one
        again, `Pump.room_again` is to be called."""

    def give_back(self, lane: str) -> None:
        """The place is not needed after all."""

    def begin(self, item: Item) -> None:
        """Work on an item, for which a place was taken; ends with `complete` or `retry_at` of the
        pump."""


class _Lane:
    """What is known of a lane: when its next waiting item is due, and what is claimed of it and not
    begun yet."""

    __slots__ = ("asking", "claimed", "due", "missed", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.due: float | None = None
        self.claimed: deque[Item] = deque()
        self.asking = False
        self.missed = False  # something arrived while it was asked for


class Pump:
    """One kind of items of one queue, on one loop."""

    def __init__(
        self, kind: ItemKind, queue: InvokeQueue, consumer: Consumer, clock: Clock
    ) -> None:
        self._kind = kind
        self._queue = queue
        self._consumer = consumer
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._ready: dict[str, None] = {}  # lanes that have a turn coming, in their order
        self._without_room: dict[str, None] = {}
        self._in_hand: dict[str, Item] = {}
        self._times: list[tuple[float, str]] = []  # a heap of when lanes are due
        self._timer: Timer | None = None
        self._renewal: Timer | None = None
        self._turning = False
        self._stopping = False
        self._work: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()

    # -- what makes it look

    def arrived(self, lane: str, due: float) -> None:
        """An item of `lane` waits, and is due at `due`."""
        known = self._lanes.get(lane) or self._lanes.setdefault(lane, _Lane(lane))
        known.missed = True
        if known.due is None or due < known.due:
            self._wait_until(known, due)

    def take(self, lane: str) -> bool:
        """Whether an item that comes now is to be put claimed, and to be begun as soon as it is
        durable: there is a place, which is taken, and nobody waits for one. Ends with `begin` or
        `give_back`."""
        if self._stopping or lane in self._without_room:
            return False
        known = self._lanes.get(lane)
        if known is not None and (known.claimed or known.asking or self._is_due(known)):
            return False
        return self._consumer.take(lane)

    def give_back(self, lane: str) -> None:
        """What the place was taken for does not come."""
        self._consumer.give_back(lane)
        self.room_again()

    def begin(self, item: Item) -> None:
        """Have an item worked on that was put claimed, and for which a place was taken."""
        self._hold(item)
        self._consumer.begin(item)

    def room_again(self) -> None:
        """There may be places again for lanes that found none."""
        if self._without_room and not self._stopping:
            self._ready |= self._without_room
            self._without_room.clear()
            self._turn_soon()

    @property
    def stopping(self) -> bool:
        """Whether nothing is begun any more."""
        return self._stopping

    @property
    def in_want(self) -> bool:
        """Whether an item waits for a place alone."""
        return bool(self._without_room)

    # -- how items end

    def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> asyncio.Task[None]:
        """End an item that is in hand, see `InvokeQueue.complete`; done once it is durable."""
        return self._do(self._settle(item, self._queue_complete, then, dead))

    def retry_at(self, item: Item, due: float, head: bytes) -> asyncio.Task[None]:
        """Have an item that is in hand wait until `due`."""
        return self._do(self._settle(item, self._queue_retry, due, head))

    async def _queue_complete(self, item: Item, then: tuple[Item, ...], dead: bytes | None) -> None:
        await self._queue.complete(item, *then, dead=dead)

    async def _queue_retry(self, item: Item, due: float, head: bytes) -> None:
        if await self._queue.retry_at(item, due, head):
            self.arrived(item.lane, due)

    async def _settle(self, item: Item, settle: Any, *given: Any) -> None:
        """Until it is durable: what has happened must not be forgotten because a disk is full."""
        while True:
            try:
                await settle(item, *given)
            except EngineError as error:
                if self._stopping:
                    _log.error("%s %s is left as it was: %s", self._kind, item.id, error)
                    break
                _log.error("%s %s could not be written down: %s", self._kind, item.id, error)
                await self._pause()
            else:
                break
        self._in_hand.pop(item.id, None)

    # -- the end

    def pause(self) -> None:
        """Begin nothing any more."""
        self._stopping = True
        for timer in (self._timer, self._renewal):
            if timer is not None:
                timer.cancel()

    async def stop(self) -> None:
        """Give back what was not begun, and wait until all that was is written down; whoever works
        on items must have ended that before. Idempotent."""
        self.pause()
        while self._work:
            await asyncio.wait(self._work)
        for lane in self._lanes.values():
            while lane.claimed:
                item = lane.claimed.popleft()
                self._do(self._settle(item, self._queue_retry, item.due, item.head))
        while self._work:
            await asyncio.wait(self._work)

    # -- turns

    def _turn_soon(self) -> None:
        if not self._turning and self._ready and not self._stopping:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        begun = 0
        for name in list(self._ready):
            if begun >= _TURN or self._stopping:
                break
            del self._ready[name]
            lane = self._lanes.get(name)
            if lane is not None:
                begun += self._serve(lane)
        self._turn_soon()

    def _serve(self, lane: _Lane) -> int:
        """Begin one item of a lane, or ask for some; how many were begun."""
        if not lane.claimed:
            self._ask(lane)
            return 0
        if not self._consumer.take(lane.name):
            self._without_room[lane.name] = None
            return 0
        self._consumer.begin(lane.claimed.popleft())
        self._ready[lane.name] = None
        return 1

    def _ask(self, lane: _Lane) -> None:
        if lane.asking:
            return
        if lane.due is None:
            del self._lanes[lane.name]
        elif self._is_due(lane):
            if not self._consumer.take(lane.name):
                self._without_room[lane.name] = None
                return
            self._consumer.give_back(lane.name)  # it was only asked for
            lane.asking = True
            self._do(self._claim(lane))

    async def _claim(self, lane: _Lane) -> None:
        lane.missed = False
        now = self._clock.wall()
        try:
            found = await self._queue.claim(
                self._kind, lane.name, now=now, limit=_BATCH, until=now + LEASE
            )
        except EngineError as error:
            _log.error("no %s of %s could be claimed: %s", self._kind, lane.name, error)
            await self._pause()
            lane.asking = False
        else:
            lane.asking = False
            for item in found.items:
                self._hold(item)
                lane.claimed.append(item)
            due = found.next_due
            if lane.missed:  # it may not have been seen
                due = now if due is None else min(due, now)
            lane.due = None
            if due is not None:
                self._wait_until(lane, due)
        self._ready[lane.name] = None
        self._turn_soon()

    def _is_due(self, lane: _Lane) -> bool:
        return lane.due is not None and lane.due <= self._clock.wall()

    def _wait_until(self, lane: _Lane, due: float) -> None:
        lane.due = due
        if self._is_due(lane):
            if lane.name not in self._without_room:
                self._ready[lane.name] = None
                self._turn_soon()
            return
        heapq.heappush(self._times, (due, lane.name))
        if self._times[0][0] == due:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._times and not self._stopping:
            delay = max(0.0, self._times[0][0] - self._clock.wall())
            self._timer = self._clock.call_later(delay, self._time_came)

    def _time_came(self) -> None:
        self._timer = None
        now = self._clock.wall()
        while self._times and self._times[0][0] <= now:
            _, name = heapq.heappop(self._times)
            lane = self._lanes.get(name)
            if lane is not None and name not in self._without_room:
                self._ready[name] = None
        self._turn_soon()
        self._set_timer()

    # -- claims

    def _hold(self, item: Item) -> None:
        self._in_hand[item.id] = item
        if self._renewal is None and not self._stopping:
            self._renewal = self._clock.call_later(LEASE / 2, self._renew)

    def _renew(self) -> None:
        """Hold on to what takes long. Once in half a lease, for all: one timer, however many."""
        self._renewal = None
        if self._in_hand and not self._stopping:
            self._do(self._extend(list(self._in_hand.values())))
            self._renewal = self._clock.call_later(LEASE / 2, self._renew)

    async def _extend(self, items: list[Item]) -> None:
        until = self._clock.wall() + LEASE
        for item in items:
            try:
                await self._queue.extend(item, until)
            except EngineError as error:
                _log.error("the claim of %s %s was not renewed: %s", self._kind, item.id, error)

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _pause(self) -> None:
        over = self._loop.create_future()
        self._clock.call_later(
            _AFTER_A_FAILURE, lambda: None if over.done() else over.set_result(None)
        )
        await over
