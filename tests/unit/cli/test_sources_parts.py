"""What `samovar sources` shows and asks for, without an engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import pytest
from click.testing import CliRunner

from samovar.doors.cli.exits import Exit
from samovar.doors.cli.main import main
from samovar.doors.cli.sources import asking, shown
from samovar.doors.cli.sources.asking import counts_of, with_counts
from samovar.doors.cli.sources.topics import source
from samovar.doors.cli.sources.wishes import setting_options, wishes
from samovar.metrics.event_sources import SourceNumbers
from samovar.metrics.prometheus import PrometheusObserver

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:audit"
KINESIS = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-31T00:00:00.000"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:uploads"
CLUSTER = "arn:aws:kafka:us-east-1:123456789012:cluster/news/6cc0432b-8618-4f44-bccc-e1fbd8fb7c4d-2"
STREAM: dict[str, Any] = {
    "UUID": "u",
    "State": "Enabled",
    "StateTransitionReason": "User action",
    "FunctionArn": f"{FUNCTION}:live",
    "EventSourceArn": KINESIS,
    "BatchSize": 100,
    "LastModified": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "LastProcessingResult": "OK",
    "StartingPosition": "AT_TIMESTAMP",
    "StartingPositionTimestamp": datetime(2026, 1, 30, tzinfo=UTC),
    "MaximumRetryAttempts": 3,
    "MaximumRecordAgeInSeconds": 60,
    "BisectBatchOnFunctionError": True,
    "ParallelizationFactor": 4,
    "TumblingWindowInSeconds": 0,
    "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
}


def page(**mappings: SourceNumbers) -> str:
    """What an engine would answer at /_samovar/metrics."""
    observer = PrometheusObserver()
    observer.watch_sources(lambda: mappings)
    return observer.text().decode()


def busy() -> SourceNumbers:
    numbers = SourceNumbers()
    numbers.events.update({"polled": 1200, "failed": 3, "dropped": 2, "delivered": 2})
    numbers.errors["AccessDenied"] = 4
    numbers.delivery_errors["sqs"] = 1
    numbers.pollers = 2
    numbers.ages = {"s": 90.0}
    numbers.lags.update({"tea-0": 1000, "tea-1": 500})
    return numbers


def test_what_is_counted_is_read_from_the_metrics() -> None:
    assert counts_of(page(u=busy(), idle=SourceNumbers())) == {
        "u": {
            "events": {"polled": 1200, "failed": 3, "dropped": 2, "delivered": 2},
            "errors": {"AccessDenied": 4},
            "delivery_errors": {"sqs": 1},
            "pollers": 2,
            "iterator_age_milliseconds": 90_000.0,
            "offset_lag": 1500,
        },
        "idle": {
            "events": {},
            "errors": {},
            "delivery_errors": {},
            "pollers": 0,
            "iterator_age_milliseconds": None,
            "offset_lag": None,
        },
    }
    assert counts_of("") == {}


def test_rows_of_a_table() -> None:
    (row,) = shown.rows([STREAM], counts_of(page(u=busy())))
    assert row == {
        "UUID": "u",
        "state": "Enabled",
        "source": "kinesis:clicks",
        "function": "audit:live",
        "batch": "100",
        "last result": "OK",
        "age": "90 s",
        "lag": "1,500",
        "pollers": "2",
        "polled": "1,200",
        "failed": "3",
        "dropped": "2",
        "delivered": "2",
        "errors": "4 AccessDenied",
    }
    # Another engine, or AWS: nobody tells what is counted.
    (row,) = shown.rows([STREAM], None)
    assert (row["polled"], "errors" in row, "age" in row) == ("-", False, False)
    assert with_counts([STREAM], None)[0]["Metrics"] is None


def test_all_columns_that_may_be_left_out_are_there() -> None:
    (row,) = shown.rows([STREAM], counts_of(page(u=busy())))
    assert {*shown.LEFT_OUT_FIRST} - {*row} == {"filtered"}
    assert {*shown.RIGHT} - {*row} == {"filtered"}


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"EventSourceArn": QUEUE}, "sqs:uploads"),
        ({"EventSourceArn": KINESIS}, "kinesis:clicks"),
        ({"EventSourceArn": TABLE}, "dynamodb:orders"),
        ({"EventSourceArn": CLUSTER, "Topics": ["tea"]}, "kafka:news:tea"),
        ({"SelfManagedEventSource": {"Endpoints": {}}, "Topics": ["tea"]}, "kafka:tea"),
    ],
)
def test_sources_have_short_names(mapping: dict[str, Any], text: str) -> None:
    assert shown.source_text(mapping) == text


def test_details_of_a_stream() -> None:
    lines = dict(shown.details(STREAM, counts_of(page(u=busy()))["u"]))
    assert lines["begins at"] == "AT_TIMESTAMP 2026-01-30T00:00:00+00:00"
    assert lines["retries"] == "3, in halves"
    assert lines["given up"] == "when older than 60 s"
    assert lines["at once"] == "4 of each shard"
    assert lines["on failure"] == "sqs:uploads"
    assert lines["modified"] == "2026-01-31 12:00:00 UTC"
    assert lines["records"] == "1,200 polled, 3 failed, 2 dropped, 2 delivered"
    assert (lines["errors"], lines["not told"]) == ("4 AccessDenied", "1 sqs")
    assert "records" not in dict(shown.details(STREAM, None))
    endless = {**STREAM, "MaximumRetryAttempts": -1, "BisectBatchOnFunctionError": False}
    assert dict(shown.details(endless, None))["retries"] == "without an end"


TOPIC: dict[str, Any] = {
    **{name: value for name, value in STREAM.items() if not name.startswith(("Event", "Para"))},
    "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["h:9092", "i:9092"]}},
    "Topics": ["tea"],
    "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "readers"},
    "SourceAccessConfigurations": [{"Type": "VPC_SUBNET", "URI": "subnet:none"}],
    "ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 9},
    "DestinationConfig": {"OnFailure": {"Destination": "kafka://dead"}},
}


def test_details_of_a_topic() -> None:
    lines = dict(shown.details(TOPIC, counts_of(page(u=busy()))["u"]))
    assert (lines["source"], lines["topic"]) == ("kafka:tea", "tea")
    assert lines["servers"] == "h:9092, i:9092"
    assert lines["group"] == "readers"
    assert lines["access"] == "VPC_SUBNET=subnet:none"
    assert lines["provisioned"] == "1 to 9 pollers"
    assert (lines["retries"], lines["on failure"]) == ("3, in halves", "kafka://dead")
    assert lines["lag"] == "1,500 records"
    endless = {**TOPIC, "MaximumRetryAttempts": -1}
    assert dict(shown.details(endless, None))["retries"] == "10, in halves"
    of_msk = {
        "EventSourceArn": CLUSTER,
        "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
    }
    lines = dict(shown.details({**STREAM, **of_msk, "Topics": ["tea"]}, None))
    assert (lines["source"], lines["topic"], lines["group"]) == (CLUSTER, "tea", "g")


def asked(*arguments: str) -> dict[str, Any]:
    """What options come to."""
    found: dict[str, Any] = {}

    @click.command()
    @setting_options
    def command(**given: Any) -> None:
        found.update(wishes(given))

    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return found


def test_options_are_the_parameters_of_the_api() -> None:
    assert asked() == {}
    assert asked(
        *("--batch-size", "5", "--window", "0", "--retries", "-1", "--record-age", "60"),
        *("--bisect", "--parallelization", "2", "--tumbling-window", "30"),
        *("--filter", '{"a": [1]}', "--filter", '{"b": [2]}', "--report-failures"),
        *("--maximum-concurrency", "9", "--on-failure", QUEUE, "--pollers", "3-40"),
        *("--access", "vpc_subnet=subnet:none", "--access", "BASIC_AUTH=arn:a=b"),
    ) == {
        "BatchSize": 5,
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 60,
        "BisectBatchOnFunctionError": True,
        "ParallelizationFactor": 2,
        "TumblingWindowInSeconds": 30,
        "FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}, {"Pattern": '{"b": [2]}'}]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 9},
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
        "ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 40},
        "SourceAccessConfigurations": [
            {"Type": "VPC_SUBNET", "URI": "subnet:none"},
            {"Type": "BASIC_AUTH", "URI": "arn:a=b"},
        ],
    }
    assert asked(
        *("--filter", "none", "--no-report-failures", "--maximum-concurrency", "none"),
        *("--on-failure", "none", "--no-bisect", "--pollers", "none", "--access", "none"),
    ) == {
        "FilterCriteria": {"Filters": []},
        "FunctionResponseTypes": [],
        "ScalingConfig": {},
        "DestinationConfig": {"OnFailure": {}},
        "BisectBatchOnFunctionError": False,
        "ProvisionedPollerConfig": {},
        "SourceAccessConfigurations": [],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("--filter", "body"),
        ("--filter", "[1]"),
        ("--filter", "none", "--filter", "{}"),
        ("--maximum-concurrency", "many"),
        ("--starting-position", "yesterday"),
        ("--parallelization", "11"),
        ("--pollers", "3"),
        ("--pollers", "-1-3"),
        ("--access", "VPC_SUBNET"),
        ("--access", "=subnet:none"),
        ("--access", "none", "--access", "VPC_SUBNET=subnet:none"),
        ("--bootstrap-server", "127.0.0.1:9092"),  # beside an ARN
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    arguments: tuple[str, ...],
) -> None:
    nobody = {"AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1"}
    done = CliRunner(env=nobody).invoke(main, ["sources", "create", "f", QUEUE, *arguments])
    assert done.exit_code == Exit.USAGE, done.output
    assert arguments[0] in done.stderr


def test_a_source_is_an_arn_or_servers() -> None:
    nothing = {"servers": (), "topic": None, "consumer_group": None}
    assert source(QUEUE, nothing) == {"EventSourceArn": QUEUE}
    of_topic = {"servers": ("h:1", "i:2"), "topic": "tea", "consumer_group": "g"}
    assert source(None, of_topic) == {
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["h:1", "i:2"]}},
        "Topics": ["tea"],
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
    }
    assert source(CLUSTER, {**of_topic, "servers": ()}) == {
        "EventSourceArn": CLUSTER,
        "Topics": ["tea"],
        "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
    }
    for arn, given in ((None, nothing), (None, {**of_topic, "servers": ()}), (QUEUE, of_topic)):
        with pytest.raises(click.UsageError, match="either SOURCE_ARN, or --bootstrap-server"):
            source(arn, given)


def test_where_nobody_answers() -> None:
    nobody = {"AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1"}
    done = CliRunner(env=nobody).invoke(main, ["sources", "list"])
    assert done.exit_code == Exit.UNREACHABLE
    assert "samovar start" in done.stderr


def test_advice_is_for_what_is_known() -> None:
    assert asking.advice_for("Rate Exceeded.") == ""
    assert "samovar sources list" in asking.advice_for("The resource you requested does not exist.")
