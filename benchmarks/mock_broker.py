"""A broker of Kafka for `topic_subjects`: librdkafka's mock cluster. Says where it is; each line
that it reads is how many records are to be written into the topic, and is said again when they
are."""

from __future__ import annotations

import sys

TOPIC = "t"
PARTITION = 0
_PATIENCE = 20.0  # seconds
_MANY = 10_000  # records that a producer holds, which has room for ten times as many


def main() -> None:
    from confluent_kafka import Producer

    given = {"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0}
    producer = Producer(given)
    (server,) = producer.list_topics(TOPIC, timeout=_PATIENCE).brokers.values()
    print(f"{server.host}:{server.port}", flush=True)
    for line in sys.stdin:
        count = int(line)
        for number in range(count):
            producer.produce(TOPIC, value=f"record {number}", partition=PARTITION)
            if number % _MANY == 0:
                producer.flush(_PATIENCE)
        producer.flush(_PATIENCE)
        print(count, flush=True)


if __name__ == "__main__":
    main()
