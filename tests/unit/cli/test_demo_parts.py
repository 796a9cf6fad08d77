"""The demo's event is S3's, and what is shown of a message can be read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from samovar.doors.cli.demo import story
from samovar.doors.cli.demo.s3_event import object_created
from samovar.doors.cli.demo.told import shortened
from samovar.doors.cli.exits import Failure
from samovar.settings import Settings


def test_an_upload_is_told_as_s3_tells_it() -> None:
    event = object_created(
        "pictures", "a b/é+.jpg", 7, "abc", region="eu-west-1", now=1.5, request_id="R"
    )
    (record,) = event["Records"]
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "1970-01-01T00:00:01.500Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDASAMOVARDEMO"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "RR"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": "pictures",
                "ownerIdentity": {"principalId": "A3SAMOVARDEMO"},
                "arn": "arn:aws:s3:::pictures",
            },
            "object": {
                "key": "a+b/%C3%A9%2B.jpg",
                "size": 7,
                "eTag": "abc",
                "sequencer": "0000000000000005DC",
            },
        },
    }


def test_a_message_is_shortened_where_nobody_reads_on() -> None:
    record = {
        "requestContext": {"functionArn": "arn:" + "x" * 100, "condition": "Success"},
        "requestPayload": {"Records": [{"s3": {"bucket": {}}}]},
        "responsePayload": [{"picture": "a.jpg", "deep": {"er": {"est": 1}}}],
        "text": "y" * 100,
    }
    assert shortened(record) == {
        "requestContext": {"functionArn": "arn:" + "x" * 100, "condition": "Success"},
        "requestPayload": {"Records": "[…]"},
        "responsePayload": [{"picture": "a.jpg", "deep": {"er": "{…}"}}],
        "text": "y" * 59 + "…",
    }


class Waiting(threading.Event):
    """Nobody waits for it: its time passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


class Failing:
    """The page of an event that fails three times, at these seconds."""

    def __init__(self, time: Waiting, *fails: float) -> None:
        self._time = time
        self._fails = fails

    def details(self, _: str) -> Any:
        errors = sum(moment <= self._time.now for moment in self._fails)
        state = "dead" if errors == len(self._fails) else "waiting"
        told = {"error_type": "ValueError", "error_message": "no"}
        return {"event": {"kind": "event", "errors": errors, "state": state, **told}}


def attempts(tmp_path: Path, *fails: float) -> list[float | None]:
    """The waits that are told of those of an event, on the time scale 1."""
    time = Waiting()
    settings = Settings(data_dir=tmp_path, aws_endpoint="http://127.0.0.1:9", time_scale=1.0)
    stage = story.Stage(settings, "http://127.0.0.1:9", time, lambda: time.now)
    stage._events = Failing(time, *fails)  # type: ignore[assignment]
    try:
        found = list(stage.attempts(story.Sent({}, "id", 202, 0.0, 0.0)))
    finally:
        stage.close()
    return [attempt.wait for attempt in found]


def test_attempts_are_waited_for_as_long_as_they_take(tmp_path: Path) -> None:
    assert attempts(tmp_path, 1.0, 62.0, 190.0) == [60.0, 120.0, None]


def test_what_does_not_come_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="attempt 2 did not come within 120 s"):
        attempts(tmp_path, 1.0, 200.0, 300.0)
