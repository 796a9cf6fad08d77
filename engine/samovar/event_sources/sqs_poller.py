"""Reads one queue for one mapping: as many pollers at once as its backlog and its function bear.

A poller asks for a place, fetches, filters, invokes, and deletes what is done: a process that dies
anywhere in between leaves messages in flight, and they reappear. Messages of a FIFO queue's group
are given to nobody else meanwhile, which keeps their order.
"""

from __future__ import annotations

import asyncio
import logging

from samovar.event_sources.admission import Place, within
from samovar.event_sources.filtering import Passes
from samovar.event_sources.seldom import Seldom
from samovar.event_sources.shard_batches import backoff
from samovar.event_sources.sqs_fetching import Batch, QueueReading, fetch
from samovar.event_sources.sqs_runs import give_back, process
from samovar.model.event_source import EventSourceMapping
from samovar.neighbours.answers import name_of

_log = logging.getLogger(__name__)

# Pollers at once, at first and at most, and how many more in a second while there is a backlog
# (developer guide: 5 concurrent batches, 300 more a minute, 1,250).
FIRST, MOST, MORE_PER_SECOND = 5, 1250, 5.0
# Batches in functions at once for each poller of provisioned mode (developer guide).
EACH_PROVISIONED = 10


class SqsPoller:
    """The pollers of one mapping, from `start` to `stop`; `change` has them go on with another form
    of it."""

    def __init__(self, it: QueueReading) -> None:
        self._it = it
        self._pollers: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()  # those that wait for a place
        self._late: set[asyncio.Task[Place]] = set()  # and with a batch in hand
        self._more_from = 0.0  # when another poller may be added (monotonic seconds)
        self._failures = 0
        self._seldom = Seldom(it.clock)

    @property
    def pollers(self) -> int:
        """How many there are now."""
        return len(self._pollers)

    def start(self) -> None:
        """Begin to read."""
        while len(self._pollers) < self._least:
            self._add()

    def change(self, mapping: EventSourceMapping, passes: Passes) -> None:
        """Read for another form of the mapping, of the same source. What is being fetched is
        handled by it already."""
        self._it.mapping = mapping
        self._it.passes = passes
        self._it.unknown = True
        if not self._it.stopping:
            self.start()

    def pause(self) -> None:
        """Fetch nothing more, and begin nothing: what a queue is giving just now is given back. A
        poll that was cut off would leave it in flight, unread."""
        self._it.giving_back = True
        self._end()
        for waiting in self._late:
            waiting.cancel()

    async def stop(self) -> None:
        """Fetch nothing more, and let what is in hand, or being given, be done; idempotent."""
        self._end()
        while self._pollers:
            await asyncio.wait(self._pollers)

    def _end(self) -> None:
        self._it.end()
        for poller in self._idle:
            poller.cancel()

    def cancel(self) -> None:
        """Leave what is in hand where it is: its messages reappear."""
        self._it.end()
        for poller in self._pollers:
            poller.cancel()

    # -- pollers

    @property
    def _least(self) -> int:
        return self._it.mapping.least_pollers or 1

    @property
    def _most(self) -> int:
        mapping = self._it.mapping
        if mapping.most_pollers is not None:
            return EACH_PROVISIONED * mapping.most_pollers
        return mapping.maximum_concurrency or MOST

    def _add(self) -> None:
        task = asyncio.get_running_loop().create_task(self._poll())
        self._pollers.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._pollers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error(
                "a poller of %s broke down, and another begins",
                self._it.source.arn,
                exc_info=task.exception(),
            )
            if not self._it.stopping:
                self._add()

    def _grow(self) -> None:
        """There was as much as could be fetched at once: more pollers find something, too. Those of
        provisioned mode are there as soon as they are needed."""
        it = self._it
        if it.stopping or len(self._pollers) >= self._most:
            return
        if len(self._pollers) >= FIRST and not it.mapping.provisioned:
            now = it.clock.monotonic()
            if now < self._more_from or it.busy():
                return
            self._more_from = now + 1.0 / MORE_PER_SECOND
        self._add()

    async def _poll(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._it.stopping:
            self._idle.add(me)
            try:
                place = await self._it.place()
            finally:
                self._idle.discard(me)
            try:
                wanted = len(self._pollers) <= self._most and await self._read(place)
            finally:
                place.use()
            if not wanted:
                # At once: in its callback it would be too late for others that look just now.
                self._pollers.discard(me)
                return

    async def _read(self, place: Place) -> bool:
        """Have one batch; whether this poller is to go on."""
        it = self._it
        try:
            batch = await fetch(it, place)
        except Exception as error:
            place.use()
            await self._failed(error)
            return True
        if self._failures:
            self._failures = 0
            it.unknown = True  # it may be another queue of that name
        if batch.full:
            self._grow()
        if batch.count:
            await self._process(batch, place)
            return True
        return len(self._pollers) <= self._least

    async def _process(self, batch: Batch, place: Place) -> None:
        """Run what is in hand, or give it back where that can't be any more."""
        it = self._it
        again: Place | None = place
        if place.used and batch.records and not it.giving_back:
            again = await self._place_by(batch.start_by)
        if again is None or it.giving_back:
            await give_back(it, batch)
            return
        try:
            await process(it, batch, again)
        finally:
            again.use()

    async def _place_by(self, time: float) -> Place | None:
        """A place for what is in hand; None if there is none in time, or all is to end."""
        it = self._it
        waiting = asyncio.get_running_loop().create_task(it.place())
        self._late.add(waiting)
        try:
            return await within(it.clock, max(0.0, time - it.clock.monotonic()), waiting)
        finally:
            self._late.discard(waiting)

    # -- failures

    async def _failed(self, error: Exception) -> None:
        """The queue can't be read: longer and longer pauses, and a line in the log now and then."""
        it = self._it
        it.numbers.errors[name_of(error)] += 1
        if self._seldom.is_due():
            _log.error(
                "%s can't be read for %s, and is tried again: %s",
                *(it.source.arn, it.mapping.function_arn, error),
            )
        self._failures += 1
        await it.nap(backoff(self._failures))
