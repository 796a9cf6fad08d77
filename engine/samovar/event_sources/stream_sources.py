"""What readers of streams are made of, and where they write how far they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from samovar.clock import Clock
from samovar.errors import EngineError
from samovar.event_sources.admission import Admission
from samovar.event_sources.dynamodb import DynamoDbStream
from samovar.event_sources.failures import Failures, Known
from samovar.event_sources.filtering import Passes
from samovar.event_sources.kinesis import KinesisStream
from samovar.event_sources.reading import Invoke, StreamReading
from samovar.event_sources.shard_batches import Dropped
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.stream_records import event_of, failure_info
from samovar.event_sources.streams import Stream
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping, Source, SourceKind
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.stores.leases import LeaseStore
from samovar.stores.reopened_leases import ReopenedLeases

_log = logging.getLogger(__name__)

_KINDS: Mapping[SourceKind, Callable[[AsyncNeighbours, Source, Callable[[], Caller]], Stream]] = {
    SourceKind.KINESIS: KinesisStream,
    SourceKind.DYNAMODB: DynamoDbStream,
}


class StreamSources:
    """Makes pollers of streams. The leases are opened when they are first needed, and again after
    they failed."""

    def __init__(  # noqa: PLR0917 - the parts in the order in which a batch meets them
        self,
        neighbours: AsyncNeighbours,
        admission: Admission,
        invoke: Invoke,
        leases: LeaseStore,
        failures: Failures,
        clock: Clock,
        time_scale: float,
        mappings: Callable[[], Collection[str]],
        *,
        node: str,
    ) -> None:
        """`mappings`: the UUIDs of all that there are; of others no leases are kept."""
        self._neighbours = neighbours
        self._admission = admission
        self._invoke = invoke
        self._leases = ReopenedLeases(leases, mappings)
        self._failures = failures
        self._clock = clock
        self._node = node
        self._time_scale = time_scale
        self._tidying: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have leases be deleted that were left over."""
        if self._leases.exists():
            self._tidying = asyncio.get_running_loop().create_task(self._tidy())

    async def demand(self, source: Source, caller: Caller) -> None:
        """Raise ClientError unless a stream is there, and its role may read it."""
        await self._stream(source, lambda: caller).demand_readable()

    def poller(
        self,
        mapping: EventSourceMapping,
        passes: Passes,
        numbers: SourceNumbers,
        caller: Callable[[], Caller],
    ) -> StreamPoller:
        """One that has not begun yet."""
        known = Known(caller)

        async def give_up(dropped: Dropped, mapping: EventSourceMapping, shard: str) -> None:
            info = failure_info(dropped, mapping, shard)
            event = event_of(dropped, mapping, shard)
            await self._failures.tell(dropped, mapping, shard, info, event, known.last)

        reading = StreamReading(
            mapping=mapping,
            passes=passes,
            admission=self._admission,
            invoke=self._invoke,
            give_up=give_up,
            clock=self._clock,
            numbers=numbers,
            time_scale=self._time_scale,
            stream=self._stream(mapping.source, known.now),
            leases=self._leases,
        )
        return StreamPoller(reading, self._node)

    async def forget(self, mapping: EventSourceMapping) -> None:
        """Keep nothing of how far a mapping has come. Raises EngineError."""
        await self._leases.forget(mapping.uuid)

    async def close(self) -> None:
        """Let go of the leases; idempotent."""
        await self._leases.close()
        if self._tidying is not None:
            await asyncio.wait([self._tidying])

    async def _tidy(self) -> None:
        try:
            await self._leases.open()
        except EngineError as error:
            _log.warning("leases that are not needed any more may be left over: %s", error)

    def _stream(self, source: Source, caller: Callable[[], Caller]) -> Stream:
        return _KINDS[source.kind](self._neighbours, source, caller)
