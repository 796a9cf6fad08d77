"""Reads one shard for one mapping, in order: a batch is over before the next one is begun.

A reader asks for a place, fetches, filters, invokes, and writes its checkpoint once records are
done or given up: whoever dies anywhere in between reads again what was not written down. What was
given up is on its way to the mapping's destination before the checkpoint passes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import dropwhile
from math import floor
from typing import Any, Protocol, TypeVar

from samovar.clock import Clock
from samovar.errors import ClientError, EngineError
from samovar.event_sources import shard_batches
from samovar.event_sources.admission import Place
from samovar.event_sources.batching import event_of, failed_keys, portions
from samovar.event_sources.shard_batches import Dropped, Piece, Ran, Rules, ShardRecord, Step
from samovar.event_sources.sqs import code_of
from samovar.event_sources.streams import END, START, Position, Stream, StreamRecord, Where
from samovar.invocation.retries import Result
from samovar.metrics.event_sources import SourceNumbers
from samovar.model import limits
from samovar.model.arn import function_arn
from samovar.model.event_source import EventSourceMapping
from samovar.model.function import LATEST
from samovar.model.invocation import Outcome
from samovar.stores.leases import Lease, LeaseStore

_log = logging.getLogger(__name__)

# Seconds before the next try after a failure to read or to write, the first and the longest.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_LEAST_WAIT = 0.001  # seconds before a batch is tried again, on whatever scale
_TOLD_PAUSE = 60.0  # seconds until the log says again that a shard can't be read
_EXPIRED, _TRIMMED = "ExpiredIteratorException", "TrimmedDataAccessException"

OK, FAILED, NOTHING = "OK", "PROBLEM: Function call failed", "No records processed"

T = TypeVar("T")

Invoke = Callable[[EventSourceMapping, bytes], "asyncio.Future[Outcome]"]
Passes = Callable[[dict[str, Any]], bool]
GiveUp = Callable[[Dropped, EventSourceMapping, str], Awaitable[None]]


class Places(Protocol):
    """Whom a place for a batch is asked of; see `Admission`."""

    async def place(self, function: str) -> Place: ...


@dataclass(slots=True)
class Reading:
    """What the readers of one mapping share. `mapping` and `passes` (whether a record gets through
    its filters) are exchanged when it is updated; `give_up` has what was dropped of a shard be
    delivered, durably; `lifetime` is how many seconds records are kept; `result` is AWS's
    LastProcessingResult."""

    mapping: EventSourceMapping
    passes: Passes
    stream: Stream
    admission: Places
    invoke: Invoke
    give_up: GiveUp
    leases: LeaseStore
    clock: Clock
    numbers: SourceNumbers
    time_scale: float = 1.0
    lifetime: float = float("inf")
    result: str = field(default=NOTHING)

    def rules(self, *, failed: bool) -> Rules:
        """As they are now. Waits and ages are multiplied by `time_scale`, like those of events; on
        the scale 0 ages are AWS's. Records that `failed` are tried as long as their stream keeps
        them; an emulator may keep them for longer than it says, and gives them once all the
        same."""
        mapping, scale = self.mapping, self.time_scale or 1.0
        age = self.lifetime if failed else float("inf")
        if mapping.record_age >= 0:
            age = min(age, mapping.record_age * scale)
        return Rules(mapping.retries, age, mapping.bisect)

    async def place(self) -> Place:
        """Wait until the function can take another batch."""
        mapping = self.mapping
        account = mapping.function_arn.split(":")[4]
        function = function_arn(mapping.source.region, account, mapping.function_name)
        return await self.admission.place(function)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        over = asyncio.Event()
        timer = self.clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()


class ShardReader:
    """From `run` to its end, or to that of the shard."""

    def __init__(
        self, it: Reading, lease: Lease, iterator: str | None = None, *, closed: bool = False
    ) -> None:
        """Begins at the lease's checkpoint, or with what `iterator` finds where there is one.
        Raises ValueError for a checkpoint that is none."""
        self.lease = lease
        self.closed = closed  # whether the stream says that nothing more comes
        self._it = it
        self._position = Position.parse(lease.checkpoint)  # behind what was read
        self._iterator = iterator
        self._ended = False
        self._stopping = False
        self._task: asyncio.Task[Any] | None = None
        self._idle = False
        self._failures = 0
        self._failed_wait = 0.0
        self._since: float | None = None  # of what was found before this nothing is wanted
        self._told = float("-inf")

    def stop(self) -> None:
        """Fetch nothing more, and try nothing again; what runs now may finish, and is written
        down."""
        self._stopping = True
        if self._idle and self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        """Read. Raises LeaseLost, and whatever nobody foresaw."""
        self._task = asyncio.current_task()
        while not self._stopping:
            with self._idling():
                place = await self._it.place()
            try:
                with self._idling():
                    records, full = await self._fetch()
                if records:
                    await self._process(records, place)
            finally:
                place.use()
            if self._ended:
                await self._write(END)
                return
            wait = 0.0 if full else self._it.stream.pause
            if self._failures:
                wait = self._failed_wait
            if wait and not self._stopping:
                await self._wait(wait)

    @contextmanager
    def _idling(self) -> Iterator[None]:
        """While nothing is in hand that would not be read again."""
        if self._stopping:
            raise asyncio.CancelledError
        self._idle = True
        try:
            yield
        finally:
            self._idle = False

    async def _wait(self, seconds: float) -> None:
        with self._idling():
            await self._it.pause(seconds)

    # -- fetching

    async def _fetch(self) -> tuple[list[StreamRecord], bool]:
        """Records for a batch, as many as come within its window, and whether there may be more."""
        mapping, clock = self._it.mapping, self._it.clock
        found, full = await self._read(mapping.batch_size)
        until = clock.monotonic() + mapping.window
        size = _size(found)
        while found and not self._ended and len(found) < mapping.batch_size:
            left = until - clock.monotonic()
            if left <= 0 or size >= limits.SYNC_PAYLOAD_SIZE or self._failures:
                break
            if not full:
                await self._it.pause(min(left, self._it.stream.pause))
            more, full = await self._read(mapping.batch_size - len(found))
            found += more
            size += _size(more)
        self._it.numbers.events["polled"] += len(found)
        return found, full

    async def _read(self, most: int) -> tuple[list[StreamRecord], bool]:
        """One read; nothing where it fails."""
        most = min(most, self._it.stream.most)
        closed, shard = self.closed, self.lease.shard  # as it was before
        try:
            if self._iterator is None:
                if self._position.where is Where.SINCE:
                    self._since = float(self._position.value)
                self._iterator = await self._it.stream.iterator(shard, self._position)
            page = await self._it.stream.read(shard, self._iterator, most)
        except Exception as error:
            self._iterator = None
            self._unreadable(error)
            return [], False
        self._failures = 0
        self._iterator = page.iterator
        records = list(page.records)
        self._ended = page.iterator is None or (closed and page.caught_up and not records)
        full = len(records) >= most
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
        it, code = self._it, code_of(error)
        it.numbers.errors[code or type(error).__name__] += 1
        if code == _TRIMMED:
            self._position = START
        self._failures += 1
        if code in (_EXPIRED, _TRIMMED) and self._failures == 1:
            self._failed_wait = 0.0
            return
        now = it.clock.monotonic()
        if now >= self._told + _TOLD_PAUSE:
            self._told = now
            _log.error(
                "the shard %s of %s can't be read for %s, and is tried again: %s",
                *(self.lease.shard, it.mapping.source_arn, it.mapping.function_arn, error),
            )
        self._failed_wait = min(_LONGEST_PAUSE, _PAUSE * 2.0 ** min(self._failures - 1, 10))

    # -- a batch

    async def _process(self, found: Sequence[StreamRecord], place: Place) -> None:
        """Invoke with what passes the filters until all of it is done or given up."""
        records = [
            ShardRecord(record.key, record.arrived, record.text)
            for record in found
            if self._it.passes(record.event)
        ]
        self._it.numbers.events["filtered"] += len(found) - len(records)
        pieces = shard_batches.batch(list(portions(records)))
        while pieces:
            rules = self._it.rules(failed=pieces[0].failures > 0)
            step = shard_batches.aged(pieces, rules, self._it.clock.wall())
            pieces = step.left
            if step.dropped is None:
                step = await self._run(pieces, place)
                pieces = step.left
            await self._follow(step)
            if pieces and step.wait:
                await self._wait(max(_LEAST_WAIT, step.wait * self._it.time_scale))
        if not self._ended:
            await self._write(Position(Where.AFTER, found[-1].key))

    async def _run(self, pieces: tuple[Piece, ...], place: Place) -> Step:
        """Invoke with the first of them. The first run of a batch has a place; the others ask for
        one."""
        it, piece = self._it, pieces[0]
        if place.used:
            with self._idling():
                place = await it.place()
        mapping, events, count = it.mapping, it.numbers.events, len(piece.records)
        it.numbers.iterator_age = max(0.0, it.clock.wall() - piece.records[-1].arrived)
        try:
            try:
                invoked = it.invoke(mapping, event_of(piece.records))
            finally:
                place.use()
            outcome = await invoked
        except (ClientError, EngineError) as error:
            events["failed"] += count
            return self._refused(pieces, error)
        events["invoked"] += count
        failed_at = None
        if outcome.function_error is not None:
            failed_at = 0
        elif mapping.report_failures:
            keys = [record.key for record in piece.records]
            failed = failed_keys(outcome.payload, keys)
            failed_at = next((at for at, key in enumerate(keys) if key in failed), None)
        events["failed"] += 0 if failed_at is None else count - failed_at
        it.result = OK if outcome.function_error is None else FAILED
        came = Ran(failed_at, outcome.function_error, outcome.request_id, outcome.executed_version)
        return shard_batches.ran(pieces, came, it.rules(failed=True))

    def _refused(self, pieces: tuple[Piece, ...], error: ClientError | EngineError) -> Step:
        """The function did not take a batch: nobody's fault, or one that goes on as it is."""
        it = self._it
        _log.log(
            logging.DEBUG if Result.of(error) is Result.THROTTLE else logging.WARNING,
            "a batch of the shard %s of %s was not run by %s: %s",
            *(self.lease.shard, it.mapping.source_arn, it.mapping.function_arn, error),
        )
        if Result.of(error) in (Result.FUNCTION_ERROR, Result.INVALID_EVENT):
            it.result = FAILED
            version = it.mapping.qualifier or LATEST
            came = Ran(0, "Unhandled", executed_version=version)
            return shard_batches.ran(pieces, came, it.rules(failed=True))
        return shard_batches.not_run(pieces)

    async def _follow(self, step: Step) -> None:
        """Have what was given up be delivered, and write down how far the shard is done."""
        gone = list(step.done)
        dropped, it = step.dropped, self._it
        if dropped is not None:
            it.numbers.events["dropped"] += len(dropped.piece.records)
            gone += dropped.piece.records
            mapping = it.mapping
            if mapping.on_failure is not None:
                shard = self.lease.shard
                await self._insist(lambda: it.give_up(dropped, mapping, shard))
        if gone and step.left:  # or else the whole batch is over, with what was filtered behind it
            await self._write(Position(Where.AFTER, gone[-1].key))

    async def _write(self, position: Position) -> None:
        text = position.text()
        self.lease = await self._insist(lambda: self._it.leases.write(self.lease, text))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Have something be written down, as soon as the disk is well again. Raises LeaseLost, and
        EngineError at the end."""
        wait = _PAUSE
        while True:
            try:
                return await call()
            except EngineError as error:
                if self._stopping:
                    raise
                _log.error(
                    "the shard %s of %s is held up: %s",
                    *(self.lease.shard, self._it.mapping.source_arn, error),
                )
            await self._wait(wait)
            wait = min(_LONGEST_PAUSE, wait * 2)


def _size(records: Sequence[StreamRecord]) -> int:
    """Of what they come to in an event, about."""
    return sum(len(record.text) for record in records)
