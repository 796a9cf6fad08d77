"""What readers of Kafka are made of."""

from __future__ import annotations

from collections.abc import Callable

from samovar.clock import Clock
from samovar.errors import EngineError
from samovar.event_sources.failures import Failures, Known
from samovar.event_sources.filtering import Passes
from samovar.event_sources.kafka import Cluster
from samovar.event_sources.kafka_poller import KafkaPoller
from samovar.event_sources.kafka_records import failure_info, failure_messages, form_of
from samovar.event_sources.partition_reader import KafkaReading
from samovar.event_sources.reading import Invoke, Places
from samovar.event_sources.shard_batches import Dropped
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.registry.kafka_rules import TOPIC_DESTINATION


class KafkaSources:
    """Makes pollers of topics."""

    def __init__(  # noqa: PLR0917 - the parts in the order in which a batch meets them
        self,
        neighbours: AsyncNeighbours,
        admission: Places,
        invoke: Invoke,
        failures: Failures,
        clock: Clock,
        time_scale: float,
    ) -> None:
        self._neighbours = neighbours
        self._admission = admission
        self._invoke = invoke
        self._failures = failures
        self._clock = clock
        self._time_scale = time_scale

    async def demand(self, mapping: EventSourceMapping, caller: Caller) -> None:
        """Raise ClientError unless the role may see what it needs to connect."""
        await Cluster(self._neighbours, mapping, lambda: caller).demand_readable()

    def poller(
        self,
        mapping: EventSourceMapping,
        passes: Passes,
        numbers: SourceNumbers,
        caller: Callable[[], Caller],
    ) -> KafkaPoller:
        """One that has not begun yet."""
        known = Known(caller)
        cluster = Cluster(self._neighbours, mapping, known.now)

        async def give_up(dropped: Dropped, mapping: EventSourceMapping, place: str) -> None:
            form, target = form_of(mapping, cluster.servers, place), mapping.on_failure or ""
            if target.startswith(TOPIC_DESTINATION):
                now = self._clock.wall()
                messages = failure_messages(dropped, mapping, cluster.servers, form, now)
                try:
                    await cluster.tell(target.removeprefix(TOPIC_DESTINATION), messages)
                except EngineError:
                    numbers.delivery_errors["kafka"] += 1
                    raise
                numbers.events["delivered"] += len(messages)
                return
            event = form.event(dropped.piece.records)
            info = failure_info(dropped, mapping, cluster.servers, place, len(event))
            await self._failures.tell(dropped, mapping, place, info, event, known.last)

        reading = KafkaReading(
            mapping=mapping,
            passes=passes,
            admission=self._admission,
            invoke=self._invoke,
            give_up=give_up,
            clock=self._clock,
            numbers=numbers,
            time_scale=self._time_scale,
        )
        return KafkaPoller(reading, cluster)
