"""Records of Kafka as functions get them, and what is told of those that were given up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.event_sources.kafka_house import Record
from tests.unit.event_sources.stream_house import FUNCTION

from samovar.event_sources.batching import failed_keys, portions
from samovar.event_sources.kafka_records import (
    failure_info,
    failure_messages,
    form_of,
    kafka_record,
)
from samovar.event_sources.shard_batches import Condition, Dropped, Piece, Ran, ShardRecord
from samovar.model.event_source import EventSourceMapping

MSK = "arn:aws:kafka:us-east-1:123456789012:cluster/c/1-2"
SERVERS = "h:9092,i:9092"


def mapping(arn: str = "") -> EventSourceMapping:
    return EventSourceMapping(
        "uuid", FUNCTION, arn, servers=() if arn else ("h:9092",), topic="t", on_failure="x"
    )


def kept(offset: int, key: bytes | None = b"k") -> ShardRecord:
    found = kafka_record(Record("t", 0, offset, b"v", key, timestamp=1500))
    return ShardRecord(found.key, found.arrived, found.text)


def test_what_is_null_stays_null() -> None:
    record = kafka_record(Record("t", 3, 9, None, None, headers=[("h", None)], timestamp_type=1))  # type: ignore[arg-type,list-item]
    assert record.event["key"] is None
    assert record.event["value"] is None
    assert record.event["headers"] == [{"h": None}]
    assert record.event["timestampType"] == "LOG_APPEND_TIME"
    assert (record.key, record.arrived) == ("9", 0.0)


@pytest.mark.parametrize(
    ("arn", "head"),
    [
        ("", {"eventSource": "SelfManagedKafka", "bootstrapServers": SERVERS}),
        (MSK, {"eventSource": "aws:kafka", "eventSourceArn": MSK, "bootstrapServers": SERVERS}),
    ],
)
def test_an_event(arn: str, head: dict[str, str]) -> None:
    form = form_of(mapping(arn), SERVERS, "t]-0")
    records = [kept(1), kept(2)]
    found = json.loads(form.event(records))
    assert list(found["records"]) == ["t]-0"]
    assert [one["offset"] for one in found.pop("records")["t]-0"]] == [1, 2]
    assert found == head
    assert len(form.event(records)) == form.size + sum(len(one.text) for one in records) + 1


def test_batches_are_cut_with_the_head_counted() -> None:
    form = form_of(mapping(), SERVERS, "t-0")
    records = [kept(one) for one in range(4)]
    limit = len(form.event(records[:2]))
    assert [len(one) for one in portions(records, limit, form)] == [2, 2]
    assert [len(one) for one in portions(records, limit - 1, form)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("named", "failed"),
    [
        ({"partition": "t-0", "offset": 2}, {"2"}),
        ({"partition": "t-1", "offset": 2}, {"1", "2"}),
        ({"partition": "t-0", "offset": 7}, {"1", "2"}),
        ({"partition": "t-0", "offset": True}, {"1", "2"}),
        ({"offset": 2}, {"1", "2"}),
        ("2", {"1", "2"}),
    ],
)
def test_what_an_answer_names(named: object, failed: set[str]) -> None:
    form = form_of(mapping(), SERVERS, "t-0")
    answer = json.dumps({"batchItemFailures": [{"itemIdentifier": named}]}).encode()
    assert failed_keys(answer, ["1", "2"], form) == failed


def given_up(*records: ShardRecord) -> Dropped:
    return Dropped(Piece(records, runs=3, last=Ran(0, "Unhandled", "id", "1")), Condition.RETRIES)


def test_where_records_are_that_were_given_up() -> None:
    found = failure_info(given_up(kept(1), kept(2)), mapping(MSK), SERVERS, "t-0", 77)
    assert found == {
        "KafkaBatchInfo": {
            "batchSize": 2,
            "eventSourceArn": MSK,
            "bootstrapServers": SERVERS,
            "payloadSize": 77,
            "recordsInfo": {
                "t-0": {
                    "firstRecordOffset": "1",
                    "lastRecordOffset": "2",
                    "firstRecordTimestamp": "1970-01-01T00:00:01.500Z",
                    "lastRecordTimestamp": "1970-01-01T00:00:01.500Z",
                }
            },
        }
    }


def test_another_topic_gets_each_record_with_its_key() -> None:
    of = mapping()
    form = form_of(of, SERVERS, "t-0")
    one, other = failure_messages(given_up(kept(1), kept(2, None)), of, SERVERS, form, 5.0)
    assert (one.key, other.key) == (b"k", None)
    found: dict[str, Any] = json.loads(other.value)
    assert found["KafkaBatchInfo"]["batchSize"] == 1
    assert found["KafkaBatchInfo"]["recordInfo"] == {
        "offset": "2",
        "timestamp": "1970-01-01T00:00:01.500Z",
    }
    assert found["payload"]["records"]["t-0"][0]["offset"] == 2
    assert found["KafkaBatchInfo"]["payloadSize"] == len(form.event([kept(2, None)]))
    assert found["requestContext"]["approximateInvokeCount"] == 3
