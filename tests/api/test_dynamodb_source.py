"""Streams of tables of DynamoDB that are read for functions: the real engine, boto3, and moto's
DynamoDB over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import Beside, deploy, heard, mapped, play, result, standing
from tests.api.test_sqs_source import ACCOUNT, comes

SHARD = "shardId-00000001541626099285-f35f62ef"  # moto's one


class Table(Beside):
    """A table of one test, with a stream."""

    def create(self) -> None:
        with self.moto.client("dynamodb") as dynamodb:
            made = dynamodb.create_table(
                TableName=self.name,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={
                    "StreamEnabled": True,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            )
        self.arn = made["TableDescription"]["LatestStreamArn"]

    def put(self, *ids: str, **more: Any) -> None:
        with self.moto.client("dynamodb") as dynamodb:
            for one in ids:
                dynamodb.put_item(TableName=self.name, Item={"id": {"S": one}, **more})

    def delete(self, one: str) -> None:
        with self.moto.client("dynamodb") as dynamodb:
            dynamodb.delete_item(TableName=self.name, Key={"id": {"S": one}})


@pytest.fixture
def table(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Table]:
    made = Table(moto, request.node.name)
    with standing(made):
        made.create()
        yield made


def test_every_change_comes_once_and_in_order(serve: Serve, table: Table) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, table)
        ids = [f"{number}" for number in range(25)]
        await asyncio.to_thread(table.put, *ids)
        made = await mapped(it, table, BatchSize=10)
        assert (made["StateTransitionReason"], made["MaximumRetryAttempts"]) == ("User action", -1)
        assert made["EventSourceArn"] == table.arn
        await heard(table, lambda bodies: bodies == ids)
        assert [len(batch) for batch in table.batches] == [10, 10, 5]
        await asyncio.to_thread(table.put, "0", tea={"B": b"\x00"})
        await asyncio.to_thread(table.delete, "0")
        await heard(table, lambda bodies: len(bodies) == 27)
        await result(it, made["UUID"], "OK")
        first = table.told.events[0]["first"]
        assert len(first.pop("eventID")) == 32
        change = first.pop("dynamodb")
        assert first == {
            "eventName": "INSERT",
            "eventVersion": "1.0",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "eventSourceARN": table.arn,
        }
        assert change["Keys"] == change["NewImage"] == {"id": {"S": "0"}}
        assert isinstance(change["ApproximateCreationDateTime"], int | float)
        modified = table.told.events[3]["first"]
        assert modified["eventName"] == "MODIFY"
        assert modified["dynamodb"]["NewImage"]["tea"] == {"B": "AA=="}

    play(serve, table, scene)


def test_retries_are_used_up_and_a_queue_is_told(serve: Serve, table: Table) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, table)
        queue = await asyncio.to_thread(table.queue)
        await asyncio.to_thread(table.put, "flaky", "bad")
        await mapped(
            it,
            table,
            MaximumRetryAttempts=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        letters: list[Any] = []

        async def told() -> bool:
            letters.extend(await asyncio.to_thread(table.letters))
            return bool(letters)

        await comes(told)
        assert table.batches == [["flaky", "bad"]] * 2
        (letter,) = letters
        assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert letter["responseContext"]["functionError"] is None
        info = letter["DDBStreamBatchInfo"]
        key = table.told.events[0]["keys"][1]
        assert info["startSequenceNumber"] == info["endSequenceNumber"] == key
        assert (info["shardId"], info["batchSize"]) == (SHARD, 1)
        assert len(info["approximateArrivalOfFirstRecord"]) == len("2025-11-25T16:35:32Z")

    play(serve, table, scene)


def test_filters_see_images(serve: Serve, table: Table) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, table)
        await asyncio.to_thread(table.put, "a", tea={"S": "green"})
        await asyncio.to_thread(table.put, "b", tea={"S": "black"})
        await asyncio.to_thread(table.put, "c", tea={"S": "green"})
        pattern = {"dynamodb": {"NewImage": {"tea": {"S": ["green"]}}}}
        filters = {"Filters": [{"Pattern": json.dumps(pattern)}]}
        await mapped(it, table, FilterCriteria=filters)
        await heard(table, lambda bodies: bodies == ["a", "c"])

    play(serve, table, scene)


def test_reading_goes_on_where_it_ended(serve: Serve, table: Table) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, table)
        await mapped(it, table, StartingPosition="LATEST")
        await asyncio.to_thread(table.put, "now")
        await heard(table, lambda bodies: bodies == ["now"])

    async def second(it: ServedHouse) -> None:
        await heard(table, lambda bodies: bodies == ["now", "while it was away"])

    table.put("before")
    play(serve, table, first)
    table.put("while it was away")
    play(serve, table, second)


def test_what_no_stream_of_a_table_can_be_mapped_with(serve: Serve, table: Table) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, table)
        other = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/none/stream/2025-11-25T16:35:32.123"
        given = {"FunctionName": "f", "EventSourceArn": table.arn, "StartingPosition": "LATEST"}
        for asked, text in (
            (
                {**given, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1.0},
                f"Unsupported starting position for arn type: {table.arn}",
            ),
            ({**given, "EventSourceArn": other}, f"Stream not found: {other}"),
        ):
            _, _, refused = await it.refused("create_event_source_mapping", **asked)
            assert refused == text

    play(serve, table, scene)
