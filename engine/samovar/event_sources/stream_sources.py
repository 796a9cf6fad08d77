"""What readers of streams are made of, and where they write how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from samovar.clock import Clock
from samovar.event_sources.admission import Admission
from samovar.event_sources.dynamodb import DynamoDbStream
from samovar.event_sources.failures import Failures
from samovar.event_sources.kinesis import KinesisStream
from samovar.event_sources.reading import Invoke, Passes, StreamReading
from samovar.event_sources.shard_batches import Dropped
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.stream_records import event_of, failure_info
from samovar.event_sources.streams import Stream
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping, Source, SourceKind
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.stores.leases import LeaseStore

_KINDS: Mapping[SourceKind, Callable[[AsyncNeighbours, Source, Callable[[], Caller]], Stream]] = {
    SourceKind.KINESIS: KinesisStream,
    SourceKind.DYNAMODB: DynamoDbStream,
}


class StreamSources:
    """Makes pollers of streams. The leases are opened when they are first needed."""

    def __init__(  # noqa: PLR0917 - the parts in the order in which a batch meets them
        self,
        neighbours: AsyncNeighbours,
        admission: Admission,
        invoke: Invoke,
        leases: LeaseStore,
        failures: Failures,
        clock: Clock,
        time_scale: float,
        *,
        node: str,
    ) -> None:
        self._neighbours = neighbours
        self._admission = admission
        self._invoke = invoke
        self._leases = leases
        self._failures = failures
        self._clock = clock
        self._node = node
        self._time_scale = time_scale
        self._opening = asyncio.Lock()
        self._opened = False

    async def demand(self, source: Source, caller: Caller) -> None:
        """Raise ClientError unless a stream is there, and its role may read it."""
        await self._stream(source, lambda: caller).demand_readable()

    async def poller(
        self,
        mapping: EventSourceMapping,
        passes: Passes,
        numbers: SourceNumbers,
        caller: Callable[[], Caller],
    ) -> StreamPoller:
        """One that has not begun yet. Raises EngineError if leases can't be written."""
        await self._open()

        async def give_up(dropped: Dropped, mapping: EventSourceMapping, shard: str) -> None:
            info = failure_info(dropped, mapping, shard)
            event = event_of(dropped, mapping, shard)
            await self._failures.tell(dropped, mapping, shard, info, event, caller)

        reading = StreamReading(
            mapping=mapping,
            passes=passes,
            admission=self._admission,
            invoke=self._invoke,
            give_up=give_up,
            clock=self._clock,
            numbers=numbers,
            time_scale=self._time_scale,
            stream=self._stream(mapping.source, caller),
            leases=self._leases,
        )
        return StreamPoller(reading, self._node)

    async def forget(self, mapping: EventSourceMapping) -> None:
        """Keep nothing of how far a mapping has come."""
        await self._open()
        await self._leases.forget(mapping.uuid)

    async def close(self) -> None:
        """Let go of the leases; idempotent."""
        async with self._opening:
            if self._opened:
                self._opened = False
                await self._leases.close()

    async def _open(self) -> None:
        async with self._opening:
            if not self._opened:
                await self._leases.open()
                self._opened = True

    def _stream(self, source: Source, caller: Callable[[], Caller]) -> Stream:
        return _KINDS[source.kind](self._neighbours, source, caller)
