"""Batches of a queue: as many messages as come within a mapping's window, and fit into an event."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import msgspec

from samovar.clock import Clock
from samovar.event_sources.admission import Place
from samovar.event_sources.batching import Encoded
from samovar.event_sources.filtering import Passes
from samovar.event_sources.sqs import MOST_AT_ONCE
from samovar.event_sources.sqs_records import record_of
from samovar.invocation import lineage
from samovar.metrics.event_sources import SourceNumbers
from samovar.model import limits
from samovar.model.event_source import EventSourceMapping, Source
from samovar.model.invocation import Outcome
from samovar.neighbours.answers import name_of

_log = logging.getLogger(__name__)

VISIBILITY = 30  # seconds, SQS's default, where a queue can't be asked
BESIDES = 30  # seconds that messages are kept beyond the window and the function's timeout
# Of those, what deleting may take: a function is not begun when it might not be through before.
_DELETING = 5
# Seconds of a poll while somebody else waits for the function's place: whose queue is quiet lets go
# of it soon.
SHORT_POLL = 1
_LEFT = 0.001
_REQUESTS = 10  # to a queue at once, for one batch

_TRACE = re.compile(r"[!-~]{1,1000}")  # what a header can be

_encode = msgspec.json.Encoder().encode


class ReadQueue(Protocol):
    """What is read; see `sqs.Queue`."""

    longest_poll: int

    def now(self) -> Self: ...

    async def visibility_timeout(self) -> int: ...

    async def receive(self, most: int, wait: int, visibility: int | None) -> Sequence[Any]: ...

    async def delete(self, receipts: Sequence[str]) -> list[str]: ...

    async def give_back(self, receipts: Sequence[str]) -> list[str]: ...


class Places(Protocol):
    """Whom places are asked of; see `Admission`."""

    async def place(self, function: Callable[[], str]) -> Place: ...

    def is_wanted(self, function: str) -> bool: ...


Invoke = Callable[[EventSourceMapping, bytes, str], "asyncio.Future[Outcome]"]


@dataclass(slots=True, kw_only=True)
class QueueReading:
    """What the pollers of one mapping share. `passes`: whether a record gets through the mapping's
    filters; `stops`: whether one with this trace header is part of a loop and not to be run;
    `busy`: whether no processor is idle, so that more pollers at once would help nobody;
    `timeout`: seconds that the function may run now; `visibility`: the queue's own visibility
    timeout, seconds, which is asked for where it is `unknown`."""

    mapping: EventSourceMapping
    passes: Passes
    queue: ReadQueue
    admission: Places
    invoke: Invoke
    stops: Callable[[EventSourceMapping, str], bool]
    clock: Clock
    numbers: SourceNumbers
    busy: Callable[[], bool]
    timeout: Callable[[], int]
    visibility: int = VISIBILITY
    unknown: bool = True
    stopping: bool = False
    giving_back: bool = False  # what no function has yet
    _naps: set[asyncio.Event] = field(default_factory=set)

    @property
    def source(self) -> Source:
        """The queue's ARN, taken apart."""
        return self.mapping.source

    async def place(self) -> Place:
        """Wait until the function can take another batch."""
        return await self.admission.place(lambda: self.mapping.function)

    async def nap(self, seconds: float) -> None:
        """Let time pass, until all is to end."""
        if self.stopping:
            return
        over = asyncio.Event()
        self._naps.add(over)
        timer = self.clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
            self._naps.discard(over)

    def end(self) -> None:
        """Fetch nothing more; idempotent."""
        self.stopping = True
        for nap in self._naps:
            nap.set()


class Batch:
    """Messages in hand. Their functions' answers are carried out with `queue`, whose rights are
    those of the time of the fetching: the function may be gone by then."""

    def __init__(self, it: QueueReading, queue: ReadQueue, start_by: float) -> None:
        """`start_by`: when a run must have begun that is to be through before the messages
        reappear (monotonic seconds)."""
        self.queue = queue
        self.start_by = start_by
        self.records: list[Encoded] = []
        self.receipts: dict[str, str] = {}  # of records, by their keys
        self.filtered: list[str] = []  # receipts of what is not wanted
        self.stopped: list[str] = []  # and of what is left in flight, unread
        self.trace = ""  # of the longest chain of calls that a record comes of
        self.full = False  # whether the queue gave as much as it was asked for
        self.size = self.largest = 0  # bytes of the records, and of the largest one
        self._it = it

    @property
    def count(self) -> int:
        """Messages in it."""
        return len(self.records) + len(self.filtered) + len(self.stopped)

    def add(self, messages: Sequence[Any]) -> None:
        """Take in what the queue gave."""
        it, source = self._it, self._it.source
        for message in messages:
            record = record_of(message, arn=source.arn, region=source.region)
            if not it.passes(record):
                self.filtered.append(record["receiptHandle"])
                continue
            if self._is_stopped(record):
                self.stopped.append(record["receiptHandle"])
                continue
            encoded = Encoded(record["messageId"], _encode(record))
            self.records.append(encoded)
            self.receipts[encoded.key] = record["receiptHandle"]
            self.size += len(encoded.text)
            self.largest = max(self.largest, len(encoded.text))
        it.numbers.events["polled"] += len(messages)

    def _is_stopped(self, record: dict[str, Any]) -> bool:
        """Whether a record is part of a loop, or comes after one that is in a queue with an order.
        It stays in its queue, whose redrive policy says what becomes of it."""
        it, mapping = self._it, self._it.mapping
        if self.stopped and mapping.source.is_fifo:
            return True
        trace = record["attributes"].get("AWSTraceHeader", "")
        if not _TRACE.fullmatch(trace):
            return False
        if it.stops(mapping, trace):
            return True
        seen = lineage.seen(trace, mapping.function)
        if not self.trace or seen > lineage.seen(self.trace, mapping.function):
            self.trace = trace
        return False


async def fetch(it: QueueReading, place: Place) -> Batch:
    """What comes within the window, which may be nothing. The place is let go of while nothing
    does: whoever needs it afterwards asks again. Raises what a queue's first request does, and
    ClientError where there is no function."""
    mapping, queue = it.mapping, it.queue.now()
    await _look_at_visibility(it, queue)
    size, timeout = mapping.batch_size, it.timeout()
    # More than ten may be more than an event holds: a second run follows the first.
    runs = 2 if size > MOST_AT_ONCE else 1
    # Messages are this poller's for as long as a batch may take to fill and to be run, and a little
    # more, where the queue's own time is too short for that (developer guide).
    needed = int(mapping.window) + timeout * runs + BESIDES
    asked = needed if it.visibility < needed else None
    most = min(MOST_AT_ONCE, size)
    wait = queue.longest_poll
    if it.admission.is_wanted(mapping.function):
        wait = min(SHORT_POLL, wait)
    found = await queue.receive(most, wait, asked)
    now = it.clock.monotonic()
    batch = Batch(it, queue, now + (asked or it.visibility) - timeout - _DELETING)
    batch.add(found)
    batch.full = len(found) == most
    if found:
        await _fill(it, batch, place, now + mapping.window, size, asked)
    return batch


async def _look_at_visibility(it: QueueReading, queue: ReadQueue) -> None:
    if not it.unknown:
        return
    it.unknown = False
    try:
        it.visibility = await queue.visibility_timeout()
    except Exception as error:  # the request for messages tells what is wrong, if it is something
        _log.debug("%s can't be asked: %s", it.source.arn, error)


async def _fill(  # noqa: PLR0917 - a part of the above
    it: QueueReading, batch: Batch, place: Place, until: float, size: int, visibility: int | None
) -> None:
    """More messages for a batch, as long as there is time for them."""
    queue = batch.queue
    while batch.count < size and batch.size < limits.SYNC_PAYLOAD_SIZE and not it.stopping:
        left = until - it.clock.monotonic()
        if left <= _LEFT:
            return
        wait = 0
        if not batch.full:
            place.use()
            wait = min(queue.longest_poll, math.floor(left))
            if not wait:  # the last part of a second, for which no queue waits
                await it.nap(left)
                if it.stopping:
                    return
        sizes = _requests(batch, size)
        found = await asyncio.gather(
            *(queue.receive(most, wait, visibility) for most in sizes), return_exceptions=True
        )
        batch.full = True
        for most, reply in zip(sizes, found, strict=True):
            if isinstance(reply, BaseException):
                it.numbers.errors[name_of(reply)] += 1
                _log.debug("%s: a part of a batch is missing: %s", it.source.arn, reply)
                batch.full = False
            else:
                batch.add(reply)
                batch.full &= len(reply) == most
        if all(isinstance(reply, BaseException) for reply in found):
            return  # what there is is done all the same


def _requests(batch: Batch, size: int) -> list[int]:
    """How much the next requests ask for: several at once where the ones before found as much as
    they asked for, unless that would be more than an event holds, as far as can be told."""
    most = size - batch.count
    requests = 1
    if batch.full:
        requests = min(_REQUESTS, math.ceil(most / MOST_AT_ONCE))
        if batch.largest:
            bytes_left = limits.SYNC_PAYLOAD_SIZE - batch.size
            requests = min(requests, math.ceil(bytes_left / (batch.largest * MOST_AT_ONCE)))
    return [min(MOST_AT_ONCE, most - at * MOST_AT_ONCE) for at in range(requests)]
