"""A stream of Kinesis that is read: by the engine for a function, and by a loop that does what any
reader must: GetRecords, and its place on the disk after each batch.

Both ask for as many records at once, and look as often at a shard that has no more: far more often
than AWS's once a second, which would be all that there is to be seen.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.source_subjects import ACCOUNT, Bare, Beside, Mapped

_PAUSE = 0.02  # seconds between two looks
_MANY = 500  # records in a request (PutRecords)
_BATCH = 100  # records that a mapping asks for if nothing is said
_NAME = "s"


class _Stream(Beside):
    """Of one shard."""

    service = "kinesis"

    async def make(self) -> None:
        await self.client.create_stream(StreamName=_NAME, ShardCount=1)

    async def fill(self, count: int) -> None:
        for first in range(0, count, _MANY):
            numbers = range(first, min(count, first + _MANY))
            records = [{"Data": f'"record {one}"', "PartitionKey": "k"} for one in numbers]
            await self.client.put_records(StreamName=_NAME, Records=records)

    async def send(self, body: str) -> None:
        await self.client.put_record(StreamName=_NAME, Data=body, PartitionKey="k")


class BareReader(Bare, _Stream):
    """The checkpoint is one row of SQLite, committed as the engine does it: WAL with
    synchronous=FULL."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="samovar-benchmark-")
        self._iterator = ""

    async def make(self) -> None:
        await super().make()
        self._database = sqlite3.connect(
            Path(self._directory.name) / "checkpoints",
            isolation_level=None,
            check_same_thread=False,
        )
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE checkpoints (shard INTEGER PRIMARY KEY, key TEXT)",
            "INSERT INTO checkpoints VALUES (0, '')",
        ):
            self._database.execute(statement)
        shards = await self.client.list_shards(StreamName=_NAME)
        found = await self.client.get_shard_iterator(
            StreamName=_NAME,
            ShardId=shards["Shards"][0]["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )
        self._iterator = found["ShardIterator"]

    async def read(self, count: int) -> None:
        while count > 0:
            count -= await self._once()

    async def listen(self) -> None:
        while True:
            if await self._once() < _BATCH:
                await asyncio.sleep(_PAUSE)

    async def _once(self) -> int:
        reply = await self.client.get_records(ShardIterator=self._iterator, Limit=_BATCH)
        self._iterator = reply["NextShardIterator"]
        records = reply["Records"]
        if records:
            self.found.put_nowait(time.monotonic_ns())
            last = (records[-1]["SequenceNumber"],)
            await asyncio.to_thread(self._write, last)
        return len(records)

    def _write(self, last: tuple[str]) -> None:
        self._database.execute("UPDATE checkpoints SET key = ?", last)

    async def stop(self) -> None:
        await super().stop()
        self._database.close()
        self._directory.cleanup()


class SamovarReader(Mapped, _Stream):
    """Of a stream."""

    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{_NAME}"
    gone = "invoked"

    async def start(self) -> dict[str, Any]:
        from samovar.event_sources.kinesis import KinesisStream
        from samovar.model.event_source import StartingPosition

        KinesisStream.pause = _PAUSE
        self.more = {"batch_size": _BATCH, "starting_position": StartingPosition.TRIM_HORIZON}
        return await super().start()
