"""`samovar events` at a terminal: the commands against a real engine, and what they show."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import PATIENCE, Started

from samovar.doors.cli.events import shown
from samovar.doors.cli.exits import Exit
from samovar.doors.cli.main import main
from samovar.model.event_entries import DeliveryEntry, EventEntry

PICKY = """
import os
def handler(event, context):
    if not os.environ.get("REPAIRED"):
        raise ValueError("no picture in " + event["key"])
"""
Run = Callable[..., Result]


@contextmanager
def client_of(endpoint: str) -> Iterator[Any]:
    client = boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    try:
        yield client
    finally:
        client.close()


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What `look` finds as soon as it is `wanted`."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, found
        pause.wait(0.02)


def test_what_was_given_up_is_listed_shown_redriven_and_forgotten(
    start: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = start("--time-scale", "0.0001").endpoint
    monkeypatch.chdir(tmp_path)
    Path("code").mkdir()
    Path("code/app.py").write_text(PICKY)

    def samovar(*arguments: str, exits: Exit = Exit.DONE) -> Result:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": endpoint, "COLUMNS": "250"}
        done = CliRunner(env=environment).invoke(main, arguments)
        assert done.exit_code == exits, done.output
        return done

    def ids(*filters: str) -> list[str]:
        page = json.loads(samovar("events", "list", "--json", *filters).stdout)
        return [entry["id"] for entry in page["events"]]

    assert "no events" in samovar("events", "list").stderr
    samovar("deploy", "code", "--name", "picky")
    with client_of(endpoint) as client:
        sent = [
            client.invoke(
                FunctionName="picky",
                InvocationType="Event",
                Payload=json.dumps({"key": f"cat {n}"}),
            )["ResponseMetadata"]["RequestId"]
            for n in range(4)
        ]
        eventually(lambda: ids("--state", "dead"), lambda dead: len(dead) == 4)

        listed = samovar("events", "list")
        assert sorted(line.split()[0] for line in listed.stdout.splitlines()[1:]) == sorted(sent)
        for said in ("picky:$LATEST", "dead", "RetriesExhausted, ValueError: no picture in cat"):
            assert said in listed.stdout
        assert "in all: events: 4 dead; deliveries: none" in listed.stderr
        first = samovar("events", "list", "--limit", "3")
        cursor = first.stderr.split()[-1]
        assert ids("--after", cursor) == ids()[3:]

        found = samovar("events", "show", sent[0])
        assert json.loads(found.stdout) == {"key": "cat 0"}
        for said in ("3 run, 3 failed", "no picture in cat 0", f"samovar events redrive {sent[0]}"):
            assert said in found.stderr
        assert json.loads(samovar("events", "show", sent[0], "--json").stdout)["deliveries"] == []
        unknown = samovar("events", "show", "nobody", exits=Exit.REFUSED)
        assert "samovar events list" in unknown.stderr

        samovar("events", "redrive", exits=Exit.USAGE)
        samovar("events", "redrive", sent[0], "--all", exits=Exit.USAGE)
        asked = samovar("events", "redrive", "--function", "picky", exits=Exit.USAGE)
        assert "--yes to redrive 4 of them" in asked.stderr
        assert ids("--state", "dead") == ids()

        done = json.loads(samovar("events", "forget", sent[3], "--json").stdout)
        assert done == {"forgotten": [sent[3]], "failed": {}}
        twice = samovar("events", "redrive", sent[3], exits=Exit.REFUSED)
        assert "ResourceNotFoundException" in twice.stderr

        client.update_function_configuration(
            FunctionName="picky", Environment={"Variables": {"REPAIRED": "1"}}
        )
        client.get_waiter("function_updated_v2").wait(
            FunctionName="picky", WaiterConfig={"Delay": 0, "MaxAttempts": 2000}
        )
        done = samovar("events", "redrive", "--condition", "RetriesExhausted", "--yes")
        assert "redriven: 3" in done.stderr
        eventually(ids, lambda left: left == [])
        assert "nothing is dead" in samovar("events", "redrive", "--all").stderr


def test_another_emulator_has_no_events(cli_environment: dict[str, str]) -> None:
    done = CliRunner(env={"AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1"}).invoke(
        main, ["events", "list"]
    )
    assert done.exit_code == Exit.UNREACHABLE
    assert "samovar start" in done.stderr
    assert os.environ.get("AWS_ENDPOINT_URL_LAMBDA") is None


# What is shown.

NOW = "2026-01-31T12:00:00.000Z"
EVENT: EventEntry = {
    "kind": "event",
    "id": "e",
    "state": "waiting",
    "function": "f",
    "function_arn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
    "qualifier": "live",
    "accepted": "2026-01-31T11:59:30.123Z",
    "due": "2026-01-31T12:00:45.000Z",
    "expires": "2026-01-31T17:59:30.000Z",
    "invoked": 1,
    "errors": 1,
    "puts_off": 2,
    "condition": None,
    "error_type": "KeyError",
    "error_message": "'x'\n" + "y" * 100,
    "trace": "Root=1",
}
DELIVERY: DeliveryEntry = {
    "kind": "delivery",
    "id": "d",
    "state": "dead",
    "event": "e",
    "function": "f",
    "function_arn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
    "channel": "on-failure",
    "target": "arn:aws:sqs:us-east-1:000000000000:q",
    "condition": "RetriesExhausted",
    "accepted": NOW,
    "due": None,
    "expires": NOW,
    "failures": 5,
    "failure": "no queue",
}


def test_rows_of_a_table() -> None:
    event, delivery = shown.rows([EVENT, DELIVERY], NOW)
    assert event == {
        "id": "e",
        "what": "event",
        "function": "f:live",
        "state": "waiting",
        "accepted (UTC)": "2026-01-31 11:59:30",
        "tries": "1",
        "next try": "in 45 s",
        "why": "KeyError: 'x' " + "y" * 33 + "…",
    }
    assert (delivery["what"], delivery["function"], delivery["tries"], delivery["next try"]) == (
        *("to on-failure", "f:live", "5", "-"),
    )


def test_details_say_when_it_goes_on_and_what_is_sent_of_it() -> None:
    lines = dict(
        shown.details({"schema": 1, "time": NOW, "event": EVENT, "deliveries": [DELIVERY]})
    )
    assert lines["state"] == "waiting: next attempt in 45 s"
    assert lines["attempts"].startswith("1 run, 1 failed; put off 2 times")
    assert lines["to on-failure"].endswith("q: dead, failed 5 times: no queue (d)")
    of_it = dict(shown.details({"schema": 1, "time": NOW, "event": DELIVERY, "deliveries": []}))
    assert (of_it["of event"], of_it["why"]) == ("e", "no queue")
    due = {**EVENT, "due": NOW}
    assert shown.rows([due], NOW)[0]["next try"] == "now"  # type: ignore[list-item]
