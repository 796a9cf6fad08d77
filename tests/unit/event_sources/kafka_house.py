"""A topic, a group and a function that are made up, for what reads them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndTimestamp
from tests.unit.event_sources.stream_house import FUNCTION, House

from samovar.event_sources.kafka_poller import KafkaPoller
from samovar.event_sources.partition_reader import KafkaReading
from samovar.event_sources.shard_batches import Dropped
from samovar.model.event_source import EventSourceMapping, StartingPosition

TOPIC = "t"


def at(partition: int) -> TopicPartition:
    return TopicPartition(TOPIC, partition)


class Record(NamedTuple):
    """As aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    timestamp: int = 0
    timestamp_type: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class PretendCluster:
    """A cluster, and a consumer of it: each connection is the same one. `refusals` are raised by
    the next connections, `commit_errors` by the next commits, `read_errors` by the next reads."""

    servers = "h:9092"

    def __init__(self, it: KafkaHouse, partitions: int) -> None:
        self.it = it
        self.kept: dict[TopicPartition, list[Record]] = {at(one): [] for one in range(partitions)}
        self.offsets: dict[TopicPartition, int] = {}
        self.positions: dict[TopicPartition, int] = {}
        self.times: dict[TopicPartition, int] = {}
        self.commits: list[dict[TopicPartition, int]] = []
        self.refusals: list[Exception] = []
        self.commit_errors: list[Exception] = []
        self.read_errors: list[Exception] = []
        self.connections = 0
        self.open = False
        self.listener: Any = None
        self._more = asyncio.Event()

    # -- as the cluster

    async def consumer(self) -> PretendCluster:
        if self.refusals:
            raise self.refusals.pop(0)
        self.connections += 1
        self.open = True
        return self

    async def problem_of(self, error: BaseException) -> str:
        return f"PROBLEM: {error}"

    async def close(self) -> None:
        """There is no producer."""

    # -- as the consumer

    async def topics(self) -> set[str]:
        return {TOPIC}

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        assert list(topics) == [TOPIC]
        self.listener = listener

    async def stop(self) -> None:
        self.open = False

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {one.partition for one in self.kept}

    async def committed(self, one: TopicPartition) -> int | None:
        return self.offsets.get(one)

    async def beginning_offsets(self, ones: Iterable[TopicPartition]) -> dict[Any, int]:
        return dict.fromkeys(ones, 0)

    async def end_offsets(self, ones: Iterable[TopicPartition]) -> dict[Any, int]:
        return {one: len(self.kept[one]) for one in ones}

    async def offsets_for_times(self, asked: dict[Any, int]) -> dict[Any, Any]:
        found = {one: self.times.get(one) for one in asked}
        return {
            one: None if offset is None else OffsetAndTimestamp(offset, asked[one])
            for one, offset in found.items()
        }

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.commit_errors:
            raise self.commit_errors.pop(0)
        assert self.open, "nobody is a member any more"
        self.commits.append(offsets)
        self.offsets |= offsets

    def seek(self, one: TopicPartition, offset: int) -> None:
        self.positions[one] = offset

    def highwater(self, one: TopicPartition) -> int:
        return len(self.kept[one])

    async def getmany(
        self, *ones: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        (one,) = ones
        until = self.it.clock.monotonic() + timeout_ms / 1000
        while True:
            if self.read_errors:
                raise self.read_errors.pop(0)
            begin = self.positions[one]
            found = self.kept[one][begin : begin + max_records]
            left = until - self.it.clock.monotonic()
            if found or left <= 0:
                self.positions[one] = begin + len(found)
                return {one: found} if found else {}
            timer = self.it.clock.call_later(left, self._more.set)
            try:
                await self._more.wait()
            finally:
                timer.cancel()
                self._more.clear()

    def put(self, partition: int, *texts: str) -> None:
        kept = self.kept[at(partition)]
        for text in texts:
            kept.append(Record(TOPIC, partition, len(kept), text.encode()))
        self._more.set()


class KafkaHouse(House):
    """With a topic of `partitions` partitions."""

    def __init__(self, partitions: int = 1, **mapping: Any) -> None:
        super().__init__()
        given = {
            "starting_position": StartingPosition.TRIM_HORIZON,
            "servers": ("h:9092",),
            "topic": TOPIC,
            **mapping,
        }
        self.mapping = EventSourceMapping("uuid", FUNCTION, "", **given)
        self.cluster = PretendCluster(self, partitions)
        self.placed: list[str] = []

    def reader(self) -> KafkaPoller:
        async def give_up(dropped: Dropped, mapping: EventSourceMapping, place: str) -> None:
            self.gone.append((dropped, place))

        reading = KafkaReading(
            mapping=self.mapping,
            passes=lambda record: True,
            admission=self,
            invoke=self.invoke,
            give_up=give_up,
            clock=self.clock,
            numbers=self.numbers,
        )
        return KafkaPoller(reading, self.cluster)  # type: ignore[arg-type]

    def invoke(self, mapping: EventSourceMapping, payload: bytes) -> asyncio.Future[Any]:
        ((place, records),) = json.loads(payload)["records"].items()
        texts = [base64.b64decode(record["value"]).decode() for record in records]
        self.placed.append(place)
        self.batches.append(texts)
        return asyncio.ensure_future(self._run(texts))

    async def assign(self, *partitions: int) -> None:
        await self.until(lambda: self.cluster.listener is not None)
        await self.cluster.listener.on_partitions_assigned({at(one) for one in partitions})
        await self.stands()

    def exchange(self, poller: KafkaPoller, **changes: Any) -> None:
        self.mapping = replace(self.mapping, **changes)
        poller.change(self.mapping, lambda record: True)
