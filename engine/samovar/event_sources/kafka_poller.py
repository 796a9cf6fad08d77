"""Reads one topic of Kafka for one mapping, in its consumer group: a reader for each partition that
the group gives to this engine.

Where a partition is read for the first time is settled before anything is read, and committed: what
comes while nobody reads is read later, wherever the mapping began. A partition that is added to a
topic is read from its start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from samovar.event_sources.filtering import Passes
from samovar.event_sources.kafka import Cluster, TopicMissing, let_go_of
from samovar.event_sources.kafka_records import form_of, place_of
from samovar.event_sources.partition_reader import KafkaReading, PartitionReader, Reassigned
from samovar.event_sources.seldom import Seldom
from samovar.event_sources.shard_batches import backoff
from samovar.model.event_source import EventSourceMapping, StartingPosition

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

_log = logging.getLogger(__name__)

_HANDOVER = 20.0  # seconds that a batch gets to end in, when its partition is asked for


class KafkaPoller:
    """The readers of one mapping, from `start` to `stop`; `change` has them go on with another form
    of it. It is told of partitions as a ConsumerRebalanceListener of aiokafka's is."""

    def __init__(self, it: KafkaReading, cluster: Cluster) -> None:
        self._it = it
        self._cluster = cluster
        self._consumer: AIOKafkaConsumer | None = None
        self._readers: dict[Any, tuple[PartitionReader, asyncio.Task[None]]] = {}
        self._running: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._again = asyncio.Event()  # connect anew
        self._error: BaseException | None = None  # why
        self._failures = 0
        self._seldom = Seldom(it.clock)
        self._stopping = False
        self._problem = ""
        self._limit()

    @property
    def pollers(self) -> int:
        """How many readers there are now."""
        return len(self._readers)

    @property
    def result(self) -> str:
        """AWS's LastProcessingResult."""
        return self._problem or self._it.result

    async def start(self) -> None:
        """Begin to read. Raises nothing; who can't be reached is tried again."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    def change(self, mapping: EventSourceMapping, passes: Passes) -> None:
        """Read for another form of the mapping, of the same topic."""
        before, self._it.mapping = self._it.mapping, mapping
        self._it.passes = passes
        self._cluster.mapping = mapping
        self._limit()
        if mapping.access != before.access:
            self._again.set()

    def pause(self) -> None:
        """Fetch nothing more, and try nothing again."""
        self._stopping = True
        self._again.set()
        for reader, _ in self._readers.values():
            reader.stop()

    async def stop(self) -> None:
        """Fetch nothing more, and let what runs be committed; idempotent."""
        self.pause()
        if self._running is not None:
            await asyncio.wait([self._running])

    def cancel(self) -> None:
        """Leave what is in hand as it is: it is read again."""
        self.pause()
        for _, task in self._readers.values():
            task.cancel()
        if self._running is not None:
            self._running.cancel()

    def _limit(self) -> None:
        most = self._it.mapping.most_pollers
        self._it.gate = None if most is None else asyncio.Semaphore(most)

    # -- the connection

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._read()
            except Exception as error:
                await self._failed(error)
        await self._cluster.close()

    async def _read(self) -> None:
        """Be a member of the group until that is over. Raises what ended it."""
        self._again.clear()
        self._error = None
        consumer = self._consumer = await self._cluster.consumer()
        try:
            topic = self._it.mapping.topic
            if topic not in await consumer.topics():
                raise TopicMissing(f"The topic {topic} is not there")  # unconfirmed
            consumer.subscribe([topic], listener=_listener(self))
            await self._again.wait()
        finally:
            await self._let_go(list(self._readers))
            await let_go_of(consumer)
        if self._error is not None:
            raise self._error

    async def _failed(self, error: Exception) -> None:
        it = self._it
        it.numbers.errors[type(error).__name__] += 1
        self._problem = await self._cluster.problem_of(error)
        if self._seldom.is_due():
            _log.error(
                "the topic %s of %s can't be read for %s, and is tried again: %s: %r",
                *(it.mapping.topic, it.mapping.source_name, it.mapping.function_arn),
                *(self._problem, error),
            )
        self._failures += 1
        self._again.clear()
        timer = it.clock.call_later(backoff(self._failures), self._again.set)
        try:
            if not self._stopping:
                await self._again.wait()
        finally:
            timer.cancel()

    # -- partitions

    async def revoked(self, partitions: Iterable[Any]) -> None:
        """Somebody else may read these from now on."""
        await self._let_go(partitions)

    async def assigned(self, partitions: Iterable[Any]) -> None:
        """Read these. Returns at once: aiokafka swallows what is raised here."""
        await self._end_settling()
        settle = self._settle(list(partitions))
        self._settling = asyncio.get_running_loop().create_task(settle)

    async def _settle(self, partitions: list[Any]) -> None:
        """Commit where those begin that nobody has read yet, and have all be read."""
        consumer = self._consumer
        assert consumer is not None
        try:
            await self._commit_starts(consumer, partitions)
        except Exception as error:
            self._over(error)
            return
        self._failures = 0
        self._problem = ""
        for one in partitions:
            before = self._readers.get(one)
            place = place_of(one.topic, one.partition)
            form = form_of(self._it.mapping, self._cluster.servers, place)
            reader = PartitionReader(
                self._it, consumer, one, form, None if before is None else before[1]
            )
            task = asyncio.get_running_loop().create_task(reader.run())
            self._readers[one] = reader, task
            task.add_done_callback(partial(self._ended, one))

    async def _commit_starts(self, consumer: AIOKafkaConsumer, partitions: list[Any]) -> None:
        fresh = [one for one in partitions if await consumer.committed(one) is None]
        if not fresh:
            return
        mapping = self._it.mapping
        begun = len(fresh) < len(partitions) or await self._is_begun(consumer, partitions)
        position = mapping.starting_position
        if begun or position is StartingPosition.TRIM_HORIZON:
            starts = dict(await consumer.beginning_offsets(fresh))
        else:
            starts = dict(await consumer.end_offsets(fresh))
            if position is StartingPosition.AT_TIMESTAMP:
                assert mapping.starting_at is not None
                at = int(mapping.starting_at * 1000)
                found = await consumer.offsets_for_times(dict.fromkeys(fresh, at))
                starts |= {one: place.offset for one, place in found.items() if place is not None}
        await consumer.commit(starts)

    async def _is_begun(self, consumer: AIOKafkaConsumer, partitions: list[Any]) -> bool:
        """Whether the group has read others of the topic."""
        topic, kind = partitions[0].topic, type(partitions[0])
        others = [kind(topic, at) for at in consumer.partitions_for_topic(topic) or ()]
        committed = [await consumer.committed(one) for one in others if one not in partitions]
        return any(one is not None for one in committed)

    async def _end_settling(self) -> None:
        settling, self._settling = self._settling, None
        if settling is not None:
            settling.cancel()
            await asyncio.wait([settling])

    async def _let_go(self, partitions: Iterable[Any]) -> None:
        """Have readers end; what takes longer goes on, and its partition is read after it."""
        await self._end_settling()
        ending = []
        for one in partitions:
            if one in self._readers:
                reader, task = self._readers[one]
                reader.stop()
                ending.append(task)
        if ending:
            await asyncio.wait(ending, timeout=None if self._stopping else _HANDOVER)

    def _ended(self, partition: Any, task: asyncio.Task[None]) -> None:
        reader, present = self._readers.get(partition, (None, None))
        if reader is not None and present is task:
            del self._readers[partition]
            self._it.numbers.lags.pop(reader.name, None)
            self._it.numbers.ages.pop(reader.name, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Reassigned):
            _log.info("%s: %s", self._it.mapping.source_name, error)
        elif error is not None:
            self._over(error)

    def _over(self, error: BaseException) -> None:
        """Connect anew."""
        if self._error is None:
            self._error = error
        self._again.set()


def _listener(poller: KafkaPoller) -> Any:
    """What aiokafka tells of partitions."""
    from aiokafka.abc import ConsumerRebalanceListener  # noqa: PLC0415

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
        async def on_partitions_revoked(self, revoked: set[Any]) -> None:
            await poller.revoked(revoked)

        async def on_partitions_assigned(self, assigned: set[Any]) -> None:
            await poller.assigned(assigned)

    return Listener()
