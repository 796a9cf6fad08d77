"""Reads one queue for one mapping: as many pollers at once as its backlog and its function bear.

A poller asks for a place, fetches, filters, invokes, and deletes what is done: a process that dies
anywhere in between leaves messages in flight, and they reappear. Messages of a FIFO queue's group
are given to nobody else meanwhile, which keeps their order.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from samovar.clock import Clock, pause
from samovar.errors import AWS, ClientError, EngineError
from samovar.event_sources.admission import Admission, Place
from samovar.event_sources.batching import RECORDS, Encoded, failed_keys, portions
from samovar.event_sources.shard_batches import backoff
from samovar.event_sources.sqs import MOST_AT_ONCE
from samovar.event_sources.sqs_records import record_of
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping
from samovar.model.invocation import Outcome
from samovar.neighbours.answers import code_of

_log = logging.getLogger(__name__)

# Pollers at once, at first and at most, and how many more in a second while there is a backlog
# (developer guide: 5 concurrent batches, 300 more a minute, 1,250).
FIRST, MOST, MORE_PER_SECOND = 5, 1250, 5.0
_PAUSE = 1.0  # seconds before a deletion is tried again, and after a batch that was not taken
_TRIES = 3  # of a deletion: after that the messages reappear, and are run again
_TOLD_PAUSE = 60.0  # seconds until the log says again that a queue can't be read
_LEFT = 0.001
_BESIDES = 30  # seconds that messages are kept beyond the window and the function's timeout
_REQUESTS = 10  # to a queue at once, for one batch

_encode = msgspec.json.Encoder().encode


class ReadQueue(Protocol):
    """What is read; see `sqs.Queue`."""

    longest_poll: int

    async def receive(self, most: int, wait: int, visibility: int | None) -> Sequence[Any]: ...

    async def delete(self, receipts: Sequence[str]) -> list[str]: ...

    async def give_back(self, receipts: Sequence[str]) -> None: ...


Invoke = Callable[[EventSourceMapping, bytes], "asyncio.Future[Outcome]"]
Passes = Callable[[dict[str, Any]], bool]


class SqsPoller:
    """The pollers of one mapping, from `start` to `stop`; `change` has them go on with another form
    of it."""

    def __init__(  # noqa: PLR0917 - the parts in the order in which a batch meets them
        self,
        mapping: EventSourceMapping,
        queue: ReadQueue,
        admission: Admission,
        passes: Passes,
        invoke: Invoke,
        clock: Clock,
        numbers: SourceNumbers,
        busy: Callable[[], bool],
        timeout: Callable[[], int],
        visibility: int,
    ) -> None:
        """`passes`: whether a record gets through the mapping's filters; `busy`: whether no
        processor is idle, so that more pollers at once would help nobody; `timeout`: seconds that
        the function may run now; `visibility`: the queue's own visibility timeout, seconds."""
        self._mapping = mapping
        self._queue = queue
        self._admission = admission
        self._passes = passes
        self._invoke = invoke
        self._clock = clock
        self._numbers = numbers
        self._busy = busy
        self._timeout = timeout
        self._visibility = visibility
        self._source = mapping.source
        self._pollers: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()  # those that wait for a place, or a better time
        self._filling: set[asyncio.Future[list[Any]]] = set()  # waits for more of a batch
        self._more_from = 0.0  # when another poller may be added (monotonic seconds)
        self._failures = 0
        self._told = float("-inf")
        self._stopping = self._giving_back = self._cancelled = False

    @property
    def pollers(self) -> int:
        """How many there are now."""
        return len(self._pollers)

    def start(self) -> None:
        """Begin to read."""
        self._add()

    def change(self, mapping: EventSourceMapping, passes: Passes) -> None:
        """Read for another form of the mapping, of the same source. What is being fetched is
        handled by it already."""
        self._mapping = mapping
        self._passes = passes

    def pause(self) -> None:
        """Fetch nothing more, and begin nothing: what a queue is giving just now is given back. A
        poll that was cut off would leave it in flight, unread."""
        self._giving_back = True
        self._end()

    async def stop(self) -> None:
        """Fetch nothing more, and let what is in hand, or being given, be done; idempotent."""
        self._end()
        while self._pollers:
            await asyncio.wait(self._pollers)

    def _end(self) -> None:
        self._stopping = True
        for poller in self._idle:
            poller.cancel()
        for filling in self._filling:
            filling.cancel()

    def cancel(self) -> None:
        """Leave what is in hand where it is: its messages reappear."""
        self._stopping = self._cancelled = True
        for poller in self._pollers:
            poller.cancel()

    # -- pollers

    def _add(self) -> None:
        task = asyncio.get_running_loop().create_task(self._poll())
        self._pollers.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._pollers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error(
                "a poller of %s broke down, and another begins",
                self._source.arn,
                exc_info=task.exception(),
            )
            if not self._stopping:
                self._add()

    def _grow(self) -> None:
        """There was as much as could be fetched at once: more pollers find something, too."""
        if self._stopping or len(self._pollers) >= (self._mapping.maximum_concurrency or MOST):
            return
        if len(self._pollers) >= FIRST:
            now = self._clock.monotonic()
            if now < self._more_from or self._busy():
                return
            self._more_from = now + 1.0 / MORE_PER_SECOND
        self._add()

    async def _poll(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._stopping:
            with self._among(self._idle):
                place = await self._place()
            try:
                messages, full = await self._fetch()
                if full:
                    self._grow()
                if messages and self._giving_back:
                    await self._give_back(messages)
                elif messages:
                    await self._process(messages, place)
                elif len(self._pollers) > 1:
                    # At once: in its callback it would be too late for others that look just now.
                    self._pollers.discard(me)
                    return
            finally:
                place.use()

    async def _place(self) -> Place:
        return await self._admission.place(lambda: self._mapping.function)

    @contextmanager
    def _among(self, pollers: set[asyncio.Task[None]]) -> Iterator[None]:
        """Have this poller be one of `pollers` for a while."""
        me = asyncio.current_task()
        assert me is not None
        pollers.add(me)
        try:
            yield
        finally:
            pollers.discard(me)

    # -- fetching

    async def _fetch(self) -> tuple[list[Any], bool]:
        """Messages for a batch, as many as come within its window, and whether the queue gave as
        many as it was asked for."""
        size = self._mapping.batch_size
        most = min(MOST_AT_ONCE, size)
        try:
            messages = list(await self._receive(most, self._queue.longest_poll))
        except Exception as error:
            with self._among(self._idle):
                await self._failed(error)
            return [], False
        self._failures = 0
        full = len(messages) == most
        until = self._clock.monotonic() + self._mapping.window
        while messages and len(messages) < size and not self._stopping:
            left = until - self._clock.monotonic()
            more = await self._fill(size - len(messages), left, full) if left > _LEFT else None
            if more is None:
                break
            full = bool(more) and len(more) % MOST_AT_ONCE == 0
            messages += more
        self._numbers.events["polled"] += len(messages)
        return messages, full

    async def _fill(self, most: int, left: float, full: bool) -> list[Any] | None:
        """More messages for a batch that may take `left` seconds still; None where it is to go as
        it is: reading fails, or everything comes to its end."""
        wait = 0 if full else min(self._queue.longest_poll, math.floor(left))
        work = self._receive_many(most, wait, full) if full or wait else self._rest(most, left)
        filling = asyncio.ensure_future(work)
        self._filling.add(filling)
        try:
            return await filling
        except asyncio.CancelledError:
            if self._cancelled or not self._stopping:
                raise
            return None
        except Exception as error:  # what there is is done all the same
            _log.debug("%s: a batch is cut short: %s", self._source.arn, error)
            return None
        finally:
            self._filling.discard(filling)

    async def _rest(self, most: int, seconds: float) -> list[Any]:
        """The last part of a second, for which no queue waits."""
        await pause(self._clock, seconds)
        return await self._receive_many(most, 0, False)

    async def _receive_many(self, most: int, wait: int, full: bool) -> list[Any]:
        """Several requests at once where the one before found as much as it asked for."""
        requests = min(_REQUESTS, math.ceil(most / MOST_AT_ONCE)) if full else 1
        sizes = [min(MOST_AT_ONCE, most - at * MOST_AT_ONCE) for at in range(requests)]
        replies = await asyncio.gather(*(self._receive(size, wait) for size in sizes))
        return [message for reply in replies for message in reply]

    async def _receive(self, most: int, wait: int) -> Sequence[Any]:
        """Messages are this poller's for as long as a batch may take to fill and to be run, and a
        little more, where the queue's own time is too short for that (developer guide)."""
        needed = int(self._mapping.window) + self._timeout() + _BESIDES
        visibility = needed if self._visibility < needed else None
        return await self._queue.receive(most, wait, visibility)

    # -- a batch

    async def _process(self, messages: Sequence[Any], place: Place) -> None:
        """Invoke with what passes the filters, and delete what is done."""
        receipts: dict[str, str] = {}
        records, filtered = [], []
        for message in messages:
            record = record_of(message, arn=self._source.arn, region=self._source.region)
            receipts[record["messageId"]] = record["receiptHandle"]
            if self._passes(record):
                records.append(Encoded(record["messageId"], _encode(record)))
            else:
                filtered.append(record["receiptHandle"])
        if filtered:
            self._numbers.events["filtered"] += len(filtered)
            await self._delete(filtered)
        for portion in portions(records):
            done = await self._run(portion, place)
            await self._delete([receipts[key] for key in done])
            if len(done) < len(portion) and self._source.is_fifo:
                break  # what follows in the order comes after what failed

    async def _run(self, portion: Sequence[Encoded], place: Place) -> list[str]:
        """Invoke with records; the keys of those that are done. The first portion of a batch has a
        place, and the others, which are rare, the one before them's."""
        mapping, count, events = self._mapping, len(portion), self._numbers.events
        keys = [record.key for record in portion]
        try:
            try:
                invoked = self._invoke(mapping, RECORDS.event(portion))
            finally:
                place.use()
            outcome = await invoked
        except (ClientError, EngineError) as error:
            events["failed"] += count
            await self._refused(error)
            return []
        events["invoked"] += count
        failed: frozenset[str] = frozenset()
        if outcome.function_error is not None:
            failed = frozenset(keys)
        elif mapping.report_failures:
            failed = failed_keys(outcome.payload, keys)
        events["failed"] += len(failed)
        return [key for key in keys if key not in failed]

    async def _give_back(self, messages: Sequence[Any]) -> None:
        """Have messages reappear at once; where that fails, or the role may not ask for it (AWS's
        own policy for pollers doesn't say so), they do in time."""
        try:
            await self._queue.give_back([message["ReceiptHandle"] for message in messages])
        except Exception as error:
            _log.debug("%s: messages reappear later: %s", self._source.arn, error)

    async def _delete(self, receipts: Sequence[str]) -> None:
        left = list(receipts)
        for attempt in range(_TRIES):
            if not left:
                return
            if attempt:
                await pause(self._clock, _PAUSE * 2 ** (attempt - 1))
            count = len(left)
            try:
                left = await self._queue.delete(left)
                self._numbers.events["deleted"] += count - len(left)
            except Exception as error:
                _log.debug("%s: messages are not deleted yet: %s", self._source.arn, error)
        if left:
            _log.warning(
                "%d messages of %s that were done could not be deleted: they will be run again",
                *(len(left), self._source.arn),
            )

    # -- failures

    async def _failed(self, error: Exception) -> None:
        """The queue can't be read: longer and longer pauses, and a line in the log now and then."""
        self._numbers.errors[code_of(error) or type(error).__name__] += 1
        now = self._clock.monotonic()
        if now >= self._told + _TOLD_PAUSE:
            self._told = now
            _log.error(
                "%s can't be read for %s, and is tried again: %s",
                *(self._source.arn, self._mapping.function_arn, error),
            )
        self._failures += 1
        await pause(self._clock, backoff(self._failures))

    async def _refused(self, error: ClientError | EngineError) -> None:
        """The function did not take the batch, which reappears: this poller waits a while."""
        throttled = isinstance(error, ClientError) and error.error is AWS.TOO_MANY_REQUESTS
        _log.log(
            logging.DEBUG if throttled else logging.WARNING,
            "a batch of %s was not run by %s: %s",
            *(self._source.arn, self._mapping.function_arn, error),
        )
        if not self._stopping:
            await pause(self._clock, _PAUSE)
