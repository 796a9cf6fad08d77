"""What tests of streams have in common: a function that tells what it was given, and where what it
gave up is told of."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.api.house import package
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.test_sqs_source import ACCOUNT, comes, reaches
from tests.heard import Told

# AWS's waits, shortened: a back-off begins at 20 ms, and a minute's age is 1.2 s.
SCALE = 0.02
# Tells what is in its batch, and does as records say: «poison» always fails, «flaky» the first
# time, «bad» is reported as failed, «garbled» is answered in a form that says nothing, «held» waits
# until it is let go.
CODE = """
import base64, collections, json, os, socket

SEEN = collections.Counter()

def text(record):
    if "kinesis" in record:
        return base64.b64decode(record["kinesis"]["data"]).decode()
    return record["dynamodb"]["Keys"]["id"]["S"]

def key(record):
    if "kinesis" in record:
        return record["kinesis"]["sequenceNumber"]
    return record["dynamodb"]["SequenceNumber"]

def handler(event, context):
    records = event["Records"]
    texts = [text(record) for record in records]
    SEEN.update(texts)
    said = {
        "bodies": texts,
        "keys": [key(record) for record in records],
        "shard": records[0]["eventID"].partition(":")[0],
        "first": records[0],
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        out.bind(("127.0.0.1", 0))
        said["port"] = out.getsockname()[1]
        out.sendto(json.dumps(said).encode(), ("127.0.0.1", int(os.environ["RECORD"])))
        if any(one.startswith("held") for one in texts):
            out.recv(1)
    if any(one.startswith("poison") or one.startswith("flaky") and SEEN[one] == 1 for one in texts):
        raise ValueError("no luck")
    if any(one.startswith("garbled") and SEEN[one] == 1 for one in texts):
        return {"batchItemFailures": [{"foo": "bar"}]}
    failed = [key(record) for record, one in zip(records, texts) if one.startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""


class Beside:
    """What stands beside the engine in one test."""

    def __init__(self, moto: Neighbour, name: str) -> None:
        self.told = Told()
        self.moto = moto
        # Kinesis's tests and DynamoDB's have a neighbour in common, and names.
        plain = name.replace("_", "-").replace("[", "-").strip("]")
        self.name = f"{type(self).__name__.lower()}-{plain}"[:60].strip("-")
        self.arn = ""

    @property
    def bodies(self) -> list[str]:
        return self.told.bodies

    @property
    def batches(self) -> list[list[str]]:
        return [event["bodies"] for event in self.told.hear()]

    def let_go(self) -> None:
        """Let what is held now go on."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for event in self.told.hear():
                if any(body.startswith("held") for body in event["bodies"]):
                    out.sendto(b".", ("127.0.0.1", event["port"]))

    def queue(self) -> str:
        """A queue that is told of what was given up; its ARN."""
        with self.moto.client("sqs") as sqs:
            sqs.create_queue(QueueName=self.name)
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{self.name}"

    def topic(self) -> str:
        """A topic that is told of what was given up, and passes it on to a queue; its ARN."""
        queue = self.queue()
        with self.moto.client("sns") as sns:
            arn: str = sns.create_topic(Name=self.name)["TopicArn"]
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
        return arn

    def letters(self) -> list[dict[str, Any]]:
        """What has come into that queue since the last time."""
        with self.moto.client("sqs") as sqs:
            url = sqs.get_queue_url(QueueName=self.name)["QueueUrl"]
            found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", ())]


@contextmanager
def standing(beside: Beside) -> Iterator[Beside]:
    try:
        yield beside
    finally:
        beside.told.close()


def play(
    serve: Serve, beside: Beside, scene: Callable[[ServedHouse], Awaitable[None]], **settings: Any
) -> None:
    given = {"time_scale": SCALE, "account_id": ACCOUNT, "aws_endpoint": beside.moto.url}
    serve(scene, **{**given, **settings})


async def deploy(it: ServedHouse, beside: Beside, name: str = "f", **more: Any) -> None:
    await it.active(
        name,
        Code={"ZipFile": package(CODE)},
        Handler="app.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/of-{name}",
        Environment={"Variables": {"RECORD": str(beside.told.port)}},
        **more,
    )


async def mapped(it: ServedHouse, beside: Beside, **given: Any) -> Any:
    """A mapping that is read, from the oldest record on if nothing else is said."""
    asked = {
        "FunctionName": "f",
        "EventSourceArn": beside.arn,
        "StartingPosition": "TRIM_HORIZON",
        **given,
    }
    made = await it.call("create_event_source_mapping", **asked)
    await reaches(it, made["UUID"], "Enabled")
    return made


async def heard(beside: Beside, wanted: Callable[[list[str]], bool]) -> list[str]:
    """All that functions were given, once it is as `wanted`."""

    async def there() -> bool:
        return wanted(beside.bodies)

    await comes(there)
    return beside.bodies


async def letter(beside: Beside) -> dict[str, Any]:
    """What the queue is told, as soon as it is; it is told once."""
    letters: list[dict[str, Any]] = []

    async def told() -> bool:
        letters.extend(await asyncio.to_thread(beside.letters))
        return bool(letters)

    await comes(told)
    (only,) = letters
    return only


async def counted(it: ServedHouse, uuid: str, **wanted: int) -> None:
    """Until so many records of a mapping are counted, by what came of them."""
    name = "samovar_event_source_events_total"
    lines = [
        f'{name}{{mapping="{uuid}",outcome="{outcome}"}} {float(count)}'
        for outcome, count in wanted.items()
    ]

    async def there() -> bool:
        text = it.engine.metrics_text().decode()
        return all(line in text for line in lines)

    await comes(there)


async def result(it: ServedHouse, uuid: str, wanted: str) -> None:
    """Until the last processing had this result."""

    async def there() -> bool:
        found = await it.call("get_event_source_mapping", UUID=uuid)
        return bool(found["LastProcessingResult"] == wanted)

    await comes(there)
