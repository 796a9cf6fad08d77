"""Engines that read a topic of Kafka and die, one after the other:

    python -m tests.process.crashes.topic_nest DIRECTORY MOTO_URL --at commit:before --at send:after

Each life is killed where --at says (see `stream_points` and `TopicPoints`), and the last one works
off what is left. Prints a JSON document; the exit status is 0 if nothing was wrong. With --early an
offset is committed before its batch is run, which must be found.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiokafka
from tests.process.crashes import points
from tests.process.crashes.nest import Aim
from tests.process.crashes.stream_nest import BATCH, Checkpoints, StreamNest
from tests.process.crashes.stream_points import StreamPoints
from tests.process.crashes.topic_side import Topic

from samovar.engine import Engine
from samovar.event_sources import kafka
from samovar.event_sources.kafka_poller import KafkaPoller
from samovar.event_sources.partition_reader import PartitionReader
from samovar.model.event_source import StartingPosition

# A dead member keeps its partitions for as long; and the broker forgets one that waits to join,
# which takes 3 s, if its session is no longer than that.
_SESSION_MS, _HEARTBEAT_MS = 4500, 500


class TopicPoints(StreamPoints):
    """And those where offsets are committed."""

    def install(self) -> None:
        super().install()
        self.wrap(KafkaPoller, "_commit_starts", "starts")
        self.wrap(PartitionReader, "_commit", "commit")


class TopicNest(StreamNest):
    """Its checkpoints are the offsets of a consumer group. While it is an engine it knows them by
    what it commits: who dies while it asks a broker would leave an answer to the next life."""

    side: Topic

    def __init__(self, directory: Path, url: str, *, early: bool) -> None:
        super().__init__(directory, url, Topic(url), early=early)
        self._offsets: dict[str, int] = {}
        self._is_engine = False

    def checkpoints(self) -> Checkpoints:
        if not self._is_engine:
            self._offsets = self.side.committed()
        return {place: ("after", str(offset - 1)) for place, offset in self._offsets.items()}

    def hurry(self) -> None:
        self._is_engine = True
        kafka._SESSION_MS = _SESSION_MS
        consumer: Any = aiokafka.AIOKafkaConsumer
        quick = functools.partial(consumer, heartbeat_interval_ms=_HEARTBEAT_MS)
        aiokafka.AIOKafkaConsumer = quick
        commit = PartitionReader._commit

        async def committing(reader: PartitionReader, offset: int) -> None:
            await commit(reader, offset)
            self._offsets[reader.name] = offset

        PartitionReader._commit = committing  # type: ignore[method-assign]

    def install(self, aim: Aim | None) -> StreamPoints:
        passed = TopicPoints(aim, points.die, self.aim_file)
        passed.install()
        return passed

    async def read(self, engine: Engine) -> None:
        await engine.read_source(
            "f",
            servers=[self.side.server],
            topic=self.side.name,
            consumer_group=self.side.name,
            access=(("VPC_SUBNET", "subnet:none"),),
            batch_size=BATCH,
            window=0.0,
            starting_position=StartingPosition.TRIM_HORIZON,
            least_pollers=1,
            most_pollers=5,
            retries=1,
            bisect=True,
            on_failure=self.side.given_up,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("url")
    parser.add_argument("--at", action="append", required=True, help="a point; again and again")
    parser.add_argument("--early", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    nest = TopicNest(options.directory, options.url, early=options.early)
    try:
        unreached = [at for at in options.at if not nest.live((at, 1))]
        nest.live(None)
        nest.side.hear(nest.record)
    finally:
        nest.side.close()
    record = nest.record
    put = sum(map(len, record.put.values()))
    document = {
        "kills": len(options.at) - len(unreached),
        "unreached": unreached,
        "put": put,
        "again": sum(record.runs.values()) - put,
        "wrong": [*record.wrong, *record.missing()],
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(document, indent=1))
    return 1 if document["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
