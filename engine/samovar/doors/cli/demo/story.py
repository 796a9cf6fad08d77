"""The demo's story: a picture is uploaded, and what becomes of its event; then what is no picture.

All of it goes through public doors: the Lambda API, the engine's own pages, S3, DynamoDB and SQS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Signal
from typing import Any, TypeVar

from samovar.doors.cli.demo.calls import Call, called, deploy
from samovar.doors.cli.demo.s3_event import object_created
from samovar.doors.cli.events.asking import Events, Refusal
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.pages import drop_idle
from samovar.doors.cli.remote import lambda_client
from samovar.invocation.retries import ERROR_WAITS
from samovar.model.event import MAX_RETRY_ATTEMPTS
from samovar.model.event_entries import EventEntry
from samovar.neighbours import neighbour_client
from samovar.settings import Settings

FUNCTION = "samovar-demo-thumbnail-events"
BUCKET = "samovar-demo"
TABLE = "samovar-demo-thumbnails"
QUEUES = ("dead-letter", "on-failure", "on-success")
PICTURE_KEY = "uploads/a samovar.jpg"
POISON_KEY = "uploads/no picture.jpg"
WARM = 10
_PATIENCE = 60.0  # seconds until what is waited for is missed
_STEP = 0.03  # between two looks

Found = TypeVar("Found")


class Interrupted(Exception):
    """Ctrl-C: the story is not told to its end."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was accepted: what S3 sent, and the milliseconds that it waited for its 202."""

    event: dict[str, Any]
    request_id: str
    status: int
    waited: float
    accepted: float  # monotonic


@dataclass(frozen=True, slots=True)
class Message:
    """What came into a queue; `after` is seconds since the event was accepted."""

    body: dict[str, Any]
    attributes: Mapping[str, str]
    after: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that failed; `wait` is seconds until the next one on AWS's scale, None after the last."""

    number: int
    error: str
    after: float
    wait: float | None


class Stage:
    """Where the story plays: clients of an engine at `endpoint` and of the services beside it.

    Methods block, and raise Interrupted after `stopping` was set. Not for several threads.
    """

    def __init__(
        self,
        settings: Settings,
        endpoint: str,
        stopping: Signal,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._stopping = stopping
        self._monotonic = monotonic
        self._closing = ExitStack()
        self.aws_lambda = self._kept(lambda_client(endpoint))
        self._s3, self._dynamodb, self._sqs = (
            self._kept(neighbour_client(service, settings)) for service in ("s3", "dynamodb", "sqs")
        )
        self._events = Events(self.aws_lambda)
        self._urls: dict[str, str] = {}
        self._arns: dict[str, str] = {}

    def close(self) -> None:
        """Close all clients."""
        self._closing.close()

    def build(self) -> None:
        """A bucket, a table, three queues."""
        self._s3.create_bucket(Bucket=BUCKET)
        self._dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "picture", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "picture", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for name in QUEUES:
            url = self._sqs.create_queue(QueueName=f"samovar-demo-{name}")["QueueUrl"]
            told = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            self._urls[name], self._arns[name] = url, told["Attributes"]["QueueArn"]

    def deploy(self, package: bytes) -> None:
        """The function, its two retries, its dead-letter queue and destinations; an earlier demo's
        is replaced."""
        client = self.aws_lambda
        deploy(
            *(client, FUNCTION, package),
            Environment={"Variables": {"TABLE": TABLE}},
            DeadLetterConfig={"TargetArn": self._arns["dead-letter"]},
        )
        client.put_function_event_invoke_config(
            FunctionName=FUNCTION,
            MaximumRetryAttempts=MAX_RETRY_ATTEMPTS[1],
            DestinationConfig={
                "OnSuccess": {"Destination": self._arns["on-success"]},
                "OnFailure": {"Destination": self._arns["on-failure"]},
            },
        )

    def upload(self, key: str, content: bytes) -> Sent:
        """Put it into the bucket, and send what S3 would, as S3 would."""
        reply = self._s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        event = object_created(
            BUCKET,
            key,
            len(content),
            reply["ETag"].strip('"'),
            region=self._settings.region,
            now=time.time(),
            request_id=reply["ResponseMetadata"].get("RequestId", ""),
        )
        payload = json.dumps(event).encode()
        began = time.perf_counter()
        accepted = self.aws_lambda.invoke(
            FunctionName=FUNCTION, InvocationType="Event", Payload=payload
        )
        over = time.perf_counter()
        told = accepted["ResponseMetadata"]
        waited = (over - began) * 1000
        return Sent(event, told["RequestId"], accepted["StatusCode"], waited, self._monotonic())

    def message(self, queue: str, sent: Sent) -> Message:
        """The next message of a queue."""

        def look() -> Any:
            found = self._sqs.receive_message(
                QueueUrl=self._urls[queue], MessageAttributeNames=["All"], WaitTimeSeconds=0
            )
            return next(iter(found.get("Messages", ())), None)

        got = self._awaited(look, f"a message in the queue {queue}")
        after = self._monotonic() - sent.accepted
        self._sqs.delete_message(QueueUrl=self._urls[queue], ReceiptHandle=got["ReceiptHandle"])
        attributes = {
            name: value["StringValue"] for name, value in got.get("MessageAttributes", {}).items()
        }
        return Message(json.loads(got["Body"]), attributes, after)

    def attempts(self, sent: Sent) -> Iterator[Attempt]:
        """The attempts of an event that fails, each as it is over."""
        seen, wait = 0, 0.0
        while True:

            def look(seen: int = seen) -> EventEntry | None:
                with suppress(Refusal):  # before it is put off for the first time
                    entry = self._events.details(sent.request_id)["event"]
                    assert entry["kind"] == "event"
                    if entry["errors"] > seen:
                        return entry
                return None

            entry = self._awaited(look, f"attempt {seen + 1}", wait)
            seen = entry["errors"]
            over = entry["state"] == "dead"
            text = f"{entry['error_type']}: {entry['error_message']}"
            after = self._monotonic() - sent.accepted
            if over:
                yield Attempt(seen, text, after, None)
                return
            next_one = ERROR_WAITS[seen - 1]
            yield Attempt(seen, text, after, next_one)
            wait = next_one * self._settings.time_scale

    def thumbnail(self, message: Message, directory: Path) -> tuple[Path, dict[str, Any]]:
        """The thumbnail that a record tells of, as a file; and its row."""
        (told,) = message.body["responsePayload"]
        found = self._s3.get_object(Bucket=BUCKET, Key=told["thumbnail"])
        path = directory / Path(told["thumbnail"]).name
        path.write_bytes(found["Body"].read())
        row = self._dynamodb.get_item(
            TableName=TABLE, Key={"picture": {"S": told["picture"]}}, ConsistentRead=True
        )["Item"]
        return path, {name: next(iter(value.values())) for name, value in row.items()}

    def calls(self, event: dict[str, Any]) -> list[Call]:
        """The same function, asked synchronously: once cold, then warm."""
        drop_idle(self.aws_lambda, FUNCTION)
        payload = json.dumps(event).encode()
        made = []
        for number in range(1 + WARM):
            self._go_on()
            call, document = called(
                self.aws_lambda, "warm" if number else "cold", FUNCTION, payload
            )
            assert document, document
            made.append(call)
        return made

    def _awaited(self, look: Callable[[], Found | None], what: str, expected: float = 0.0) -> Found:
        """What `look` finds, which is not to be had before `expected` seconds."""
        within = expected + _PATIENCE
        deadline = self._monotonic() + within
        while True:
            self._go_on()
            found = look()
            if found is not None:
                return found
            if self._monotonic() > deadline:
                raise Failure(Exit.ENGINE, f"{what} did not come within {within:.0f} s")
            self._stopping.wait(_STEP)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise Interrupted

    def _kept(self, client: Any) -> Any:
        self._closing.callback(client.close)
        return client


@contextmanager
def stage(settings: Settings, endpoint: str, stopping: Signal) -> Iterator[Stage]:
    """A Stage for the length of the block."""
    made = Stage(settings, endpoint, stopping)
    try:
        yield made
    finally:
        made.close()
