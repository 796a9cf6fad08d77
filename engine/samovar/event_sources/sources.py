"""All mappings that are read, and who reads them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Protocol

from samovar.clock import Clock
from samovar.errors import ClientError, EngineError
from samovar.event_sources import filtering
from samovar.event_sources.admission import Admission
from samovar.event_sources.failures import Deliver, Failures
from samovar.event_sources.filtering import FilterSet, Passes
from samovar.event_sources.invoking import BatchInvoker
from samovar.event_sources.kafka_poller import KafkaPoller
from samovar.event_sources.kafka_sources import KafkaSources
from samovar.event_sources.reading import NOTHING
from samovar.event_sources.sqs import Queue
from samovar.event_sources.sqs_fetching import QueueReading
from samovar.event_sources.sqs_poller import SqsPoller
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.stream_sources import StreamSources
from samovar.invocation.shares import Busy, busy_threads
from samovar.metrics.event_sources import SourceNumbers
from samovar.metrics.prometheus import PrometheusObserver
from samovar.model.event_source import EventSourceMapping, SourceKind
from samovar.model.function import FunctionVersion
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.registry.functions import FunctionRegistry
from samovar.registry.kafka_rules import check_timeout
from samovar.scheduler.driver import Scheduler
from samovar.settings import Settings
from samovar.stores.leases import LeaseStore

_log = logging.getLogger(__name__)

# Seconds that what was invoked gets to be deleted when the engine stops; longer than a poll.
GRACE = 5.0
_READ_TIMEOUT = 30.0  # seconds without a byte: much longer than a poll is quiet
_CONNECTIONS = 1000  # a poller has one while it waits
_TIMEOUT = 3  # seconds, Lambda's default, while there is no function
_FILTERED = {
    SourceKind.SQS: filtering.Source.SQS,
    SourceKind.KINESIS: filtering.Source.KINESIS,
    SourceKind.DYNAMODB: filtering.Source.DYNAMODB,
    SourceKind.MSK: filtering.Source.KAFKA,
    SourceKind.KAFKA: filtering.Source.KAFKA,
}


class Poller(Protocol):
    """What reads one mapping's source; see `SqsPoller` and `StreamPoller`."""

    @property
    def pollers(self) -> int: ...

    def change(self, mapping: EventSourceMapping, passes: Passes) -> None: ...

    def pause(self) -> None: ...

    async def stop(self) -> None: ...

    def cancel(self) -> None: ...


class EventSources:
    """Part of the registry as its mappings' `Follower`; one per engine."""

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        settings: Settings,
        registry: FunctionRegistry,
        scheduler: Scheduler,
        clock: Clock,
        metrics: PrometheusObserver,
        leases: LeaseStore,
        deliver: Deliver,
        *,
        node: str,
        busy: Busy = busy_threads,
    ) -> None:
        """`leases` are opened here, if there are any or a stream is to be read; `deliver` sends
        what tells of records that were given up; `node` is the id that leases carry."""
        self._registry = registry
        self._clock = clock
        self._numbers: dict[str, SourceNumbers] = {}
        self._results: dict[str, str] = {}  # of mappings that were read, and are not now
        metrics.watch_sources(self.numbers)
        self._neighbours = AsyncNeighbours(
            settings, clock.wall, read_timeout=_READ_TIMEOUT, connections=_CONNECTIONS
        )
        self._admission = Admission(scheduler, clock)
        self._invoker = BatchInvoker(
            *(registry.resolve, scheduler, clock),
            *(registry.recursion.get, metrics.recursion_stopped),
        )
        failures = Failures(deliver, clock, node=node, time_scale=settings.time_scale)
        self._kafka = KafkaSources(
            self._neighbours,
            self._admission,
            self._invoker.invoke,
            failures,
            clock,
            settings.time_scale,
        )
        self._streams = StreamSources(
            self._neighbours,
            self._admission,
            self._invoker.invoke,
            leases,
            failures,
            clock,
            settings.time_scale,
            registry.event_sources.uuids,
            node=node,
        )
        processors = len(os.sched_getaffinity(0))
        self._busy = lambda: busy() >= processors
        self._pollers: dict[str, Poller] = {}
        self._closed = False

    def start(self) -> None:
        """Follow the mappings that there are, and those to come."""
        # Deliveries of an earlier life may arrive before their mappings are read again.
        for mapping in self._registry.event_sources.all():
            self._numbers[mapping.uuid] = SourceNumbers()
        self._streams.start()
        self._registry.event_sources.follower = self
        self._registry.event_sources.resume()

    def pause(self) -> None:
        """Fetch nothing more."""
        self._closed = True
        for poller in self._pollers.values():
            poller.pause()

    async def stop(self) -> None:
        """Let what was invoked be deleted, and let go of everything; idempotent."""
        self.pause()
        pollers = list(self._pollers.values())
        ending = [asyncio.ensure_future(poller.stop()) for poller in pollers]
        if ending:
            await asyncio.wait(ending, timeout=GRACE)
            for poller in pollers:
                poller.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        self._pollers.clear()
        self._admission.close()
        await self._streams.close()
        await self._neighbours.close()

    def numbers(self) -> Mapping[str, SourceNumbers]:
        """What is counted of each mapping, by its UUID, now."""
        for uuid, numbers in list(self._numbers.items()):
            poller = self._pollers.get(uuid)
            numbers.pollers = 0 if poller is None else poller.pollers
        return self._numbers

    # -- part of `Follower`

    async def demand(self, mapping: EventSourceMapping, function: FunctionVersion) -> None:
        """Raise ClientError unless the filters are patterns, the source is there, and the function
        may read it."""
        FilterSet.compile(mapping.filters).check_for(_FILTERED[mapping.source.kind])
        configuration = function.configuration
        caller = Caller(configuration.role, function.name)
        if mapping.source.is_stream:
            await self._streams.demand(mapping.source, caller)
            return
        if mapping.source.is_kafka:
            check_timeout(configuration.timeout)
            await self._kafka.demand(mapping, caller)
            return
        queue = Queue(self._neighbours, mapping.source, lambda: caller)
        await queue.demand_readable(configuration.timeout)

    async def follow(self, mapping: EventSourceMapping) -> None:
        """Have a mapping be read, or not be read, as it says."""
        if not mapping.enabled or self._closed:
            await self._end(mapping)
            return
        before = self._pollers.get(mapping.uuid)
        if before is not None:
            before.change(mapping, _passes(mapping))
            self._admission.look_again()
        elif mapping.source.is_stream:
            await self._read_stream(mapping)
        elif mapping.source.is_kafka:
            await self._read_topic(mapping)
        else:
            self._read_queue(mapping)

    async def _read_stream(self, mapping: EventSourceMapping) -> None:
        uuid = mapping.uuid
        numbers = self._numbers.setdefault(uuid, SourceNumbers())
        poller = self._streams.poller(
            mapping, _passes(mapping), numbers, lambda: self._caller(uuid)
        )
        self._pollers[uuid] = poller
        await poller.start()

    async def _read_topic(self, mapping: EventSourceMapping) -> None:
        uuid = mapping.uuid
        numbers = self._numbers.setdefault(uuid, SourceNumbers())
        poller = self._kafka.poller(mapping, _passes(mapping), numbers, lambda: self._caller(uuid))
        self._pollers[uuid] = poller
        await poller.start()

    def _read_queue(self, mapping: EventSourceMapping) -> None:
        uuid = mapping.uuid
        reading = QueueReading(
            mapping=mapping,
            passes=_passes(mapping),
            queue=Queue(self._neighbours, mapping.source, lambda: self._caller(uuid)),
            admission=self._admission,
            invoke=self._invoker.invoke,
            stops=self._invoker.stops,
            clock=self._clock,
            numbers=self._numbers.setdefault(uuid, SourceNumbers()),
            busy=self._busy,
            timeout=lambda: self._timeout(uuid),
        )
        poller = self._pollers[uuid] = SqsPoller(reading)
        poller.start()

    async def leave(self, mapping: EventSourceMapping) -> None:
        """Read it no more; returns when what was in hand is over."""
        await self._end(mapping)
        self._numbers.pop(mapping.uuid, None)
        self._results.pop(mapping.uuid, None)
        if mapping.source.is_stream and not self._closed:
            try:
                await self._streams.forget(mapping)
            except EngineError as error:  # nobody asks for a UUID again
                _log.warning("the leases of %s are left over: %s", mapping.uuid, error)

    def last_result(self, mapping: EventSourceMapping) -> str | None:
        """Queues have none. That of a mapping that is disabled, and of one that was enabled again
        until something was processed, is the last one before."""
        if mapping.source.kind is SourceKind.SQS:
            return None
        poller, found = self._pollers.get(mapping.uuid), NOTHING
        if isinstance(poller, StreamPoller | KafkaPoller):
            found = poller.result
        return self._results.get(mapping.uuid, NOTHING) if found == NOTHING else found

    async def _end(self, mapping: EventSourceMapping) -> None:
        poller = self._pollers.get(mapping.uuid)
        if poller is not None:
            await poller.stop()
            self._results[mapping.uuid] = self.last_result(mapping) or NOTHING
            self._pollers.pop(mapping.uuid, None)

    def _caller(self, mapping_uuid: str) -> Caller:
        """Raises ClientError once the function is deleted: nothing can be read for it, then."""
        version = self._function(mapping_uuid)
        return Caller(version.configuration.role, version.name)

    def _timeout(self, mapping_uuid: str) -> int:
        try:
            return self._function(mapping_uuid).configuration.timeout
        except ClientError:
            return _TIMEOUT

    def _function(self, mapping_uuid: str) -> FunctionVersion:
        """What a mapping names now."""
        mapping = self._registry.event_sources.get(mapping_uuid).mapping
        return self._registry.get(mapping.function_name, mapping.qualifier)


def _passes(mapping: EventSourceMapping) -> Passes:
    filters, kind = FilterSet.compile(mapping.filters), _FILTERED[mapping.source.kind]
    return lambda record: filters.matches_record(record, kind)
