"""Records of streams as functions get them, and what is told of those that were given up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from samovar.event_sources.failures import failure_delivery, failure_record
from samovar.event_sources.shard_batches import Condition, Dropped, Piece, Ran, ShardRecord
from samovar.event_sources.stream_records import (
    dynamodb_record,
    event_of,
    failure_info,
    kinesis_record,
)
from samovar.event_sources.windows import Turn, Window
from samovar.model.event import Channel, Delivery
from samovar.model.event_source import EventSourceMapping
from samovar.stores.invoke_queue import Item, ItemKind

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/tea/stream/2025-11-25T16:35:32.123"
SHARD = "shardId-000000000000"
BUCKET = "arn:aws:s3:::bucket"
NOW = 1764088532.123  # 2025-11-25T16:35:32.123Z
ARRIVED = datetime(2025, 11, 25, 16, 35, 30, 500000, tzinfo=UTC)
FAILED = Ran(0, "Unhandled", "id", "7")


def mapping(source: str = STREAM, target: str | None = None) -> EventSourceMapping:
    return EventSourceMapping("uuid", FUNCTION, source, on_failure=target)


def dropped(condition: Condition, last: Ran | None = FAILED, runs: int = 2) -> Dropped:
    at = ARRIVED.timestamp()
    records = (ShardRecord("5", at, b'{"a":1}'), ShardRecord("6", at + 1, b'{"b":2}'))
    return Dropped(Piece(records, 1, runs, 2, last), condition)


def test_a_record_of_kinesis() -> None:
    raw = {
        "SequenceNumber": "495",
        "PartitionKey": "k",
        "Data": b"tea\xff",
        "ApproximateArrivalTimestamp": ARRIVED,
    }
    assert kinesis_record(raw, shard=SHARD, arn=STREAM, region="us-east-1", role="role") == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "k",
            "sequenceNumber": "495",
            "data": "dGVh/w==",
            "approximateArrivalTimestamp": ARRIVED.timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{SHARD}:495",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "role",
        "awsRegion": "us-east-1",
        "eventSourceARN": STREAM,
    }


def test_a_record_of_dynamodb() -> None:
    change = {
        "ApproximateCreationDateTime": ARRIVED.replace(microsecond=0),
        "Keys": {"id": {"B": b"\x00"}},
        "NewImage": {"all": {"L": [{"BS": [b"a"]}, {"M": {"n": {"N": "1"}}}]}},
        "SequenceNumber": "1",
        "SizeBytes": 3,
        "StreamViewType": "NEW_IMAGE",
    }
    raw: dict[str, Any] = {
        "eventID": "e",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
    }
    found = dynamodb_record(raw, arn=TABLE, region="us-east-1")
    assert found == {
        **raw,
        "eventSourceARN": TABLE,
        "dynamodb": {
            **change,
            "ApproximateCreationDateTime": 1764088530,
            "Keys": {"id": {"B": "AA=="}},
            "NewImage": {"all": {"L": [{"BS": ["YQ=="]}, {"M": {"n": {"N": "1"}}}]}},
        },
    }
    assert json.dumps(found).count("1764088530,") == 1
    who = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    found = dynamodb_record({**raw, "userIdentity": who}, arn=TABLE, region="us-east-1")
    assert found["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def told(gone: Dropped, source: str = STREAM, **more: Any) -> dict[str, Any]:
    of = mapping(source)
    return json.loads(failure_record(gone, of, failure_info(gone, of, SHARD), NOW, **more))


def delivery(of: EventSourceMapping, gone: Dropped | None = None) -> Item:
    gone = gone or dropped(Condition.RETRIES)
    info, event = failure_info(gone, of, SHARD), event_of(gone, of, SHARD)
    return failure_delivery(gone, of, SHARD, info, event, "role", NOW, "node")


def test_what_is_told_of_a_batch_of_kinesis() -> None:
    found = told(dropped(Condition.RETRIES))
    assert found == {
        "requestContext": {
            "requestId": "id",
            "functionArn": FUNCTION,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "7",
            "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": "2025-11-25T16:35:32.123Z",
        "KinesisBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": "5",
            "endSequenceNumber": "6",
            "approximateArrivalOfFirstRecord": "2025-11-25T16:35:30.500Z",
            "approximateArrivalOfLastRecord": "2025-11-25T16:35:31.500Z",
            "batchSize": 2,
            "streamArn": STREAM,
        },
    }


def test_what_is_told_of_a_batch_of_dynamodb_that_failed_in_part() -> None:
    partly = dropped(Condition.RETRIES, Ran(0, None, "id", "$LATEST"))
    found = told(partly, TABLE)
    assert found["responseContext"]["functionError"] is None
    info = found["DDBStreamBatchInfo"]
    assert info["approximateArrivalOfFirstRecord"] == "2025-11-25T16:35:30Z"
    assert info["streamArn"] == TABLE


@pytest.mark.parametrize(("last", "runs", "count"), [(None, 0, 1), (FAILED, 3, 3)])
def test_what_is_told_of_records_that_are_too_old(last: Ran | None, runs: int, count: int) -> None:
    old = dropped(Condition.AGE, last, runs)
    found = told(old, request_id="new")
    assert found["requestContext"] == {
        "requestId": "id" if last else "new",
        "functionArn": FUNCTION,
        "condition": "RecordAgeExceeded",
        "approximateInvokeCount": count,
    }
    assert "responseContext" not in found


def test_a_bucket_gets_the_event_and_a_key_of_the_shard() -> None:
    of = mapping(target=BUCKET)
    item = delivery(of)
    assert json.loads(item.body)["payload"] == '{"Records":[{"a":1},{"b":2}]}'
    assert (item.kind, item.lane, item.node) == (ItemKind.DELIVERY, BUCKET, "node")
    assert (item.accepted, item.due, item.expires) == (NOW, NOW, NOW + 21600)
    assert Delivery.unpack(item.head) == Delivery(
        "id",
        FUNCTION,
        Channel.ON_FAILURE,
        BUCKET,
        "role",
        "RetryAttemptsExhausted",
        ended=NOW,
        prefix=f"aws/lambda/uuid/{SHARD}",
        mapping="uuid",
        records=2,
    )


def ended(last: Ran | None = FAILED) -> Dropped:
    """A final invocation of a window that is given up."""
    turn = Turn(Window(1764088500, 1764088560, '{"tea":1}'), final=True)
    return Dropped(Piece((), 1, 2, 2, last), Condition.RETRIES, turn)


@pytest.mark.parametrize(
    ("arn", "info"), [(STREAM, "KinesisBatchInfo"), (TABLE, "DDBStreamBatchInfo")]
)
def test_what_is_told_of_a_window_whose_end_was_given_up(arn: str, info: str) -> None:
    found = told(ended(), arn)
    assert found["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert found["responseContext"]["functionError"] == "Unhandled"
    assert found[info] == {
        "shardId": SHARD,
        "startSequenceNumber": None,
        "endSequenceNumber": None,
        "approximateArrivalOfFirstRecord": None,
        "approximateArrivalOfLastRecord": None,
        "batchSize": 0,
        "streamArn": arn,
        "window": {"start": "2025-11-25T16:35:00Z", "end": "2025-11-25T16:36:00Z"},
    }


def test_a_bucket_gets_the_event_of_a_window() -> None:
    of = mapping(target=BUCKET)
    lost = ended()
    item = delivery(of, lost)
    payload = json.loads(json.loads(item.body)["payload"])
    assert (payload["Records"], payload["state"]) == ([], {"tea": 1})
    assert payload["isFinalInvokeForWindow"] is True
    assert lost.turn is not None
    batch = replace(dropped(Condition.RETRIES), turn=Turn(lost.turn.window))
    item = delivery(of, batch)
    body = json.loads(item.body)
    assert body["KinesisBatchInfo"]["batchSize"] == 2
    assert "window" not in body["KinesisBatchInfo"]
    payload = json.loads(body["payload"])
    assert (payload["Records"], payload["shardId"]) == ([{"a": 1}, {"b": 2}], SHARD)
    assert payload["isFinalInvokeForWindow"] is False


def test_a_queue_does_not_get_the_event() -> None:
    of = mapping(target="arn:aws:sqs:us-east-1:123456789012:q")
    item = delivery(of)
    assert "payload" not in json.loads(item.body)
