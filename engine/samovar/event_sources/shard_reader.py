"""Reads one shard for one mapping, in order: a batch is over before the next one is begun.

A reader asks for a place, fetches, filters, invokes, and writes its checkpoint once records are
done or given up: whoever dies anywhere in between reads again what was not written down. What was
given up is on its way to the mapping's destination before the checkpoint passes it.

A read brings as much as the stream gives at once, and several batches are cut from it: Kinesis
bears five reads of a shard in a second, for everybody. Where records have an age, they are read
even if there has been no place for a while, so that they are given up in time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import dropwhile
from math import floor

from samovar.event_sources.admission import Place
from samovar.event_sources.batch_runs import BatchRun
from samovar.event_sources.reading import Idling, StreamReading, insist
from samovar.event_sources.seldom import Seldom
from samovar.event_sources.shard_batches import backoff
from samovar.event_sources.streams import END, START, Position, StreamRecord, Where
from samovar.event_sources.window_runs import WindowRuns
from samovar.event_sources.windows import QUIET_READS
from samovar.model import limits
from samovar.neighbours.answers import code_of
from samovar.stores.leases import Lease

_log = logging.getLogger(__name__)

_UNPLACED = 5.0  # seconds without a place after which records that have an age are read
_EXPIRED, _TRIMMED = "ExpiredIteratorException", "TrimmedDataAccessException"
# What is said of an iterator; whatever else goes wrong, it is good still.
_NO_ITERATOR = frozenset(
    {_EXPIRED, _TRIMMED, "ResourceNotFoundException", "InvalidArgumentException"}
)


class ShardReader:
    """From `run` to its end, or to that of the shard."""

    def __init__(
        self, it: StreamReading, lease: Lease, iterator: str | None = None, *, closed: bool = False
    ) -> None:
        """Begins at the lease's checkpoint, or with what `iterator` finds where there is one.
        Raises ValueError for a checkpoint that is none."""
        self.lease = lease
        self.closed = closed  # whether the stream says that nothing more comes
        self._it = it
        written = Position.parse(lease.checkpoint)  # with its window
        self._position = Position(written.where, written.value)  # behind what was read
        self._iterator = iterator
        self._ahead: list[StreamRecord] = []  # records that were read, and are in no batch yet
        self._full = False  # the last read has brought as much as there can be in one
        self._exhausted = False  # there are no more behind those
        self._idling = Idling()
        self._windows = WindowRuns(it, lease.shard, self._idling, written, self._write)
        self._empty = 0  # reads in a row that have found nothing
        self._read_up_to = float("-inf")  # epoch seconds: all that came by then was read
        self._failures = 0
        self._failed_wait = 0.0
        self._since: float | None = None  # of what was found before this nothing is wanted
        self._seldom = Seldom(it.clock)

    def stop(self) -> None:
        """Fetch nothing more, and try nothing again; what runs now may finish, and is written
        down."""
        self._idling.stop()

    def gone(self) -> None:
        """The shard is no more: fetch nothing more, and give up what is in hand, unless it is
        running and succeeds."""
        self._idling.give_up()

    async def run(self) -> None:
        """Read. Raises LeaseLost, and whatever nobody foresaw."""
        it, idling = self._it, self._idling
        while not idling.stopping:
            place = await idling.unless_gone(self._place)
            if idling.gone and not self._ahead:
                await self._windows.close()  # given up, with the state that it has come to
                return
            try:
                with idling.idle():
                    records, full = await self._fetch(place)
                if self._windows.needed:
                    if records:
                        await self._windows.run(records, place)
                    else:
                        await self._windows.quiet(self._read_up_to, place)
                elif records:
                    run = BatchRun(it, self.lease.shard, idling, self._passed)
                    await run.run(records, place)
            finally:
                if place is not None:
                    place.use()
            if self._ended:
                await self._windows.close()
                await self._write(END)
                return
            wait = 0.0 if full else it.stream.pause
            if self._failures:
                wait = self._failed_wait
            if wait and not idling.stopping:
                await idling.unless_gone(partial(it.pause, wait))

    # -- fetching

    async def _place(self) -> Place | None:
        it = self._it
        if it.mapping.record_age < 0:
            return await it.place()
        return await it.place_within(_UNPLACED)

    @property
    def _ended(self) -> bool:
        return self._exhausted and not self._ahead

    async def _fetch(self, place: Place | None) -> tuple[list[StreamRecord], bool]:
        """Records for a batch, as many as come within its window, and whether there may be more.
        Who waits for more has no `place` meanwhile."""
        it = self._it
        factor = it.mapping.parallelization
        most, largest = it.mapping.batch_size * factor, limits.SYNC_PAYLOAD_SIZE * factor
        found, full = await self._read(most)
        until = it.clock.monotonic() + it.mapping.window
        size = _size(found)
        while found and not self._ended and len(found) < most:
            left = until - it.clock.monotonic()
            if size >= largest or self._failures or self._idling.gone:
                break
            if not full:  # else there is more already, whatever the window is
                if left <= 0:
                    break
                if place is not None:
                    place.use()
                await it.pause(min(left, it.stream.pause))
            more, full = await self._read(most - len(found))
            found += more
            size += _size(more)
        it.numbers.events["polled"] += len(found)
        return found, full

    async def _read(self, most: int) -> tuple[list[StreamRecord], bool]:
        """Up to `most` records, from one read at most; nothing where it fails."""
        if not self._ahead and not self._exhausted and not self._idling.gone:
            self._ahead, self._full = await self._read_ahead()
        found, self._ahead = self._ahead[:most], self._ahead[most:]
        return found, self._full or bool(self._ahead)

    async def _read_ahead(self) -> tuple[list[StreamRecord], bool]:
        most = self._it.stream.most
        closed, shard = self.closed, self.lease.shard  # as it was before
        asked = self._it.clock.wall()
        try:
            if self._iterator is None:
                if self._position.where is Where.SINCE:
                    self._since = float(self._position.value)
                self._iterator = await self._it.stream.iterator(shard, self._position)
            page = await self._it.stream.read(shard, self._iterator, most)
        except Exception as error:
            if code_of(error) in _NO_ITERATOR:
                self._iterator = None
            self._unreadable(error)
            return [], False
        self._failures = 0
        self._it.readable()
        self._iterator = page.iterator
        records = list(page.records)
        self._exhausted = page.iterator is None or (closed and page.caught_up and not records)
        full = len(records) >= most
        self._empty = 0 if records else self._empty + 1
        if not records and (page.caught_up or self._empty >= QUIET_READS):
            self._read_up_to = asked
            self._it.numbers.ages[shard] = 0.0
        if records:
            self._position = Position(Where.AFTER, records[-1].key)
        if self._since is not None:
            # Not every source knows moments; the times of some are of whole seconds.
            since = floor(self._since)
            records = list(dropwhile(lambda record: record.arrived < since, records))
            if records:
                self._since = None
        return records, full

    def _unreadable(self, error: Exception) -> None:
        """Longer and longer pauses, and a line in the log now and then."""
        it = self._it
        code = it.unreadable(error)
        if code == _TRIMMED:
            self._position = START
            _log.warning(
                "records of the shard %s of %s were not read before they were too old to be kept",
                *(self.lease.shard, it.mapping.source_arn),
            )
        self._failures += 1
        if code in (_EXPIRED, _TRIMMED) and self._failures == 1:
            self._failed_wait = 0.0
            return
        if self._seldom.is_due():
            _log.error(
                "the shard %s of %s can't be read for %s, and is tried again: %s",
                *(self.lease.shard, it.mapping.source_arn, it.mapping.function_arn, error),
            )
        self._failed_wait = backoff(self._failures)

    # -- what is written down

    async def _passed(self, key: str) -> None:
        await self._write(Position(Where.AFTER, key))

    async def _write(self, position: Position) -> None:
        it, text = self._it, position.text()
        self.lease = await insist(
            it, self._idling, self.lease.shard, lambda: it.leases.write(self.lease, text)
        )


def _size(records: Sequence[StreamRecord]) -> int:
    """Of what they come to in an event, about."""
    return sum(len(record.text) for record in records)
