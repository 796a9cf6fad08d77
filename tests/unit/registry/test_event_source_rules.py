"""What AWS demands of event source mappings, of queues and of streams."""

from __future__ import annotations

from typing import Any

import pytest

from samovar.errors import AWS, ClientError
from samovar.model.event_source import EventSourceMapping, StartingPosition
from samovar.registry.event_source_rules import check, read_source

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/tea/stream/2025-11-25T16:35:32.123"
LATEST, AT = StartingPosition.LATEST, StartingPosition.AT_TIMESTAMP
UNSUPPORTED = "Unsupported {} parameter for given event source mapping type."


def refused(source: str, **given: Any) -> str:
    """What is said of a mapping; nothing of one that can be."""
    try:
        check(EventSourceMapping("uuid", FUNCTION, source, **given))
    except ClientError as error:
        assert error.error in (AWS.INVALID_PARAMETER, AWS.VALIDATION)
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, ""),
        (
            {"starting_position": LATEST},
            "StartingPosition is not valid for SQS event sources.",
        ),
        ({"starting_at": 1.0}, UNSUPPORTED.format("StartingPositionTimestamp")),
        ({"retries": 0}, UNSUPPORTED.format("MaximumRetryAttempts")),
        ({"record_age": 60}, UNSUPPORTED.format("MaximumRecordAgeInSeconds")),
        ({"bisect": True}, UNSUPPORTED.format("BisectBatchOnFunctionError")),
        ({"parallelization": 2}, UNSUPPORTED.format("ParallelizationFactor")),
        ({"tumbling_window": 60}, UNSUPPORTED.format("TumblingWindowInSeconds")),
        ({"on_failure": QUEUE}, UNSUPPORTED.format("DestinationConfig")),
    ],
)
def test_what_is_for_streams_alone(given: dict[str, Any], text: str) -> None:
    assert refused(QUEUE, **given) == text


@pytest.mark.parametrize("source", [STREAM, TABLE])
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"batch_size": 10000}, ""),
        ({"retries": -1, "record_age": -1}, ""),
        ({"retries": 10000, "record_age": 604800}, ""),
        ({"retries": 0, "record_age": 60, "parallelization": 10}, ""),
        ({"on_failure": QUEUE}, ""),
        ({"on_failure": "arn:aws:sns:us-east-1:123456789012:t"}, ""),
        ({"on_failure": "arn:aws:s3:::bucket"}, ""),
        ({"batch_size": 10001}, "'batchSize'"),
        ({"retries": -2}, "'maximumRetryAttempts'"),
        ({"retries": 10001}, "'maximumRetryAttempts'"),
        ({"record_age": 604801}, "'maximumRecordAgeInSeconds'"),
        ({"record_age": 0}, "MaximumRecordAgeInSeconds is -1 or at least 60, and not 0."),
        ({"record_age": 59}, "MaximumRecordAgeInSeconds is -1 or at least 60, and not 59."),
        ({"parallelization": 11}, "'parallelizationFactor'"),
        ({"parallelization": 0}, "'parallelizationFactor'"),
        ({"tumbling_window": 900}, ""),
        ({"tumbling_window": 901}, "'tumblingWindowInSeconds'"),
        ({"tumbling_window": -1}, "'tumblingWindowInSeconds'"),
        ({"tumbling_window": 60, "parallelization": 2}, "ParallelizationFactor must be 1"),
        ({"maximum_concurrency": 2}, UNSUPPORTED.format("ScalingConfig")),
        ({"starting_position": None}, "Value null at 'startingPosition'"),
        ({"starting_at": 1.0}, "StartingPositionTimestamp is not valid"),
        ({"on_failure": f"{QUEUE}.fifo"}, f"onFailure=OnFailure(destination={QUEUE}.fifo))"),
        ({"on_failure": FUNCTION}, f"onFailure=OnFailure(destination={FUNCTION}))"),
        ({"on_failure": "nowhere"}, "onFailure=OnFailure(destination=nowhere))"),
    ],
)
def test_a_stream(source: str, given: dict[str, Any], text: str) -> None:
    said = refused(source, **{"starting_position": LATEST, **given})
    assert text in said
    assert bool(said) == bool(text)


def test_a_moment_is_for_kinesis_alone() -> None:
    assert not refused(STREAM, starting_position=AT, starting_at=1.0)
    assert "is required" in refused(STREAM, starting_position=AT)
    said = refused(TABLE, starting_position=AT, starting_at=1.0)
    assert said == f"Unsupported starting position for arn type: {TABLE}"


@pytest.mark.parametrize("arn", [QUEUE, STREAM, TABLE])
def test_sources(arn: str) -> None:
    source = read_source(arn, region="us-east-1")
    assert (source.arn, source.is_stream) == (arn, arn != QUEUE)


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        (None, "Unrecognized event source."),
        (f"{STREAM}/consumer/c:1", "enhanced fan-out"),
        (STREAM.replace("us-east-1", "eu-west-1"), "is in another Region"),
        (TABLE.partition("/stream/")[0], "Unrecognized event source."),
    ],
)
def test_what_is_no_source(arn: str | None, text: str) -> None:
    with pytest.raises(ClientError, match=text):
        read_source(arn, region="us-east-1")
