"""Reads one partition of a topic for one mapping, in order: a batch is over before the next one is
begun.

A reader waits for a record, asks for a place, fills the batch, filters, invokes, and commits the
offset once records are done or given up: whoever dies anywhere in between leaves it as it was, and
the next one reads from there. It holds one record while it waits for a place, and no more: an idle
partition has none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from samovar.errors import EngineError, SamovarError
from samovar.event_sources.admission import Place
from samovar.event_sources.batch_runs import BatchRun
from samovar.event_sources.batching import Form
from samovar.event_sources.kafka_records import kafka_record, place_of
from samovar.event_sources.reading import Idling, Reading, insist
from samovar.event_sources.streams import StreamRecord
from samovar.model import limits

_QUIET_MS = 30_000  # that a partition is waited for before its cluster is asked whether it is there
_ASKED = 15.0  # seconds that it has for an answer


class Consumer(Protocol):
    """What a reader needs of aiokafka's. Partitions are TopicPartitions."""

    async def getmany(self, *partitions: Any, timeout_ms: int, max_records: int) -> Any: ...

    async def commit(self, offsets: Any) -> None: ...

    async def committed(self, partition: Any) -> int | None: ...

    async def end_offsets(self, partitions: Any) -> Any: ...

    def seek(self, partition: Any, offset: int) -> None: ...

    def highwater(self, partition: Any) -> int | None: ...


class Reassigned(SamovarError):
    """Somebody else reads a partition now."""


@dataclass(slots=True, kw_only=True)
class KafkaReading(Reading):
    """And how many batches of all partitions are in functions at once, in provisioned mode."""

    gate: asyncio.Semaphore | None = None


class PartitionReader:
    """From `run` to its end."""

    def __init__(
        self,
        it: KafkaReading,
        consumer: Consumer,
        partition: Any,
        form: Form,
        before: asyncio.Task[None] | None = None,
    ) -> None:
        """`partition` is a TopicPartition; `before` has something of it in hand still."""
        self.name = place_of(partition.topic, partition.partition)
        self._it = it
        self._consumer = consumer
        self._partition = partition
        self._form = form
        self._before = before
        self._idling = Idling()
        self._in_hand: deque[int] = deque()  # offsets that were read and are not committed

    def stop(self) -> None:
        """Fetch nothing more, and try nothing again; what runs now may finish, and is committed."""
        self._idling.stop()

    async def run(self) -> None:
        """Read. Raises Reassigned, KafkaError, and whatever nobody foresaw."""
        it, idling = self._it, self._idling
        with idling.idle():
            await self._begin()
        while not idling.stopping:
            with idling.idle():
                first = await self._first()
                gate = it.gate or nullcontext()
                await gate.__aenter__()
            try:
                await self._read_on(first)
            finally:
                await gate.__aexit__(None, None, None)

    async def _read_on(self, first: StreamRecord) -> None:
        """A batch that begins with a record."""
        it, idling = self._it, self._idling
        with idling.idle():
            place = await it.place()
        try:
            with idling.idle():
                records = await self._fill(first, place)
            it.numbers.events["polled"] += len(records)
            self._in_hand.extend(int(record.key) for record in records)
            run = BatchRun(it, self.name, idling, self._passed, self._form)
            await run.run(records, place)
        finally:
            place.use()

    async def _begin(self) -> None:
        if self._before is not None:
            await asyncio.wait([self._before])
        committed = await self._consumer.committed(self._partition)
        if committed is not None:
            self._consumer.seek(self._partition, committed)

    # -- fetching

    async def _first(self) -> StreamRecord:
        """The next record, whenever it comes."""
        while True:
            found = await self._records(_QUIET_MS, 1)
            if found:
                return found[0]
            # The client says nothing of servers that are gone.
            async with asyncio.timeout(_ASKED):
                await self._consumer.end_offsets([self._partition])

    async def _fill(self, first: StreamRecord, place: Place) -> list[StreamRecord]:
        """As many as come within the window, fit, and belong into a batch. Who waits for more has
        no `place` meanwhile."""
        it, found, size = self._it, [first], len(first.text)
        until = it.clock.monotonic() + it.mapping.window
        while len(found) < it.mapping.batch_size and size < limits.SYNC_PAYLOAD_SIZE:
            most = it.mapping.batch_size - len(found)
            more = await self._records(0, most)
            if not more:
                left = until - it.clock.monotonic()
                if left <= 0:
                    break
                place.use()
                more = await self._records(max(1, int(left * 1000)), most)
            found += more
            size += sum(len(record.text) for record in more)
        return found

    async def _records(self, wait_ms: int, most: int) -> Sequence[StreamRecord]:
        found = await self._consumer.getmany(self._partition, timeout_ms=wait_ms, max_records=most)
        return [kafka_record(one) for one in found.get(self._partition, ())]

    # -- what is written down

    async def _passed(self, key: str) -> None:
        await insist(self._it, self._idling, self.name, lambda: self._commit(int(key) + 1))

    async def _commit(self, offset: int) -> None:
        from aiokafka import errors  # noqa: PLC0415

        consumer, numbers = self._consumer, self._it.numbers
        try:
            await consumer.commit({self._partition: offset})
        except (errors.CommitFailedError, errors.IllegalStateError) as error:
            raise Reassigned(f"{self.name} is read by somebody else: {error}") from error
        except errors.KafkaError as error:
            numbers.errors[type(error).__name__] += 1
            raise EngineError(f"the offset can't be committed: {error!r}") from error
        while self._in_hand and self._in_hand[0] < offset:
            self._in_hand.popleft()
            numbers.events["committed"] += 1
        end = consumer.highwater(self._partition)
        if end is not None:
            numbers.lags[self.name] = max(0, end - offset)
            if offset >= end:
                numbers.ages[self.name] = 0.0
