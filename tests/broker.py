"""A broker of Kafka: librdkafka's mock cluster, which speaks the protocol over TCP in this process.
It knows nothing of passwords, of TLS, or of moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

PARTITIONS = 4  # of a topic
_PATIENCE = 20.0  # seconds


class Broker:
    """A cluster of one server."""

    def __init__(self) -> None:
        given = {"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0}
        self._producer = Producer(given)
        (server,) = self._producer.list_topics(timeout=_PATIENCE).brokers.values()
        self.server = f"{server.host}:{server.port}"
        # It connects to write: what is there from the start is no test's.
        self.create("first")
        for partition in range(PARTITIONS):
            self.put("first", "", partition=partition)

    def create(self, topic: str) -> None:
        """A topic comes to be when it is asked for."""
        self._producer.list_topics(topic, timeout=_PATIENCE)

    def put(self, topic: str, *values: str | None, partition: int = 0, **more: Any) -> None:
        """Write records into a partition."""
        for value in values:
            self._producer.produce(topic, value=value, partition=partition, **more)
        assert self._producer.flush(_PATIENCE) == 0

    def committed(self, topic: str, group: str, partition: int = 0) -> int:
        """A group's offset; negative for none."""
        with self._consumer(group) as consumer:
            found = consumer.committed([TopicPartition(topic, partition)], timeout=_PATIENCE)
        return int(found[0].offset)

    def read(self, topic: str, count: int) -> Sequence[Message]:
        """The first records of a topic, whatever group has read them."""
        found: list[Message] = []
        with self._consumer("reader") as consumer:
            consumer.assign([TopicPartition(topic, at, 0) for at in range(PARTITIONS)])
            while len(found) < count:
                message = consumer.poll(_PATIENCE)
                assert message is not None, f"{len(found)} of {count} records of {topic}"
                found.append(message)
        return found

    @contextmanager
    def _consumer(self, group: str) -> Iterator[Consumer]:
        consumer = Consumer({"bootstrap.servers": self.server, "group.id": group, "log_level": 0})
        try:
            yield consumer
        finally:
            consumer.close()

    def close(self) -> None:
        """The cluster ends with its producer."""
        self._producer.flush(_PATIENCE)
        del self._producer
