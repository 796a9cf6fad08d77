"""The stream of a table of DynamoDB as readers see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from samovar.event_sources.stream_records import dynamodb_record
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

MOST_AT_ONCE = 1_000  # records in a request (DynamoDB Streams)
_LIFETIME = 86400.0  # seconds: 24 hours, for all of them
_ACTIONS = "GetRecords, GetShardIterator, DescribeStream, and ListStreams"


class DynamoDbStream:
    """Part of `Stream`."""

    pause = 0.25  # developer guide: each shard is polled 4 times a second
    most = MOST_AT_ONCE
    actions = _ACTIONS

    def __init__(
        self, neighbours: AsyncNeighbours, source: Source, caller: Callable[[], Caller]
    ) -> None:
        self._calls = Calls(neighbours, "dynamodbstreams", source, caller, _ACTIONS)
        self._source = source
        self._hash_key = ""

    async def shards(self) -> Sequence[Shard]:
        found: list[Shard] = []
        asked: dict[str, Any] = {"StreamArn": self._source.arn}
        while True:
            reply = await self._calls.ask("describe_stream", **asked)
            description = reply["StreamDescription"]
            found += map(_shard, description.get("Shards", ()))
            for part in description.get("KeySchema", ()):
                if part["KeyType"] == "HASH":
                    self._hash_key = part["AttributeName"]
            last = description.get("LastEvaluatedShardId")
            if not last:
                return found
            asked["ExclusiveStartShardId"] = last

    async def described(self) -> Description:
        return Description("", _LIFETIME)  # a table that is made anew has a stream of another ARN

    async def latest(self, shard: str) -> str:
        return await self._iterator(shard, ShardIteratorType="LATEST")

    async def iterator(self, shard: str, position: Position) -> str:
        if position.where is Where.AFTER:
            return await self._iterator(
                shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=position.value
            )
        return await self._iterator(shard, ShardIteratorType="TRIM_HORIZON")

    async def read(self, shard: str, iterator: str, most: int) -> Page:
        reply = await self._calls.ask(
            "get_records", ShardIterator=iterator, Limit=min(most, MOST_AT_ONCE)
        )
        records = await in_turns(reply["Records"], self._record)
        return Page(records, reply.get("NextShardIterator"), caught_up=False)

    async def demand_readable(self) -> None:
        demand = self._calls.demand
        shards = await demand(self.shards())
        if shards:
            iterator = await demand(self.latest(shards[-1].id))
            await demand(self.read(shards[-1].id, iterator, 1))
        await demand(self._calls.ask("list_streams", Limit=1))

    async def _iterator(self, shard: str, **given: Any) -> str:
        reply = await self._calls.ask(
            "get_shard_iterator", StreamArn=self._source.arn, ShardId=shard, **given
        )
        return str(reply["ShardIterator"])

    def _record(self, raw: Any) -> StreamRecord:
        event = dynamodb_record(raw, arn=self._source.arn, region=self._source.region)
        change = event["dynamodb"]
        arrived = float(change.get("ApproximateCreationDateTime", 0.0))
        # Its partition key; the whole key while nobody has asked which part of it that is.
        keys = change.get("Keys", {})
        partition = json.dumps(keys.get(self._hash_key, keys), sort_keys=True)
        return StreamRecord.of(change["SequenceNumber"], arrived, event, partition)


def _shard(raw: Any) -> Shard:
    parent = raw.get("ParentShardId")
    closed = bool(raw["SequenceNumberRange"].get("EndingSequenceNumber"))
    return Shard(raw["ShardId"], (parent,) if parent else (), closed)
