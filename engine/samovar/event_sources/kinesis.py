"""A stream of Kinesis as readers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from samovar.event_sources.stream_records import kinesis_record
from samovar.event_sources.streams import (
    Calls,
    Description,
    Page,
    Position,
    Shard,
    StreamRecord,
    Where,
    in_turns,
)
from samovar.model.event_source import Source
from samovar.neighbours import AsyncNeighbours, Caller

# Records in a request. Kinesis gives 10,000, which botocore would parse for a second.
MOST_AT_ONCE = 1_000
_ACTIONS = "GetRecords, GetShardIterator, DescribeStream, ListShards, and ListStreams"
_HOUR = 3600.0


class KinesisStream:
    """Part of `Stream`."""

    pause = 1.0  # developer guide: each shard is polled once a second
    most = MOST_AT_ONCE
    actions = _ACTIONS

    def __init__(
        self, neighbours: AsyncNeighbours, source: Source, caller: Callable[[], Caller]
    ) -> None:
        self._calls = Calls(neighbours, "kinesis", source, caller, _ACTIONS)
        self._source = source

    async def shards(self) -> Sequence[Shard]:
        found: list[Shard] = []
        asked: dict[str, Any] = {"StreamARN": self._source.arn}
        while True:
            reply = await self._calls.ask("list_shards", **asked)
            found += map(_shard, reply["Shards"])
            if not reply.get("NextToken"):
                return found
            asked = {"NextToken": reply["NextToken"]}

    async def described(self) -> Description:
        # Not DescribeStreamSummary: AWS's text to whoever lacks rights asks for none to that.
        reply = await self._calls.ask("describe_stream", StreamARN=self._source.arn, Limit=1)
        found = reply["StreamDescription"]
        made = found.get("StreamCreationTimestamp")
        identity = "" if made is None else f"{made.timestamp():.3f}"
        return Description(identity, float(found["RetentionPeriodHours"]) * _HOUR)

    async def latest(self, shard: str) -> str:
        return await self._iterator(shard, ShardIteratorType="LATEST")

    async def iterator(self, shard: str, position: Position) -> str:
        if position.where is Where.AFTER:
            return await self._iterator(
                shard,
                ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                StartingSequenceNumber=position.value,
            )
        if position.where is Where.SINCE:
            return await self._iterator(
                shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=float(position.value)
            )
        return await self._iterator(shard, ShardIteratorType="TRIM_HORIZON")

    async def read(self, shard: str, iterator: str, most: int) -> Page:
        reply = await self._calls.ask(
            "get_records",
            StreamARN=self._source.arn,
            ShardIterator=iterator,
            Limit=min(most, MOST_AT_ONCE),
        )
        role = self._calls.caller().role
        records = await in_turns(reply["Records"], lambda raw: self._record(raw, shard, role))
        # Who does not say it may have more.
        caught_up = reply.get("MillisBehindLatest") == 0
        return Page(records, reply.get("NextShardIterator"), caught_up)

    async def demand_readable(self) -> None:
        demand = self._calls.demand
        await demand(self.described())
        shards = await demand(self.shards())
        if shards:
            iterator = await demand(self.latest(shards[-1].id))
            await demand(self.read(shards[-1].id, iterator, 1))
        await demand(self._calls.ask("list_streams", Limit=1))

    async def _iterator(self, shard: str, **given: Any) -> str:
        reply = await self._calls.ask(
            "get_shard_iterator", StreamARN=self._source.arn, ShardId=shard, **given
        )
        return str(reply["ShardIterator"])

    def _record(self, raw: Any, shard: str, role: str) -> StreamRecord:
        source = self._source
        event = kinesis_record(raw, shard=shard, arn=source.arn, region=source.region, role=role)
        inner = event["kinesis"]
        return StreamRecord.of(
            inner["sequenceNumber"],
            float(inner["approximateArrivalTimestamp"]),
            event,
            inner["partitionKey"],
        )


def _shard(raw: Any) -> Shard:
    parents = (raw.get("ParentShardId"), raw.get("AdjacentParentShardId"))
    closed = bool(raw["SequenceNumberRange"].get("EndingSequenceNumber"))
    return Shard(raw["ShardId"], tuple(filter(None, parents)), closed)
