"""A topic of Kafka that is read: by the engine for a function, and by loops that do what any reader
must: take what there is of a partition, and commit its offset; and what any must who has it be read
elsewhere.

Both have the same client (aiokafka), as many records in a batch, and a broker of their own beside
them. Reading is held, and not given up, while records are written: to join a group takes seconds.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.mock_broker import PARTITION, TOPIC
from benchmarks.source_subjects import ACCOUNT, Bare, Beside, Mapped

_BATCH = 100  # records that a mapping asks for if nothing is said
_WAIT_MS = 100  # of a look, as the engine's
_LOOKED = 1.0  # seconds
_LINE = 1 << 24  # bytes of an event, at most


class _Topic(Beside):
    """Of one partition that has records."""

    server = "benchmarks.mock_broker"

    async def start(self) -> dict[str, Any]:
        return {}

    async def fill(self, count: int) -> None:
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        print(count, file=stdin, flush=True)
        await asyncio.to_thread(stdout.readline)
        # A look that found nothing before is answered late, and is not what is measured.
        await asyncio.sleep(_LOOKED)


class BareMember(Bare, _Topic):
    """Takes and commits, and nothing else."""

    async def start(self) -> dict[str, Any]:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        self._partition = TopicPartition(TOPIC, PARTITION)
        self._consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=self.endpoint,
            group_id="g",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_WAIT_MS,
        )
        await self._consumer.start()
        self._opened.push_async_callback(self._consumer.stop)
        return {}

    async def read(self, count: int) -> None:
        consumer, partition = self._consumer, self._partition
        while count > 0:
            found = await consumer.getmany(partition, timeout_ms=_WAIT_MS, max_records=_BATCH)
            records = found.get(partition, ())
            if records:
                await self.run(records)
                await consumer.commit({partition: records[-1].offset + 1})
            count -= len(records)

    async def run(self, records: Sequence[Any]) -> None:
        """What is done with a batch."""


class PipedMember(BareMember):
    """Has each batch be read by another process, as JSON with values in base64, as handlers get it,
    and waits for its answer."""

    async def start(self) -> dict[str, Any]:
        self._worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.floors.batch_worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE,
        )
        assert self._worker.stdin is not None
        self._opened.push_async_callback(self._worker.wait)
        self._opened.callback(self._worker.stdin.close)
        return await super().start()

    async def run(self, records: Sequence[Any]) -> None:
        stdin, stdout = self._worker.stdin, self._worker.stdout
        assert stdin is not None
        assert stdout is not None
        found = [
            {
                "topic": TOPIC,
                "partition": PARTITION,
                "offset": one.offset,
                "timestamp": one.timestamp,
                "timestampType": "CREATE_TIME",
                "value": base64.b64encode(one.value).decode(),
                "headers": [],
            }
            for one in records
        ]
        event = {"eventSource": "SelfManagedKafka", "records": {f"{TOPIC}-{PARTITION}": found}}
        stdin.write(json.dumps(event).encode() + b"\n")
        await stdin.drain()
        await stdout.readline()


class SamovarMember(Mapped, _Topic):
    """Of a topic. In provisioned mode there is a gate, at which its reader can be held."""

    function, timeout = "member", 840  # at most
    gone = "committed"

    def settings(self) -> dict[str, Any]:
        return {"account_id": ACCOUNT}

    async def start(self) -> dict[str, Any]:
        from samovar.model.event_source import StartingPosition

        self._held = contextlib.AsyncExitStack()
        self.more = {
            "servers": (self.endpoint,),
            "topic": TOPIC,
            "access": (("VPC_SUBNET", "subnet:none"),),
            "batch_size": _BATCH,
            "window": 0.0,
            "starting_position": StartingPosition.TRIM_HORIZON,
            "least_pollers": 1,
            "most_pollers": 1,
        }
        return await super().start()

    async def hold(self) -> None:
        await self._held.enter_async_context(self.poller._it.gate)

    async def read(self, count: int) -> None:
        wanted = self.numbers[self.gone] + count
        await self._held.aclose()
        await self.until(wanted)
