"""Event source mappings as tools deploy them, with moto's SQS, Kinesis and DynamoDB beside the
engine: the calls of Terraform's AWS provider (`provider`), and those of CloudFormation for the
events of SAM's AWS::Serverless::Function. Neither tool is run here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api import neighbour
from tests.api.neighbour import Neighbour
from tests.e2e.conftest import served
from tests.e2e.house import AT_ONCE, new
from tests.e2e.provider import EventSourceMapping

ACCOUNT = "123456789012"  # moto's
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbour]:
    with neighbour.running(tmp_path_factory.mktemp("moto")) as made:
        yield made


@pytest.fixture
def reading(moto: Neighbour, tmp_path: Path) -> Iterator[Any]:
    """A client of an engine that reads what is beside it, and has the functions f and g."""
    flags = ("--aws-endpoint", moto.url, "--account-id", ACCOUNT)
    with served(tmp_path / "data", *flags) as engine:
        client = engine.client()
        try:
            for name in ("f", "g"):
                client.create_function(**new(name))
                waiter = client.get_waiter("function_active_v2")
                waiter.wait(FunctionName=name, WaiterConfig=AT_ONCE)
            yield client
        finally:
            client.close()


@pytest.fixture
def sources(moto: Neighbour) -> dict[str, str]:
    """ARNs of a queue, of a stream and of a table's stream."""
    with moto.client("sqs") as sqs, moto.client("kinesis") as kinesis:
        sqs.create_queue(QueueName="q")
        if "s" not in kinesis.list_streams()["StreamNames"]:
            kinesis.create_stream(StreamName="s", ShardCount=1)
        kinesis.get_waiter("stream_exists").wait(StreamName="s")
    with moto.client("dynamodb") as dynamodb:
        if "teas" not in dynamodb.list_tables()["TableNames"]:
            dynamodb.create_table(
                TableName="teas",
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            )
        table = dynamodb.describe_table(TableName="teas")["Table"]["LatestStreamArn"]
    return {
        "queue": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q",
        "stream": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s",
        "table": table,
    }


def filters(*patterns: dict[str, Any]) -> dict[str, Any]:
    return {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}


def applied(mapping: EventSourceMapping, *blocks: dict[str, Any]) -> None:
    """Each block after the one before, and then nothing; no plan is left over after any."""
    before, *others = blocks
    states = [mapping.create(before)]
    assert mapping.plan(before, states[0]) == {}
    for given in others:
        states.append(mapping.update(before, given))
        assert mapping.plan(given, states[-1]) == {}
        assert mapping.read() == states[-1]
        before = given
    mapping.delete()


def test_terraform_and_a_queue(reading: Any, sources: dict[str, str]) -> None:
    least = {"EventSourceArn": sources["queue"], "FunctionName": "f"}
    applied(
        EventSourceMapping(reading),
        least,
        {
            **least,
            "BatchSize": 50,
            "MaximumBatchingWindowInSeconds": 2,
            "FilterCriteria": filters({"body": {"kind": ["tea"]}}),
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 5},
            "MetricsConfig": {"Metrics": ["EventCount"]},
            "Tags": {"team": "tea", "stage": "dev"},
        },
        {**least, "BatchSize": 10, "Enabled": False, "Tags": {"team": "coffee"}},
        {**least, "BatchSize": 10, "FunctionName": f"{FUNCTION[:-1]}g"},
        least,
    )
    assert reading.list_event_source_mappings()["EventSourceMappings"] == []


def test_terraform_and_a_stream(reading: Any, sources: dict[str, str]) -> None:
    least = {
        "EventSourceArn": sources["stream"],
        "FunctionName": FUNCTION,
        "StartingPosition": "TRIM_HORIZON",
    }
    much = {
        **least,
        "BatchSize": 7,
        "BisectBatchOnFunctionError": True,
        "DestinationConfig": {"OnFailure": {"Destination": sources["queue"]}},
        "MaximumRecordAgeInSeconds": 60,
        "MaximumRetryAttempts": 0,
        "ParallelizationFactor": 2,
    }
    applied(
        EventSourceMapping(reading),
        much,
        {**much, "BisectBatchOnFunctionError": False, "MaximumRetryAttempts": 3},
        {**much, "Enabled": False},
    )
    applied(
        EventSourceMapping(reading),
        least,
        {**least, "FilterCriteria": filters({"data": {"kind": ["tea"]}})},
    )


def test_terraform_and_a_topic(reading: Any, sources: dict[str, str]) -> None:
    """There need not be anybody who answers there: that shows in LastProcessingResult."""
    least = {
        "FunctionName": "f",
        "SelfManagedEventSource": {
            "Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:2", "127.0.0.1:1"]}
        },
        "SourceAccessConfigurations": access("subnet:b", "subnet:a"),
        "StartingPosition": "TRIM_HORIZON",
        "Topics": ["tea"],
    }
    grouped = {**least, "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "readers"}}
    provisioned = {
        **grouped,
        "BatchSize": 7,
        "BisectBatchOnFunctionError": True,
        "DestinationConfig": {"OnFailure": {"Destination": "kafka://dead"}},
        "FilterCriteria": filters({"value": {"kind": ["tea"]}}),
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumBatchingWindowInSeconds": 2,
        "MaximumRecordAgeInSeconds": 60,
        "MaximumRetryAttempts": 3,
        "ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 5},
    }
    applied(
        EventSourceMapping(reading),
        grouped,
        {**grouped, "SourceAccessConfigurations": access("subnet:c", "subnet:b")},
        {**grouped, "Enabled": False, "BatchSize": 50, "MaximumBatchingWindowInSeconds": 1},
        grouped,
        provisioned,
        {
            **provisioned,
            "ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": 9},
            "MaximumRetryAttempts": 0,
            "DestinationConfig": {"OnFailure": {"Destination": sources["queue"]}},
        },
        {
            **grouped,
            "DestinationConfig": {"OnFailure": {"Destination": sources["queue"]}},
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1,
        },
    )
    applied(EventSourceMapping(reading), least, {**least, "Tags": {"team": "tea"}}, least)
    applied(EventSourceMapping(reading), provisioned, provisioned)


def access(*subnets: str) -> list[dict[str, str]]:
    return [{"Type": "VPC_SUBNET", "URI": subnet} for subnet in subnets]


def test_terraform_comes_while_something_is_under_way(
    reading: Any, sources: dict[str, str]
) -> None:
    mapping = EventSourceMapping(reading)
    given = {"EventSourceArn": sources["queue"], "FunctionName": "f"}
    mapping.create(given)
    reading.update_event_source_mapping(UUID=mapping.uuid, Enabled=False)
    disabled = {**given, "Enabled": False}
    assert mapping.plan(disabled, mapping.update(given, {**disabled, "BatchSize": 3})) == {}
    reading.update_event_source_mapping(UUID=mapping.uuid, Enabled=True)
    mapping.delete()


@pytest.mark.parametrize(
    ("source", "properties"),
    [
        ("queue", {"BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": 2}}),
        ("stream", {"StartingPosition": "LATEST", "BatchSize": 100, "MaximumRetryAttempts": 2}),
        ("table", {"StartingPosition": "TRIM_HORIZON", "BisectBatchOnFunctionError": True}),
    ],
)
def test_events_of_sam(
    reading: Any, sources: dict[str, str], source: str, properties: dict[str, Any]
) -> None:
    """What CloudFormation does with the AWS::Lambda::EventSourceMapping that SAM makes of an event:
    all properties at a first deployment and at each later one, waits in between, and a read."""
    reading.publish_version(FunctionName="f")
    reading.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    asked = {
        "EventSourceArn": sources[source],
        "FunctionName": f"{FUNCTION}:live",
        "Enabled": True,
        **properties,
    }
    made = reading.create_event_source_mapping(**asked, Tags={"lambda:createdBy": "SAM"})
    settled(reading, made["UUID"], "Enabled")
    tags = reading.list_tags(Resource=made["EventSourceMappingArn"])["Tags"]
    assert tags == {"lambda:createdBy": "SAM"}
    found = reading.list_event_source_mappings(
        FunctionName=f"{FUNCTION}:live", EventSourceArn=sources[source]
    )["EventSourceMappings"]
    assert [one["UUID"] for one in found] == [made["UUID"]]
    # These are never changed: another one is made instead.
    kept = {"EventSourceArn", "StartingPosition"}
    later = {name: value for name, value in asked.items() if name not in kept}
    reading.update_event_source_mapping(UUID=made["UUID"], **{**later, "BatchSize": 5})
    now = settled(reading, made["UUID"], "Enabled")
    assert (now["BatchSize"], now["FunctionArn"]) == (5, f"{FUNCTION}:live")
    assert {name: now[name] for name in properties if name != "BatchSize"} == {
        name: value for name, value in properties.items() if name != "BatchSize"
    }
    reading.delete_event_source_mapping(UUID=made["UUID"])
    assert settled(reading, made["UUID"], "gone") == {}


def settled(aws: Any, uuid: str, wanted: str) -> dict[str, Any]:
    """A mapping once it is in a state that it stays in, which is the one that is `wanted`."""
    while True:
        try:
            found: dict[str, Any] = aws.get_event_source_mapping(UUID=uuid)
        except aws.exceptions.ResourceNotFoundException:
            assert wanted == "gone"
            return {}
        if found["State"] in ("Enabled", "Disabled"):
            assert found["State"] == wanted
            return found
