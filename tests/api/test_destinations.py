"""What becomes of events reaches real neighbours: SQS, SNS, EventBridge, S3 and STS of moto."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from tests.api.house import package, until
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse

ACCOUNT = "123456789012"  # moto's
CODE = """
def good(event, context):
    return {"got": event}

def bad(event, context):
    raise ValueError("no: " + event["why"])
"""


class Beside:
    """Queues and others of one test, in moto."""

    def __init__(self, moto: Neighbour, name: str) -> None:
        self.name = name
        self._moto = moto
        self.queue = self._arn("sqs", name)
        self.topic = self._arn("sns", name)
        self.bus = self._arn("events", f"event-bus/{name}")
        self.bucket = f"arn:aws:s3:::{name}"
        with moto.client("sqs") as sqs:
            self.url = sqs.create_queue(QueueName=name)["QueueUrl"]

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"

    def ask(self, service: str, method: str, **given: Any) -> dict[str, Any]:
        with self._moto.client(service) as client:
            reply: dict[str, Any] = getattr(client, method)(**given)
            return reply

    def message(self) -> dict[str, Any]:
        """The next one that comes into the queue."""
        for _ in range(60):
            found = self.ask(
                "sqs",
                "receive_message",
                QueueUrl=self.url,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            ).get("Messages")
            if found:
                message: dict[str, Any] = found[0]
                self.ask(
                    "sqs",
                    "delete_message",
                    QueueUrl=self.url,
                    ReceiptHandle=message["ReceiptHandle"],
                )
                return message
        raise AssertionError("nothing came")


@pytest.fixture
def beside(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Beside]:
    yield Beside(moto, request.node.name.replace("_", "-")[:60].strip("-"))


Prepare = Callable[[ServedHouse], Any]


def play(serve: Serve, moto: Neighbour, scene: Prepare, **settings: Any) -> None:
    serve(scene, account_id=ACCOUNT, aws_endpoint=moto.url, time_scale=0.0005, **settings)


async def send(it: ServedHouse, name: str, **event: Any) -> str:
    reply = await it.call(
        "invoke", FunctionName=name, InvocationType="Event", Payload=json.dumps(event)
    )
    request_id: str = reply["ResponseMetadata"]["RequestId"]
    return request_id


async def deploy(it: ServedHouse, name: str, *, dead_letter: str = "", **config: Any) -> None:
    dead = {"DeadLetterConfig": {"TargetArn": dead_letter}} if dead_letter else {}
    code = {"ZipFile": package(CODE)}
    role = f"arn:aws:iam::{ACCOUNT}:role/of-{name}"
    await it.active(name, Code=code, Handler=f"app.{name}", Role=role, **dead)
    if config:
        destinations = {key: {"Destination": arn} for key, arn in config.items()}
        await it.call(
            "put_function_event_invoke_config",
            FunctionName=name,
            DestinationConfig=destinations,
        )


def test_to_sqs(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, "good", OnSuccess=beside.queue)
        request_id = await send(it, "good", a=1)
        message = await asyncio.to_thread(beside.message)
        record = json.loads(message["Body"])
        assert record["requestContext"] == {
            "requestId": request_id,
            "functionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:good:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        }
        assert (record["requestPayload"], record["responsePayload"]) == (
            *({"a": 1}, {"got": {"a": 1}}),
        )
        assert "MessageAttributes" not in message
        assert message["Attributes"]["AWSTraceHeader"].startswith("Root=1-")

    play(serve, moto, scene)


def test_to_a_dead_letter_queue(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, "bad", dead_letter=beside.queue)
        request_id = await send(it, "bad", why="tea")
        message = await asyncio.to_thread(beside.message)
        assert json.loads(message["Body"]) == {"why": "tea"}
        told = {
            name: (attribute["DataType"], attribute["StringValue"])
            for name, attribute in message["MessageAttributes"].items()
        }
        assert told == {
            "RequestID": ("String", request_id),
            "ErrorCode": ("Number", "200"),
            "ErrorMessage": ("String", "no: tea"),
        }

    play(serve, moto, scene)


def test_to_sns(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    beside.ask("sns", "create_topic", Name=beside.name)
    beside.ask(
        "sns",
        "subscribe",
        TopicArn=beside.topic,
        Protocol="sqs",
        Endpoint=beside.queue,
        Attributes={"RawMessageDelivery": "true"},
    )

    async def scene(it: ServedHouse) -> None:
        await deploy(it, "bad", OnFailure=beside.topic)
        await send(it, "bad", why="tea")
        record = json.loads((await asyncio.to_thread(beside.message))["Body"])
        assert record["requestContext"]["condition"] == "RetriesExhausted"
        assert record["requestContext"]["approximateInvokeCount"] == 3
        assert record["responsePayload"]["errorMessage"] == "no: tea"

    play(serve, moto, scene)


def test_a_dead_letter_to_sns(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    beside.ask("sns", "create_topic", Name=beside.name)
    beside.ask("sns", "subscribe", TopicArn=beside.topic, Protocol="sqs", Endpoint=beside.queue)

    async def scene(it: ServedHouse) -> None:
        await deploy(it, "bad", dead_letter=beside.topic)
        request_id = await send(it, "bad", why="tea")
        notice = json.loads((await asyncio.to_thread(beside.message))["Body"])
        assert (notice["Type"], notice["TopicArn"]) == ("Notification", beside.topic)
        assert json.loads(notice["Message"]) == {"why": "tea"}
        assert notice["MessageAttributes"] == {
            "RequestID": {"Type": "String", "Value": request_id},
            "ErrorCode": {"Type": "Number", "Value": "200"},
            "ErrorMessage": {"Type": "String", "Value": "no: tea"},
        }

    play(serve, moto, scene)


def test_to_eventbridge(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    beside.ask("events", "create_event_bus", Name=beside.name)
    beside.ask(
        "events",
        "put_rule",
        Name="all",
        EventBusName=beside.name,
        EventPattern=json.dumps(
            {
                "source": ["lambda"],
                "detail-type": ["Lambda Function Invocation Result - Success"],
            }
        ),
    )
    target = {"Id": "queue", "Arn": beside.queue}
    beside.ask("events", "put_targets", Rule="all", EventBusName=beside.name, Targets=[target])

    async def scene(it: ServedHouse) -> None:
        await deploy(it, "good", OnSuccess=beside.bus)
        await send(it, "good", a=1)
        event = json.loads((await asyncio.to_thread(beside.message))["Body"])
        assert event["resources"] == [
            *(beside.bus, f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:good:$LATEST"),
        ]
        assert event["detail"]["requestPayload"] == {"a": 1}

    play(serve, moto, scene)


def test_to_s3(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    beside.ask("s3", "create_bucket", Bucket=beside.name)

    async def scene(it: ServedHouse) -> None:
        await deploy(it, "bad", OnFailure=beside.bucket, dead_letter=beside.queue)
        await send(it, "bad", why="tea")
        await asyncio.to_thread(beside.message)  # both are sent
        listed: list[Any] = []
        while not listed:
            found = await asyncio.to_thread(beside.ask, "s3", "list_objects_v2", Bucket=beside.name)
            listed = found.get("Contents", [])
        (entry,) = listed
        head, tail = entry["Key"].rsplit("/", 1)
        assert head.startswith("aws/lambda/async/bad/20")
        assert tail.replace(".", "-").count("-") == 9
        with moto.s3() as s3:
            kept = s3.get_object(Bucket=beside.name, Key=entry["Key"])["Body"].read()
        assert json.loads(kept)["requestPayload"] == {"why": "tea"}

    play(serve, moto, scene)


def test_with_an_sts_the_role_of_the_function_is_assumed(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, "good", OnSuccess=beside.queue)
        await send(it, "good", a=1)
        message = await asyncio.to_thread(beside.message)
        assert json.loads(message["Body"])["requestPayload"] == {"a": 1}

    play(serve, moto, scene, endpoints={"sts": moto.url})


class Recorder(BaseHTTPRequestHandler):
    """SQS as far as it is asked for here; remembers who signed, and what came along."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self.seen.append((operation, {k.lower(): v for k, v in self.headers.items()}))
        reply = {"QueueUrl": f"http://{self.headers['Host']}/q"}
        if operation == "SendMessage":
            reply = {"MessageId": "m", "MD5OfMessageBody": "", "Body": body.decode()}
        text = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", f"{len(text)}")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def test_requests_are_signed_with_the_role_s_keys_and_have_the_trace(
    serve: Serve, moto: Neighbour
) -> None:
    Recorder.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    async def scene(it: ServedHouse) -> None:
        await deploy(it, "good", OnSuccess=f"arn:aws:sqs:us-east-1:{ACCOUNT}:q")
        await send(it, "good", a=1)
        await until(lambda: "SendMessage" in dict(Recorder.seen))
        await until(lambda: not it.engine._parts.asynchronous.queue.depths())

    try:
        here = f"http://127.0.0.1:{server.server_port}"
        play(serve, moto, scene, endpoints={"sts": moto.url, "sqs": here})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    for _, headers in Recorder.seen:
        assert "Credential=ASIA" in headers["authorization"]  # a role's, and not the engine's own
        assert headers["x-amz-security-token"]
        assert headers["x-amzn-trace-id"].startswith("Root=1-")
