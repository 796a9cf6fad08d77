"""The topic of the killed engines, in a broker that outlives them: a process of its own, as a nest
forks, and a client of Kafka has threads.

    python -m tests.process.crashes.topic_side TOPIC GROUP

Says where the broker is, and then answers lines of JSON: texts by partition are written into the
topic; nothing asks for the group's offsets by partition.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

from tests.broker import Broker
from tests.process.crashes.stream_record import StreamRecord
from tests.process.crashes.stream_sides import KEYS, Side
from tests.process.programs import environment

PARTITIONS = 2


class Topic(Side):
    kind = "kafka"

    def create(self) -> str:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.crashes.topic_side", self.name, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.processes = {self._process.pid}
        self.server = self._answer()
        self._next: Counter[int] = Counter()
        return ""

    def put(self, record: StreamRecord) -> None:
        texts: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
        for key, number in self.texts():
            partition, text = KEYS.index(key) % PARTITIONS, f"{key}/{number}"
            texts[partition].append(text)
            record.add(text)
            record.places[f"{self.name}-{partition}", str(self._next[partition])] = text
            self._next[partition] += 1
        self._ask(texts)

    def committed(self) -> dict[str, int]:
        """The group's offsets; those that are there."""
        found = self._ask({})
        return {f"{self.name}-{at}": offset for at, offset in found.items() if offset >= 0}

    def told(self, letter: dict[str, Any]) -> tuple[str, int, int]:
        ((place, info),) = letter["KafkaBatchInfo"]["recordsInfo"].items()
        return place, int(info["firstRecordOffset"]), int(info["lastRecordOffset"])

    def close(self) -> None:
        """The broker ends with what it is told."""
        self._process.communicate()

    def _ask(self, said: object) -> Any:
        assert self._process.stdin is not None
        print(json.dumps(said), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def main() -> None:
    topic, group = sys.argv[1:]
    broker = Broker()
    broker.create(topic)
    print(json.dumps(broker.server), flush=True)
    for line in sys.stdin:
        texts = json.loads(line)
        for partition, those in texts.items():
            broker.put(topic, *those, partition=int(partition))
        found = (
            {} if texts else {at: broker.committed(topic, group, at) for at in range(PARTITIONS)}
        )
        print(json.dumps(found), flush=True)
    broker.close()


if __name__ == "__main__":
    main()
