"""Which mappings of Kafka there can be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from samovar.errors import AWS, ClientError
from samovar.model.event_source import EventSourceMapping, StartingPosition
from samovar.registry.event_source_rules import check, read_source
from samovar.registry.kafka_rules import check_timeout

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
MSK = "arn:aws:kafka:us-east-1:123456789012:cluster/c/1-2"
SUBNET = ("VPC_SUBNET", "subnet:s")
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"


def mapping(arn: str = "", **changes: Any) -> EventSourceMapping:
    given = {
        "batch_size": 100,
        "window": 0.5,
        "starting_position": StartingPosition.TRIM_HORIZON,
        "topic": "t",
        **({} if arn else {"servers": ("h:9092",), "access": (SUBNET,)}),
        **changes,
    }
    return EventSourceMapping("", FUNCTION, arn, **given)


PROVISIONED = {"least_pollers": 1, "most_pollers": 5}


@pytest.mark.parametrize(
    ("arn", "changes"),
    [
        ("", {}),
        ("", {"servers": ("[::1]:9092", "a.b-c:1")}),
        ("", {"access": (SUBNET, ("BASIC_AUTH", SECRET), ("SERVER_ROOT_CA_CERTIFICATE", SECRET))}),
        ("", {"starting_position": StartingPosition.AT_TIMESTAMP, "starting_at": 5.0}),
        ("", {"on_failure": "arn:aws:sqs:us-east-1:123456789012:q"}),
        ("", {"metrics": ("EventCount", "ErrorCount", "KafkaMetrics")}),
        ("", {**PROVISIONED, "retries": 3, "record_age": 60, "bisect": True}),
        ("", {**PROVISIONED, "report_failures": True, "on_failure": "kafka://dead"}),
        (MSK, {}),
        (MSK, {"access": (("SASL_SCRAM_512_AUTH", SECRET),)}),
    ],
)
def test_what_there_can_be(arn: str, changes: dict[str, Any]) -> None:
    check(mapping(arn, **changes))


@pytest.mark.parametrize(
    ("arn", "changes", "words"),
    [
        ("", {"access": ()}, "Required 'sourceAccessConfigurations' parameter is missing."),
        ("", {"topic": None}, "Topics is required"),
        ("", {"topic": "a b"}, "no name of a topic"),
        ("", {"servers": ("h",)}, "no bootstrap server"),
        ("", {"servers": ("h:0",)}, "no bootstrap server"),
        ("", {"servers": ("h:65536",)}, "no bootstrap server"),
        ("", {"starting_position": None}, "Value null at 'startingPosition'"),
        ("", {"starting_position": StartingPosition.AT_TIMESTAMP}, "StartingPositionTimestamp"),
        ("", {"starting_at": 5.0}, "StartingPositionTimestamp"),
        ("", {"parallelization": 2}, "Unsupported ParallelizationFactor parameter"),
        ("", {"tumbling_window": 2}, "Unsupported TumblingWindowInSeconds parameter"),
        ("", {"maximum_concurrency": 2}, "Unsupported ScalingConfig parameter"),
        ("", {"access": (("VIRTUAL_HOST", "/"),)}, "can't be of type VIRTUAL_HOST"),
        (
            "",
            {"access": (("BASIC_AUTH", SECRET), ("SASL_SCRAM_256_AUTH", SECRET))},
            "more than one way",
        ),
        ("", {"access": (("SERVER_ROOT_CA_CERTIFICATE", SECRET),) * 2}, "more than one SERVER"),
        (MSK, {"access": (("BASIC_AUTH", SECRET),)}, "can't be of type BASIC_AUTH"),
        ("", {"retries": 3}, "MaximumRetryAttempts of a Kafka event source needs provisioned"),
        ("", {"record_age": 60}, "MaximumRecordAgeInSeconds of a Kafka event source needs"),
        ("", {"bisect": True}, "BisectBatchOnFunctionError of a Kafka event source needs"),
        ("", {"report_failures": True}, "FunctionResponseTypes of a Kafka event source needs"),
        ("", {"on_failure": "kafka://dead"}, "needs provisioned mode"),
        ("", {**PROVISIONED, "on_failure": "kafka://t"}, "can't be the one that is read"),
        ("", {**PROVISIONED, "on_failure": "kafka://a/b"}, "names no topic"),
        ("", {**PROVISIONED, "on_failure": "kafka:/"}, "is invalid"),
        ("", {**PROVISIONED, "retries": 10001}, "maximumRetryAttempts"),
        ("", {**PROVISIONED, "record_age": 59}, "at least 60"),
        ("", {"least_pollers": 0, "most_pollers": 5}, "minimumPollers"),
        ("", {"least_pollers": 1, "most_pollers": 2001}, "maximumPollers"),
        ("", {"least_pollers": 6, "most_pollers": 5}, "are more than MaximumPollers"),
        ("", {"batch_size": 10001}, "batchSize"),
        ("", {"window": 301}, "maximumBatchingWindowInSeconds"),
    ],
)
def test_what_there_can_not_be(arn: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError) as refused:
        check(mapping(arn, **changes))
    assert words in refused.value.message
    assert refused.value.error in (AWS.INVALID_PARAMETER, AWS.VALIDATION)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"topic": "t"}, "Unsupported Topics parameter"),
        ({"access": (SUBNET,)}, "Unsupported SourceAccessConfigurations parameter"),
        ({"consumer_group": "g"}, "Unsupported ConsumerGroupId parameter"),
        ({"metrics": ("KafkaMetrics",)}, "KafkaMetrics is among the metrics of Kafka"),
        ({"on_failure": "kafka://t"}, "DestinationConfig"),
    ],
)
def test_what_only_kafka_has(changes: dict[str, Any], words: str) -> None:
    queue = "arn:aws:sqs:us-east-1:123456789012:q"
    with pytest.raises(ClientError) as refused:
        check(EventSourceMapping("", FUNCTION, queue, **changes))
    assert words in refused.value.message


def test_a_source_is_an_arn_or_servers() -> None:
    assert read_source(None, ("h:1", "i:2"), region="us-east-1").name == "h:1,i:2"
    assert read_source(MSK, region="us-east-1").is_kafka
    for arn in ("arn:aws:self-managed-kafka:us-east-1:123456789012:x", f"{MSK}/3", ""):
        with pytest.raises(ClientError, match=r"Unrecognized event source\."):
            read_source(arn, region="us-east-1")
    with pytest.raises(ClientError, match="not both"):
        read_source(MSK, ("h:1",), region="us-east-1")


def test_functions_of_kafka_end_within_fourteen_minutes() -> None:
    check_timeout(840)
    with pytest.raises(ClientError, match="840"):
        check_timeout(841)


def test_what_was_stored_is_read_again() -> None:

    given = mapping(consumer_group="g", **PROVISIONED, metrics=("EventCount",))
    document = json.loads(json.dumps(given.document()))
    assert EventSourceMapping.of("", "", document) == given
    earlier = {"function_arn": FUNCTION, "source_arn": MSK, "event_metrics": True, "filters": []}
    assert EventSourceMapping.of("", "", earlier).metrics == ("EventCount",)
