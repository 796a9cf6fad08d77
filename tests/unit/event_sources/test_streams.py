"""Streams of Kinesis and DynamoDB as readers see them, and what is said to whoever may not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from samovar.errors import ClientError
from samovar.event_sources.dynamodb import DynamoDbStream
from samovar.event_sources.kinesis import KinesisStream
from samovar.event_sources.streams import END, START, Position, Shard, Stream, Where
from samovar.model.event_source import Source
from samovar.neighbours import AsyncNeighbours, Caller, NoEndpoint, RoleNotAssumed
from samovar.neighbours.asynchronous import ENGINE

STREAM = Source.parse("arn:aws:kinesis:eu-west-1:123456789012:stream/s")
TABLE = Source.parse("arn:aws:dynamodb:eu-west-1:123456789012:table/tea/stream/2025-11-25")
CALLER = Caller("role", "f")
CAME = datetime(2025, 11, 25, tzinfo=UTC)
KINDS: dict[Source, Callable[..., Stream]] = {STREAM: KinesisStream, TABLE: DynamoDbStream}


class Said(Exception):
    def __init__(self, code: str) -> None:
        super().__init__("so it is")
        self.response = {"Error": {"Code": code}}


class Answering(AsyncNeighbours):
    """Gives each operation's replies, one after the other, the last one again; raises errors."""

    def __init__(self, **replies: Any) -> None:
        self._replies = {name: list(found) for name, found in replies.items()}
        self.asked: list[tuple[str, dict[str, Any]]] = []

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
        assert (region, caller) == ("eu-west-1", CALLER)
        self.asked.append((f"{service}:{operation}", given))
        replies = self._replies[operation]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Exception):
            raise reply
        found: dict[str, Any] = reply
        return found


def shard(name: str, end: str | None = None, **parents: str) -> dict[str, Any]:
    ends = {"EndingSequenceNumber": end} if end else {}
    return {"ShardId": name, "SequenceNumberRange": {"StartingSequenceNumber": "1", **ends}} | (
        parents
    )


def well(source: Source) -> dict[str, list[Any]]:
    """What a stream that may be read answers."""
    description: dict[str, Any] = {"Shards": [shard("s")], "RetentionPeriodHours": 48}
    return {
        "describe_stream": [{"StreamDescription": description}],
        "list_shards": [{"Shards": [shard("s")]}],
        "get_shard_iterator": [{"ShardIterator": "i"}],
        "get_records": [{"Records": [], "NextShardIterator": "j"}],
        "list_streams": [{}],
    }


def of(source: Source, **replies: Any) -> tuple[Stream, Answering]:
    neighbours = Answering(**{**well(source), **replies})
    return KINDS[source](neighbours, source, lambda: CALLER), neighbours


@pytest.mark.parametrize("position", [START, END, Position(Where.SINCE, "1.5")])
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert Position.parse(position.text()) == position


@pytest.mark.parametrize("text", ["", "{}", "3", '["start"]', '["nowhere", ""]', "null"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


def test_all_pages_of_shards_of_kinesis() -> None:
    pages = [
        {"Shards": [shard("a", "9"), shard("b")], "NextToken": "more"},
        {"Shards": [shard("c", ParentShardId="a", AdjacentParentShardId="b")]},
    ]
    stream, neighbours = of(STREAM, list_shards=pages)
    assert asyncio.run(stream.shards()) == [
        Shard("a", (), True),
        Shard("b", (), False),
        Shard("c", ("a", "b"), False),
    ]
    assert [given for _, given in neighbours.asked] == [
        {"StreamARN": STREAM.arn},
        {"NextToken": "more"},
    ]
    assert asyncio.run(stream.described()).lifetime == 48 * 3600


def test_all_pages_of_shards_of_dynamodb() -> None:
    pages = [
        {"StreamDescription": {"Shards": [shard("a", "9")], "LastEvaluatedShardId": "a"}},
        {"StreamDescription": {"Shards": [shard("b", ParentShardId="a")]}},
    ]
    stream, neighbours = of(TABLE, describe_stream=pages)
    assert asyncio.run(stream.shards()) == [Shard("a", (), True), Shard("b", ("a",), False)]
    assert neighbours.asked[1][1] == {"StreamArn": TABLE.arn, "ExclusiveStartShardId": "a"}


@pytest.mark.parametrize(
    ("source", "position", "asked"),
    [
        (STREAM, START, {"ShardIteratorType": "TRIM_HORIZON"}),
        (
            STREAM,
            Position(Where.AFTER, "7"),
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "7"},
        ),
        (
            STREAM,
            Position(Where.SINCE, "1.5"),
            {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1.5},
        ),
        (TABLE, START, {"ShardIteratorType": "TRIM_HORIZON"}),
        (
            TABLE,
            Position(Where.AFTER, "7"),
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "7"},
        ),
        (TABLE, Position(Where.SINCE, "1.5"), {"ShardIteratorType": "TRIM_HORIZON"}),
    ],
)
def test_iterators(source: Source, position: Position, asked: dict[str, Any]) -> None:
    stream, neighbours = of(source)
    assert asyncio.run(stream.iterator("s", position)) == "i"
    name = "StreamARN" if source is STREAM else "StreamArn"
    assert neighbours.asked[0][1] == {name: source.arn, "ShardId": "s", **asked}


def test_streams_of_one_name_differ_in_when_they_were_made() -> None:
    def made(**more: Any) -> dict[str, Any]:
        return {"StreamDescription": {"Shards": [], "RetentionPeriodHours": 24, **more}}

    later = CAME.replace(microsecond=1000)
    replies = [
        made(StreamCreationTimestamp=CAME),
        made(StreamCreationTimestamp=CAME),
        made(StreamCreationTimestamp=later),
        made(),
    ]
    stream, _ = of(STREAM, describe_stream=replies)
    first, again, another, silent = [asyncio.run(stream.described()).identity for _ in range(4)]
    assert first == again != another
    assert silent == ""
    assert asyncio.run(of(TABLE)[0].described()) == ("", 86400.0)


@pytest.mark.parametrize(
    ("said", "caught_up"),
    [({"MillisBehindLatest": 0}, True), ({"MillisBehindLatest": 1}, False), ({}, False)],
)
def test_a_page_of_kinesis(said: dict[str, int], caught_up: bool) -> None:
    raw = {
        "SequenceNumber": "7",
        "PartitionKey": "k",
        "Data": b"tea",
        "ApproximateArrivalTimestamp": CAME,
    }
    stream, neighbours = of(STREAM, get_records=[{"Records": [raw], **said}])
    page = asyncio.run(stream.read("s", "i", 20_000))
    assert (page.iterator, page.caught_up) == (None, caught_up)
    (record,) = page.records
    assert (record.key, record.arrived) == ("7", CAME.timestamp())
    assert record.event["invokeIdentityArn"] == "role"
    assert b'"data":"dGVh"' in record.text
    assert neighbours.asked[0][1]["Limit"] == 1_000


@pytest.mark.parametrize("source", [STREAM, TABLE])
def test_a_large_page_is_made_in_turns(source: Source) -> None:
    raw = {
        "SequenceNumber": "7",
        "PartitionKey": "k",
        "Data": b"tea",
        "ApproximateArrivalTimestamp": CAME,
        "eventID": "e",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "dynamodb": {"SequenceNumber": "1", "ApproximateCreationDateTime": CAME},
    }

    async def read() -> int:
        turns = 0
        over = asyncio.Event()

        async def other() -> None:
            nonlocal turns
            while not over.is_set():
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.ensure_future(other())
        page = await stream.read("s", "i", 1_000)
        over.set()
        await beside
        assert len(page.records) == 1_000
        return turns

    stream, _ = of(source, get_records=[{"Records": [raw] * 1_000}])
    assert asyncio.run(read()) >= 4


def test_a_page_of_dynamodb_never_says_that_it_is_the_last() -> None:
    stream, neighbours = of(TABLE)
    page = asyncio.run(stream.read("s", "i", 20_000))
    assert (page.iterator, page.caught_up, page.records) == ("j", False, [])
    assert neighbours.asked[0] == (
        "dynamodbstreams:get_records",
        {"ShardIterator": "i", "Limit": 1_000},
    )


@pytest.mark.parametrize("source", [STREAM, TABLE])
def test_a_stream_that_may_be_read(source: Source) -> None:
    stream, neighbours = of(source)
    asyncio.run(stream.demand_readable())
    asked = {name.partition(":")[2] for name, _ in neighbours.asked}
    needed = well(source).keys() - ({"list_shards"} if source is TABLE else set())
    assert asked == needed


ACTIONS = {
    STREAM: "GetRecords, GetShardIterator, DescribeStream, ListShards, and ListStreams",
    TABLE: "GetRecords, GetShardIterator, DescribeStream, and ListStreams",
}
BOTH = ["describe_stream", "get_shard_iterator", "get_records", "list_streams"]


@pytest.mark.parametrize(
    ("source", "denied"),
    [(STREAM, "list_shards"), *((source, name) for source in ACTIONS for name in BOTH)],
)
def test_each_right_that_a_role_lacks(source: Source, denied: str) -> None:
    stream, _ = of(source, **{denied: [Said("AccessDeniedException")]})
    with pytest.raises(ClientError) as caught:
        asyncio.run(stream.demand_readable())
    assert str(caught.value) == (
        f"Cannot access stream {source.arn}. Please ensure the role can perform the "
        f"{ACTIONS[source]} Actions on your stream in IAM."
    )


@pytest.mark.parametrize("source", [STREAM, TABLE])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Said("ResourceNotFoundException"), "^Stream not found: {}$"),
        (Said("LimitExceededException"), "{} can't be read: LimitExceededException: so it is"),
        (NoEndpoint("kinesis"), "{} can't be read: nobody has said where kinesis is"),
        (RoleNotAssumed("no"), "The role defined for the function cannot be assumed by Lambda. no"),
        (OSError("cut off"), "{} can't be read: OSError: cut off"),
    ],
)
def test_what_is_said_of_a_stream_that_can_not_be_read(
    source: Source, error: Exception, text: str
) -> None:
    stream, _ = of(source, describe_stream=[error])
    with pytest.raises(ClientError, match=text.format(source.arn)):
        asyncio.run(stream.demand_readable())


def test_records_of_dynamodb_are_partitioned_by_the_first_part_of_their_key() -> None:
    keys = {"id": {"S": "a"}, "at": {"N": "1"}}
    raw = {
        "eventID": "e",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "dynamodb": {"Keys": keys, "SequenceNumber": "1", "ApproximateCreationDateTime": CAME},
    }
    schema = [
        {"AttributeName": "at", "KeyType": "RANGE"},
        {"AttributeName": "id", "KeyType": "HASH"},
    ]
    described = {"StreamDescription": {"Shards": [], "KeySchema": schema}}
    stream, _ = of(TABLE, describe_stream=[described], get_records=[{"Records": [raw]}])

    async def read() -> str:
        await stream.shards()
        ((record,), iterator, _) = await stream.read("s", "i", 1)
        assert iterator is None
        return record.partition

    assert asyncio.run(read()) == '{"S": "a"}'
