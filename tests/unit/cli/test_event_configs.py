"""What becomes of events, said to `samovar deploy` and shown by `samovar functions`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import Started

from samovar.doors.cli.deploy.events import EventWishes, would_have
from samovar.doors.cli.event_configs import dead_letter_text, events_text, target_text
from samovar.doors.cli.main import main

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:late"
TOPIC = "arn:aws:sns:us-east-1:000000000000:news"
BUS = "arn:aws:events:us-east-1:000000000000:event-bus/default"
BUCKET = "arn:aws:s3:::lost"
Run = Callable[..., Result]


@pytest.fixture
def there(start: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, in a directory with a package, against an engine."""
    endpoint = start().endpoint
    monkeypatch.chdir(tmp_path)
    Path("code").mkdir()
    Path("code/app.py").write_text("def handler(event, context):\n    return event\n")

    def run(*arguments: str) -> Result:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": endpoint, "COLUMNS": "250"}
        return CliRunner(env=environment).invoke(main, arguments)

    return run


def document(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def to(success: str | None = None, failure: str | None = None) -> dict[str, Any]:
    return {
        "OnSuccess": {"Destination": success} if success else {},
        "OnFailure": {"Destination": failure} if failure else {},
    }


def test_what_is_said_belongs_to_what_is_deployed_and_stays(there: Run) -> None:
    deploy = ("deploy", "code", "--name", "tidy")
    made = document(
        there(*deploy, "--retries", "0", "--on-failure", BUCKET, "--dead-letter", QUEUE, "--json")
    )
    assert (made["Status"], made["DeadLetterConfig"]) == ("created", {"TargetArn": QUEUE})
    assert made["EventInvokeConfig"] == {
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": None,
        "DestinationConfig": to(None, BUCKET),
        "Changed": True,
    }
    again = document(there(*deploy, "--retries", "0", "--dead-letter", QUEUE, "--json"))
    assert (again["Status"], again["Changed"]) == ("unchanged", [])
    assert again["EventInvokeConfig"]["Changed"] is False

    # An alias has its own; the dead-letter queue is the function's.
    live = document(there(*deploy, "--alias", "live", "--max-event-age", "60", "--json"))
    assert (live["FunctionArn"], live["Version"]) == (f"{ARN}tidy:live", "1")
    assert live["EventInvokeConfig"]["Qualifier"] == "live"
    version = document(there(*deploy, "--publish", "--retries", "1", "--json"))
    assert version["EventInvokeConfig"]["Qualifier"] == "1"
    (shown,) = document(there("functions", "tidy", "--json"))
    assert [
        (config["FunctionArn"], config.get("MaximumRetryAttempts"))
        for config in shown["EventInvokeConfigs"]
    ] == [(f"{ARN}tidy:$LATEST", 0), (f"{ARN}tidy:1", 1), (f"{ARN}tidy:live", None)]
    latest, one = document(there("functions", "tidy", "--versions", "--json"))
    assert [len(item["EventInvokeConfigs"]) for item in (latest, one)] == [1, 2]
    assert one["DeadLetterConfig"] == {"TargetArn": QUEUE}
    table = there("functions", "tidy").stdout
    assert "0 retries, failures to s3:lost; 1: 1 retry; live: 60 s" in table
    assert "sqs:late" in table
    there("deploy", "code", "--name", "other")
    assert "other" not in there("functions", "tidy").stdout
    assert [item["FunctionName"] for item in document(there("functions", "--json"))] == [
        "other",
        "tidy",
    ]

    # One destination more leaves the other; none takes one away.
    more = document(there(*deploy, "--on-success", TOPIC, "--json"))
    assert more["EventInvokeConfig"]["DestinationConfig"] == to(TOPIC, BUCKET)
    gone = document(there(*deploy, "--on-failure", "none", "--dead-letter", "none", "--json"))
    assert gone["EventInvokeConfig"]["DestinationConfig"] == to(TOPIC)
    assert (gone["Changed"], gone["DeadLetterConfig"]) == (["DeadLetterConfig"], None)
    gone = document(there(*deploy, "--on-failure", "none", "--dead-letter", "none", "--json"))
    assert (gone["Changed"], gone["EventInvokeConfig"]["Changed"]) == ([], False)

    missing = there("functions", "tidi")
    assert missing.exit_code == 4
    assert "Did you mean tidy?" in missing.stderr
    itself = there(*deploy, "--on-success", f"{ARN}tidy")
    assert itself.exit_code == 4
    assert "You can't specify the function as a destination for itself." in itself.stderr
    planned = there(*deploy, "--alias", "live", "--retries", "1", "--dry-run")
    assert "would have events of live of tidy have MaximumRetryAttempts" in planned.stderr
    (shown,) = document(there("functions", "tidy", "--json"))
    assert len(shown["EventInvokeConfigs"]) == 3


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--on-success", BUCKET), "a queue of SQS, a topic of SNS, a function or an event bus"),
        (("--on-failure", "late"), "is not the ARN of"),
        (("--dead-letter", BUS), "a queue of SQS or a topic of SNS"),
        (("--dead-letter", f"{QUEUE}.fifo"), "is FIFO"),
        (("--retries", "3"), "'3' is not one of"),
        (("--max-event-age", "59"), "59 is not in the range"),
    ],
    ids=["bucket", "no ARN", "bus", "FIFO", "retries", "age"],
)
def test_what_can_not_be_meant_is_refused_before_anything_is_done(
    flags: tuple[str, ...], said: str
) -> None:
    refused = CliRunner().invoke(main, ["deploy", "code", *flags])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


CONFIG = {
    "FunctionArn": f"{ARN}f:live",
    "MaximumRetryAttempts": 1,
    "DestinationConfig": to(QUEUE, BUCKET),
}


@pytest.mark.parametrize(
    ("wishes", "now", "changes"),
    [
        (EventWishes(), None, {}),
        (EventWishes(on_success=""), None, {}),
        (EventWishes(0, 60), None, {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}),
        (EventWishes(1, None, QUEUE, BUCKET), CONFIG, {}),
        (EventWishes(2), CONFIG, {"MaximumRetryAttempts": 2}),
        (EventWishes(on_failure=TOPIC), CONFIG, {"DestinationConfig": to(QUEUE, TOPIC)}),
        (
            EventWishes(on_success=""),
            CONFIG,
            {
                "DestinationConfig": {
                    "OnSuccess": {"Destination": ""},
                    "OnFailure": {"Destination": BUCKET},
                }
            },
        ),
    ],
    ids=["nothing", "none of none", "new", "same", "retries", "one of two", "taken away"],
)
def test_only_what_differs_is_sent(
    wishes: EventWishes, now: dict[str, Any] | None, changes: dict[str, Any]
) -> None:
    assert wishes.changes(now) == changes
    assert bool(wishes) is (wishes != EventWishes())


def test_texts() -> None:
    other = {"FunctionArn": f"{ARN}f:$LATEST", "MaximumEventAgeInSeconds": 60}
    assert events_text([CONFIG, other]) == (
        "live: 1 retry, successes to sqs:late, failures to s3:lost; 60 s"
    )
    assert events_text([{"FunctionArn": f"{ARN}f:1"}]) == "1: defaults"
    assert events_text([]) == "-"
    assert [target_text(arn) for arn in (BUS, f"{ARN}g:live", "arn:other")] == [
        "events:default",
        "lambda:g:live",
        "arn:other",
    ]
    assert dead_letter_text({"DeadLetterConfig": {"TargetArn": TOPIC}}) == "sns:news"
    assert dead_letter_text({}) == "-"
    assert would_have("f", None, EventWishes(on_failure="")) == (
        "would have events of f have no destination on failure"
    )
