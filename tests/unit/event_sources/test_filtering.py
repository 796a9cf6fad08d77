"""A mapping's filters on records: the guide's tables of data and patterns, source by source."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.event_sources.conditions import InvalidPattern
from samovar.event_sources.filtering import FilterSet, Source
from samovar.event_sources.json_values import Content, load
from samovar.model import limits

JSON_DATA = '{"city":"Rome","degrees":21}'
STRING_DATA = "sunny"
JSON_PATTERN = {"city": ["Rome"]}
OTHER_JSON_PATTERN = {"city": ["Oslo"]}
STRING_PATTERN = ["sunny"]
OTHER_STRING_PATTERN = ["rainy"]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def sqs(body: str) -> dict[str, Any]:
    return {"messageId": "m1", "body": body, "eventSource": "aws:sqs"}


def kinesis(data: str) -> dict[str, Any]:
    return {
        "kinesis": {"partitionKey": "p1", "data": encoded(data)},
        "eventSource": "aws:kinesis",
    }


def kafka(value: str, key: str | None = None) -> dict[str, Any]:
    return {
        "topic": "t1",
        "key": None if key is None else encoded(key),
        "value": encoded(value),
    }


DYNAMODB = {
    "eventName": "INSERT",
    "dynamodb": {"Keys": {"city": {"S": "Rome"}}, "NewImage": {"degrees": {"N": "21"}}},
}


def passes(record: dict[str, Any], source: Source, *patterns: dict[str, Any]) -> bool:
    filters = FilterSet.compile([json.dumps(pattern) for pattern in patterns])
    return filters.matches_record(record, source)


@pytest.mark.parametrize(
    ("data", "pattern", "expected"),
    [
        (JSON_DATA, JSON_PATTERN, True),
        (JSON_DATA, OTHER_JSON_PATTERN, False),
        (STRING_DATA, STRING_PATTERN, True),
        (STRING_DATA, OTHER_STRING_PATTERN, False),
        (STRING_DATA, JSON_PATTERN, False),
        (STRING_DATA, {"city": [{"exists": False}]}, False),
        (JSON_DATA, STRING_PATTERN, False),
        (JSON_DATA, [{"anything-but": "x"}], False),
        (JSON_DATA, [{"exists": True}], False),
        ('[{"city":"Oslo"},{"city":"Rome"}]', JSON_PATTERN, True),
        ("5", ["5"], True),  # a scalar is a string here, as it has nothing inside
        ("5", [5], False),
        ('{"city":', ['{"city":'], True),  # not JSON after all
    ],
)
def test_a_message_from_sqs_is_dropped_when_its_body_is_of_another_kind(
    data: str, pattern: Any, expected: bool
) -> None:
    assert passes(sqs(data), Source.SQS, {"body": pattern}) is expected
    assert passes(sqs(data), Source.SQS, {"body": pattern, "messageId": ["m1"]}) is expected
    assert not passes(sqs(data), Source.SQS, {"body": pattern, "messageId": ["m2"]})


@pytest.mark.parametrize(
    ("data", "pattern", "expected"),
    [
        (JSON_DATA, JSON_PATTERN, True),
        (JSON_DATA, OTHER_JSON_PATTERN, False),
        (STRING_DATA, JSON_PATTERN, False),
    ],
)
def test_a_record_from_kinesis_is_dropped_when_its_data_are_no_json(
    data: str, pattern: Any, expected: bool
) -> None:
    record = kinesis(data)
    assert passes(record, Source.KINESIS, {"data": pattern}) is expected
    assert passes(record, Source.KINESIS, {"data": pattern, "partitionKey": ["p1"]}) is expected
    assert not passes(record, Source.KINESIS, {"data": pattern, "partitionKey": ["p2"]})


def test_data_that_are_no_text_match_no_pattern_for_them() -> None:
    record = kinesis("")
    for raw in ("/w==", "a"):  # no UTF-8, no base64
        record["kinesis"]["data"] = raw
        assert not passes(record, Source.KINESIS, {"data": JSON_PATTERN})
        assert passes(record, Source.KINESIS, {"partitionKey": ["p1"]})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"dynamodb": {"Keys": {"city": {"S": ["Rome"]}}}}, True),
        ({"dynamodb": {"Keys": {"city": {"S": ["Oslo"]}}}}, False),
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["REMOVE"]}, False),
        ({"eventName": ["REMOVE"], "dynamodb": {"Keys": {"city": {"S": ["Rome"]}}}}, False),
        # Numbers are strings in DynamoDB's records.
        ({"dynamodb": {"NewImage": {"degrees": {"N": ["21"]}}}}, True),
        ({"dynamodb": {"NewImage": {"degrees": {"N": [{"numeric": ["=", 21]}]}}}}, False),
    ],
)
def test_a_record_from_dynamodb_is_json_already(pattern: dict[str, Any], expected: bool) -> None:
    assert passes(DYNAMODB, Source.DYNAMODB, pattern) is expected


@pytest.mark.parametrize("field", ["key", "value"])
@pytest.mark.parametrize(
    ("data", "pattern", "expected"),
    [
        (JSON_DATA, JSON_PATTERN, True),
        (JSON_DATA, OTHER_JSON_PATTERN, False),
        (STRING_DATA, STRING_PATTERN, True),
        (STRING_DATA, OTHER_STRING_PATTERN, False),
        (STRING_DATA, JSON_PATTERN, True),
        (JSON_DATA, STRING_PATTERN, True),
    ],
)
def test_a_record_from_kafka_is_filtered_by_its_metadata_when_data_are_of_another_kind(
    field: str, data: str, pattern: Any, expected: bool
) -> None:
    record = kafka(**{"value": "", field: data})
    assert passes(record, Source.KAFKA, {field: pattern}) is expected
    assert passes(record, Source.KAFKA, {field: pattern, "topic": ["t1"]}) is expected
    assert not passes(record, Source.KAFKA, {field: pattern, "topic": ["t2"]})


def test_a_key_from_kafka_that_is_null_is_null() -> None:
    assert passes(kafka("v"), Source.KAFKA, {"key": [None]})
    assert not passes(kafka("v"), Source.KAFKA, {"key": ["k"]})
    assert not passes(kafka("v"), Source.KAFKA, {"key": JSON_PATTERN})


@pytest.mark.parametrize(
    ("record", "source", "good", "bad"),
    [
        (sqs(JSON_DATA), Source.SQS, {"messageId": ["m1"]}, {"messageId": ["m2"]}),
        (sqs(STRING_DATA), Source.SQS, {"messageId": ["m1"]}, {"messageId": ["m2"]}),
        (kinesis(JSON_DATA), Source.KINESIS, {"partitionKey": ["p1"]}, {"partitionKey": ["p2"]}),
        (kinesis(STRING_DATA), Source.KINESIS, {"partitionKey": ["p1"]}, {"partitionKey": ["p"]}),
        (kafka(JSON_DATA), Source.KAFKA, {"topic": ["t1"]}, {"topic": ["t2"]}),
        (kafka(STRING_DATA), Source.KAFKA, {"topic": ["t1"]}, {"topic": ["t2"]}),
        (DYNAMODB, Source.DYNAMODB, {"eventName": ["INSERT"]}, {"eventName": ["MODIFY"]}),
    ],
)
def test_without_a_pattern_for_data_only_metadata_are_filtered(
    record: dict[str, Any], source: Source, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    assert passes(record, source, good)
    assert not passes(record, source, bad)


def test_a_record_stays_as_it_was() -> None:
    record = kinesis(JSON_DATA)
    assert passes(record, Source.KINESIS, {"data": JSON_PATTERN})
    assert record == kinesis(JSON_DATA)


@pytest.mark.parametrize(
    ("source", "field"), [(Source.KINESIS, "data"), (Source.DYNAMODB, "dynamodb")]
)
def test_a_string_pattern_for_data_that_are_json_is_refused_at_create(
    source: Source, field: str
) -> None:
    for pattern in (
        {field: ["x"]},
        {field: [{"exists": True}]},
        {"$or": [{"eventName": ["x"]}, {field: ["x"]}]},
    ):
        with pytest.raises(InvalidPattern, match=r"^Invalid filter pattern definition\.$"):
            FilterSet.compile(['{"a":[1]}', json.dumps(pattern)]).check_for(source)
    FilterSet.compile([json.dumps({field: {"a": ["x"], field: ["x"]}})]).check_for(source)
    FilterSet().check_for(source)


@pytest.mark.parametrize(("source", "field"), [(Source.SQS, "body"), (Source.KAFKA, "key")])
def test_a_string_pattern_for_data_that_may_be_strings_is_not_refused(
    source: Source, field: str
) -> None:
    text = json.dumps({field: ["x"]})
    filters = FilterSet.compile([text])
    filters.check_for(source)
    assert [pattern.text for pattern in filters.patterns] == [text]


def test_data_are_read_when_a_pattern_asks_for_them_and_once() -> None:
    reads = []

    def decode(raw: str) -> str:
        reads.append(raw)
        return raw

    record = {"body": Content(JSON_DATA, decode, ignored=False), "messageId": "m1"}
    assert not FilterSet.compile(['{"messageId":["m2"]}', '{"id":[1]}']).matches(record)
    assert not reads
    asking = ['{"body":["x"]}', '{"body":{"city":["Oslo"]}}', '{"body":{"city":["Rome"]}}']
    assert FilterSet.compile(asking).matches(record)
    assert reads == [JSON_DATA]


def test_an_empty_set_lets_everything_through() -> None:
    assert FilterSet().matches({})
    assert FilterSet.compile([]).matches_record(sqs("x"), Source.SQS)


def test_one_pattern_that_is_none_spoils_a_set() -> None:
    with pytest.raises(InvalidPattern):
        FilterSet.compile(['{"a":[1]}', '{"a":1}'])


@given(
    wanted=st.lists(st.sets(st.integers(0, 5), min_size=1), max_size=limits.FILTERS),
    value=st.integers(0, 5),
)
def test_a_set_matches_what_any_of_its_patterns_matches(wanted: list[set[int]], value: int) -> None:
    filters = FilterSet.compile([json.dumps({"a": sorted(some)}) for some in wanted])
    event = load(json.dumps({"a": value}))
    assert filters.matches(event) is (not wanted or any(value in some for some in wanted))
    assert filters.matches_record({"body": json.dumps({"a": value})}, Source.SQS) is (not wanted)
