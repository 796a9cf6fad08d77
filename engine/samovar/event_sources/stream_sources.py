"""What readers of streams are made of, and where they write how far they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from samovar.clock import Clock
from samovar.errors import ClientError
from samovar.event_sources.admission import Admission
from samovar.event_sources.dynamodb import DynamoDbStream
from samovar.event_sources.kinesis import KinesisStream
from samovar.event_sources.reading import Invoke, Passes, Reading
from samovar.event_sources.shard_batches import Dropped
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.stream_records import failure_delivery
from samovar.event_sources.streams import Stream
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping, Source, SourceKind
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.stores.invoke_queue import Item
from samovar.stores.leases import LeaseStore

_log = logging.getLogger(__name__)

_KINDS: Mapping[SourceKind, Callable[[AsyncNeighbours, Source, Callable[[], Caller]], Stream]] = {
    SourceKind.KINESIS: KinesisStream,
    SourceKind.DYNAMODB: DynamoDbStream,
}

Deliver = Callable[[Item], Awaitable[None]]
"""Has a delivery be sent; returns when it is durable."""


class StreamSources:
    """Makes pollers of streams. The leases are opened when they are first needed."""

    def __init__(  # noqa: PLR0917 - the parts in the order in which a batch meets them
        self,
        neighbours: AsyncNeighbours,
        admission: Admission,
        invoke: Invoke,
        leases: LeaseStore,
        deliver: Deliver,
        clock: Clock,
        *,
        node: str,
        time_scale: float,
    ) -> None:
        self._neighbours = neighbours
        self._admission = admission
        self._invoke = invoke
        self._leases = leases
        self._deliver = deliver
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
            await self._give_up(dropped, mapping, shard, caller)

        reading = Reading(
            mapping,
            passes,
            self._stream(mapping.source, caller),
            self._admission,
            self._invoke,
            give_up,
            self._leases,
            self._clock,
            numbers,
            self._time_scale,
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

    async def _give_up(
        self,
        dropped: Dropped,
        mapping: EventSourceMapping,
        shard: str,
        caller: Callable[[], Caller],
    ) -> None:
        """Tell the mapping's destination, with the rights of the function's role."""
        try:
            role = caller().role
        except ClientError as error:
            _log.warning(
                "nobody is told of %d records of the shard %s of %s that were given up: %s",
                *(len(dropped.piece.records), shard, mapping.source_arn, error),
            )
            return
        now = self._clock.wall()
        await self._deliver(
            failure_delivery(dropped, mapping, shard, role, now, self._node, self._time_scale)
        )
