"""`samovar sources` at a terminal: the commands against a real engine with moto's SQS beside it,
and a broker of Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.api import neighbour
from tests.api.neighbour import Neighbour
from tests.broker import Broker
from tests.unit.cli.conftest import Started
from tests.unit.cli.test_events_command import eventually

from samovar.doors.cli.exits import Exit
from samovar.doors.cli.main import main

ACCOUNT = "123456789012"  # moto's
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:uploads"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbour]:
    with neighbour.running(tmp_path_factory.mktemp("moto")) as made:
        yield made


@pytest.fixture
def samovar(
    moto: Neighbour,
    start: Callable[..., Started],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command in this process against an engine that has the function `thumbnail`, and its
    alias `live`."""
    endpoint = start("--aws-endpoint", moto.url, "--account-id", ACCOUNT).endpoint
    monkeypatch.chdir(tmp_path)
    Path("code").mkdir()
    Path("code/app.py").write_text("def handler(event, context):\n    return None\n")

    def run(*arguments: str, exits: Exit = Exit.DONE) -> Result:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": endpoint, "COLUMNS": "250"}
        done = CliRunner(env=environment).invoke(main, arguments)
        assert done.exit_code == exits, done.output
        return done

    run("deploy", "code", "--name", "thumbnail", "--alias", "live")
    return run


def document(done: Result) -> Any:
    return json.loads(done.stdout)


def test_a_mapping_from_its_making_to_its_end(samovar: Run, moto: Neighbour) -> None:
    assert "samovar sources create" in samovar("sources", "list").stderr
    with moto.client("sqs") as sqs:
        url = sqs.create_queue(QueueName="uploads")["QueueUrl"]
        made = samovar("sources", "create", "thumbnail", QUEUE, "--batch-size", "5")
        uuid = made.stdout.strip()
        assert made.stderr == "sqs:uploads for thumbnail: Enabled\n"
        sqs.send_message(QueueUrl=url, MessageBody="one")

        def counted() -> Any:
            (one,) = document(samovar("sources", "list", "--function", "thumbnail", "--json"))
            return one["Metrics"]

        counts = eventually(counted, lambda counts: counts["events"].get("deleted"))
        assert counts["events"] == {"polled": 1, "invoked": 1, "failed": 0, "deleted": 1}
        assert (counts["errors"], counts["iterator_age_milliseconds"]) == ({}, None)
        assert counts["pollers"] >= 1
    headings, row = samovar("sources", "list").stdout.splitlines()
    assert headings.split() == [
        *("UUID", "state", "source", "function", "batch", "pollers", "polled", "failed")
    ]
    assert row.split()[:5] == [uuid, "Enabled", "sqs:uploads", "thumbnail", "5"]
    assert row.split()[-2:] == ["1", "0"]

    assert row.split()[1:4] == samovar("top", "--once").stdout.splitlines()[-1].split()[:3]
    (entry,) = document(samovar("top", "--once", "--json"))["sources"]
    assert (entry["mapping"], entry["source"], entry["events"]["deleted"]) == (uuid, QUEUE, 1)

    assert row.split()[1:4] == samovar("top", "--once").stdout.splitlines()[-1].split()[:3]
    (entry,) = document(samovar("top", "--once", "--json"))["sources"]
    assert (entry["mapping"], entry["source"], entry["events"]["deleted"]) == (uuid, QUEUE, 1)

    again = samovar("sources", "create", "thumbnail", QUEUE, exits=Exit.REFUSED)
    assert uuid in again.stderr
    assert "samovar sources update UUID" in again.stderr
    of_live = samovar("sources", "create", "thumbnail:live", QUEUE, "--disabled", "--json")
    other = document(of_live)
    assert (other["State"], other["FunctionArn"][-15:]) == ("Disabled", ":thumbnail:live")
    assert len(document(samovar("sources", "list", "--function", "thumbnail", "--json"))) == 2
    (only,) = document(samovar("sources", "list", "--function", "thumbnail:live", "--json"))
    assert only["UUID"] == other["UUID"]
    assert "no such" in samovar("sources", "list", "--function", "thumb").stderr

    changed_and_changed_back(samovar, uuid)
    assert samovar("sources", "disable", uuid).stderr.endswith("thumbnail: Disabled\n")
    assert samovar("sources", "enable", uuid, "--no-wait").stderr.endswith("Enabling\n")
    eventually(lambda: samovar("sources", "show", uuid).stdout, lambda text: "Enabled" in text)
    assert "say --yes" in samovar("sources", "delete", uuid, exits=Exit.USAGE).stderr
    gone = samovar("sources", "delete", uuid, "--yes", "--json")
    assert (document(gone)["UUID"], document(gone)["State"]) == (uuid, "Deleting")
    missing = samovar("sources", "show", uuid, exits=Exit.REFUSED)
    assert "samovar sources list" in missing.stderr


def changed_and_changed_back(samovar: Run, uuid: str) -> None:
    changes = ("--filter", '{"body": ["tea"]}', "--maximum-concurrency", "7", "--report-failures")
    changed = samovar("sources", "update", uuid, *changes, "--window", "1", "--json")
    assert document(changed)["FilterCriteria"] == {"Filters": [{"Pattern": '{"body": ["tea"]}'}]}
    shown = dict(
        line.split(maxsplit=1) for line in samovar("sources", "show", uuid).stdout.splitlines()
    )
    assert shown["a"] == "batch      up to 5, within 1 s"
    assert shown["filter"] == '{"body": ["tea"]}'
    assert shown["answers"] == "ReportBatchItemFailures"
    assert shown["at"] == "once      up to 7"
    assert "1 polled" in shown["records"]
    taken = ("--filter", "none", "--maximum-concurrency", "none", "--no-report-failures")
    less = document(samovar("sources", "update", uuid, *taken, "--json"))
    assert not {"FilterCriteria", "ScalingConfig"} & {*less}
    assert (less["FunctionResponseTypes"], less["MaximumBatchingWindowInSeconds"]) == ([], 1)
    samovar("sources", "update", uuid, exits=Exit.USAGE)


def test_a_refusal_says_what_to_do(samovar: Run, moto: Neighbour) -> None:
    with moto.client("sqs") as sqs:
        sqs.create_queue(QueueName="uploads")
    for arguments, advice in (
        (("thumbnial", QUEUE), "samovar functions"),
        (("thumbnail", QUEUE + "-not-there"), "does not exist"),
        (("thumbnail", "arn:aws:s3:us-east-1:123456789012:b"), "SOURCE_ARN is that of a queue"),
        (("thumbnail", "uploads"), "SOURCE_ARN is that of a queue"),
        (("thumbnail", STREAM), "--starting-position TRIM_HORIZON"),
        (("thumbnail", QUEUE, "--starting-position", "latest"), "leave --starting-position out"),
        (("thumbnail", QUEUE, "--batch-size", "11"), "--window SECONDS"),
        (("thumbnail", QUEUE, "--filter", '{"body": "tea"}'), "docs/event-sources.md"),
    ):
        refused = samovar("sources", "create", *arguments, exits=Exit.REFUSED)
        assert advice in refused.stderr
    assert document(samovar("sources", "list", "--json")) == []


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.close()


def test_a_topic_from_its_making_to_its_end(samovar: Run, broker: Broker) -> None:
    broker.create("tea")
    broker.put("tea", "a", "b")
    topic = ("thumbnail", "--bootstrap-server", broker.server, "--topic", "tea")
    access = ("--access", "VPC_SUBNET=subnet:none")
    position = ("--starting-position", "trim_horizon")
    for arguments, advice in (
        ((*topic, *position), "--access VPC_SUBNET=subnet:none"),
        ((*topic, *access), "--starting-position TRIM_HORIZON"),
        ((*topic, *position, "--access", "VIRTUAL_HOST=/"), "--access TYPE=URI"),
        ((*topic[:3], *position, *access), "--topic NAME"),
        ((*topic, *position, *access, "--bootstrap-server", "h"), "--bootstrap-server HOST:PORT"),
        ((*topic, *position, *access, "--retries", "3"), "--pollers MIN-MAX"),
        ((*topic, *position, *access, "--on-failure", "kafka:/dead"), "kafka://TOPIC"),
    ):
        refused = samovar("sources", "create", *arguments, exits=Exit.REFUSED)
        assert advice in refused.stderr
    group = ("--consumer-group", "readers", "--pollers", "1-3", "--retries", "3")
    made = samovar("sources", "create", *topic, *position, *access, *group)
    assert made.stderr == "kafka:tea for thumbnail: Enabled\n"
    uuid = made.stdout.strip()

    def counted() -> Any:
        return document(samovar("sources", "show", uuid, "--json"))["Metrics"]

    counts = eventually(counted, lambda counts: counts["events"].get("committed") == 2)
    assert (counts["events"]["polled"], counts["offset_lag"]) == (2, 0)
    headings, row = samovar("sources", "list").stdout.splitlines()
    assert "lag" in headings.split()
    assert row.split()[:4] == [uuid, "Enabled", "kafka:tea", "thumbnail"]
    assert row.split()[1:4] == samovar("top", "--once").stdout.splitlines()[-1].split()[:3]
    assert "lag          0 records" in samovar("sources", "show", uuid).stdout
    dead = ("--pollers", "2-4", "--on-failure", "kafka://dead")
    samovar("sources", "update", uuid, *dead)
    text = samovar("sources", "show", uuid).stdout
    shown = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert (shown["topic"], shown["servers"], shown["group"]) == ("tea", broker.server, "readers")
    assert (shown["provisioned"], shown["access"]) == ("2 to 4 pollers", "VPC_SUBNET=subnet:none")
    assert shown["retries"] == "3"
    assert "failure   kafka://dead" in text
    fewer = ("--pollers", "none", "--retries", "-1", "--on-failure", "none")
    less = document(samovar("sources", "update", uuid, *fewer, "--json"))
    assert "ProvisionedPollerConfig" not in less
    none = samovar("sources", "update", uuid, "--access", "none", exits=Exit.REFUSED)
    assert "--access VPC_SUBNET=subnet:none" in none.stderr
    samovar("sources", "delete", uuid, "--yes")
