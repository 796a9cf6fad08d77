"""A stream of DynamoDB whose API is played, from its shards to what is told of those records that
were given up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.event_sources.stream_house import FUNCTION, TARGET, House, Said

from samovar.errors import AWS, ClientError
from samovar.event_sources.failures import Failures
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.stream_sources import StreamSources
from samovar.model.event import Delivery
from samovar.model.event_source import EventSourceMapping, StartingPosition
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.neighbours.asynchronous import ENGINE
from samovar.stores.invoke_queue import Item
from samovar.stores.leases import LeaseStore, MemoryLeaseStore
from samovar.stores.sqlite_leases import SqliteLeaseStore

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/tea/stream/2025-11-25"
CAME = datetime(1970, 1, 1, tzinfo=UTC)
OF_F = Caller("arn:aws:iam::123456789012:role/of-f", "f")


@dataclass
class Shard:
    parent: str | None = None
    closed: bool = False
    texts: list[str] = field(default_factory=list)


class Dynamo(AsyncNeighbours):
    """DynamoDB Streams, a page of one shard and one record at a time; a closed shard ends with its
    last record, as there."""

    def __init__(self) -> None:
        self.kept: dict[str, Shard] = {}
        self.callers: set[Caller] = set()

    async def call(
        self,
        service: str,
        operation: str,
        caller: Caller = ENGINE,
        /,
        *,
        region: str = "",
        **given: Any,
    ) -> dict[str, Any]:
        assert (service, region) == ("dynamodbstreams", "us-east-1")
        self.callers.add(caller)
        found: dict[str, Any] = getattr(self, operation)(**given)
        return found

    def describe_stream(self, *, StreamArn: str, ExclusiveStartShardId: str = "") -> Any:  # noqa: N803
        assert StreamArn == TABLE
        names = sorted(self.kept)
        at = names.index(ExclusiveStartShardId) + 1 if ExclusiveStartShardId else 0
        last = {"LastEvaluatedShardId": names[at]} if at + 1 < len(names) else {}
        shards = [self._described(name) for name in names[at : at + 1]]
        schema = [{"AttributeName": "id", "KeyType": "HASH"}]
        return {"StreamDescription": {"Shards": shards, "KeySchema": schema, **last}}

    def _described(self, name: str) -> dict[str, Any]:
        one = self.kept[name]
        numbers = {"StartingSequenceNumber": f"{name}-0"}
        if one.closed:
            numbers["EndingSequenceNumber"] = f"{name}-{len(one.texts)}"
        parent = {"ParentShardId": one.parent} if one.parent else {}
        return {"ShardId": name, "SequenceNumberRange": numbers, **parent}

    def get_shard_iterator(
        self,
        *,
        StreamArn: str,  # noqa: N803
        ShardId: str,  # noqa: N803
        ShardIteratorType: str,  # noqa: N803
        SequenceNumber: str = "",  # noqa: N803
    ) -> Any:
        if ShardId not in self.kept:
            raise Said("ResourceNotFoundException")
        at = 0
        if ShardIteratorType == "LATEST":
            at = len(self.kept[ShardId].texts)
        elif ShardIteratorType == "AFTER_SEQUENCE_NUMBER":
            at = int(SequenceNumber.rpartition("-")[2]) + 1
        return {"ShardIterator": f"{ShardId}:{at}"}

    def get_records(self, *, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        name, _, begin = ShardIterator.partition(":")
        if name not in self.kept:
            raise Said("ResourceNotFoundException")
        one, at = self.kept[name], int(begin)
        end = min(at + 1, len(one.texts))
        over = one.closed and end == len(one.texts)
        following = {} if over else {"NextShardIterator": f"{name}:{end}"}
        records = [self._record(name, number) for number in range(at, end)]
        return {"Records": records, **following}

    def _record(self, name: str, at: int) -> dict[str, Any]:
        return {
            "eventID": f"{name}-{at}",
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "dynamodb": {
                "Keys": {"id": {"S": self.kept[name].texts[at]}},
                "SequenceNumber": f"{name}-{at}",
                "ApproximateCreationDateTime": CAME,
            },
        }


class Engine:
    """Everything but the API."""

    def __init__(self, leases: LeaseStore, **mapping: Any) -> None:
        given = {"starting_position": StartingPosition.TRIM_HORIZON, **mapping}
        self.house = House()  # its clock, its places
        self.api = Dynamo()
        self.mapping = EventSourceMapping("uuid", FUNCTION, TABLE, **given)
        self.texts: list[str] = []
        self.fails: set[str] = set()
        self.told: list[Item] = []
        self.deleted = False
        self.sources = StreamSources(
            self.api,
            self.house,
            self.invoke,
            leases,
            Failures(self.deliver, self.house.clock, node="here", time_scale=1.0),
            self.house.clock,
            1.0,
            lambda: ["uuid"],
            node="here",
        )

    def invoke(self, mapping: EventSourceMapping, payload: bytes) -> Any:
        records = json.loads(payload)["Records"]
        texts = [record["dynamodb"]["Keys"]["id"]["S"] for record in records]
        self.texts += texts
        answer = True if self.fails & set(texts) else None
        self.house.answer = lambda _: answer
        return asyncio.ensure_future(self.house._run(texts))

    async def deliver(self, item: Item) -> None:
        self.told.append(item)

    def caller(self) -> Caller:
        if self.deleted:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, "Function not found")
        return OF_F

    def play(self, scene: Callable[[StreamPoller], Awaitable[None]]) -> None:
        async def played() -> None:
            poller = self.sources.poller(
                self.mapping, lambda record: True, self.house.numbers, self.caller
            )
            await poller.start()
            try:
                await scene(poller)
            finally:
                poller.cancel()
                await poller.stop()
                await self.sources.close()

        asyncio.run(played())


def test_shards_that_dynamodb_replaces_are_read_in_their_order_and_forgotten() -> None:
    leases = MemoryLeaseStore()
    it = Engine(leases)
    it.api.kept = {"1": Shard(texts=["a"]), "2": Shard(texts=["x"])}

    async def scene(poller: StreamPoller) -> None:
        await it.house.until(lambda: set(it.texts) == {"a", "x"})
        # Every few hours a shard is followed by another one, and is gone after a day.
        it.api.kept["1"].texts.append("b")
        it.api.kept["1"].closed = True
        it.api.kept["3"] = Shard("1", closed=True, texts=["c", "d"])
        it.api.kept["4"] = Shard("3", texts=["e"])
        await it.house.until(lambda: "e" in it.texts)
        assert [text for text in it.texts if text != "x"] == ["a", "b", "c", "d", "e"]
        del it.api.kept["1"], it.api.kept["3"]
        await it.house.passes_by(40)
        assert [lease.shard for lease in await leases.of("uuid")] == ["", "2", "4"]
        it.api.kept["4"].texts.append("f")
        await it.house.until(lambda: it.texts[-1] == "f")
        assert len(it.texts) == 7
        assert it.api.callers == {OF_F}

    it.play(scene)


def test_whoever_is_told_of_what_was_given_up_is_told_with_the_functions_role() -> None:
    it = Engine(MemoryLeaseStore(), retries=0, on_failure=TARGET)
    it.fails = {"a"}
    it.api.kept = {"1": Shard(texts=["a"])}

    async def scene(poller: StreamPoller) -> None:
        await it.house.until(lambda: it.told)
        (item,) = it.told
        assert Delivery.unpack(item.head).role == OF_F.role
        assert json.loads(item.body)["DDBStreamBatchInfo"]["startSequenceNumber"] == "1-0"

    it.play(scene)


def test_what_a_function_had_in_hand_when_it_was_deleted_is_told_of() -> None:
    it = Engine(MemoryLeaseStore(), retries=1, on_failure=TARGET)
    it.fails = {"a"}
    it.api.kept = {"1": Shard(texts=["a"])}

    async def scene(poller: StreamPoller) -> None:
        await it.house.until(lambda: it.texts)
        it.deleted = True
        await it.house.until(lambda: it.told)
        assert Delivery.unpack(it.told[0].head).role == OF_F.role

    it.play(scene)


def test_leases_that_can_not_be_opened_are_read_once_they_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "leases.db").write_bytes(b"tea" * 1000)
    it = Engine(SqliteLeaseStore(tmp_path))
    it.api.kept = {"1": Shard(texts=["a"])}

    async def scene(poller: StreamPoller) -> None:
        assert "leases.db is damaged" in caplog.text
        assert it.house.numbers.errors == {"EngineError": 1}
        (tmp_path / "leases.db").unlink()
        async with asyncio.timeout(30):  # a thread works
            while it.texts != ["a"]:
                it.house.clock.advance(0.1)
                await it.house.stands()

    it.play(scene)
