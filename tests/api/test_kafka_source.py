"""Topics of Kafka that are read for functions: the real engine, boto3, and a broker that speaks
Kafka's protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.api.house import package
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import Beside, heard, play, result, standing
from tests.api.test_sqs_source import ACCOUNT, comes, reaches
from tests.broker import Broker
from tests.certificates import certificate

# Tells what is in its batch, and does as values say: «poison» fails, «bad» is reported as failed.
CODE = """
import base64, json, os, socket

def text(record):
    return base64.b64decode(record["value"]).decode()

def handler(event, context):
    [(place, records)] = event["records"].items()
    texts = [text(record) for record in records]
    said = {"bodies": texts, "place": place, "event": event if len(texts) < 5 else None}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(json.dumps(said).encode(), ("127.0.0.1", int(os.environ["RECORD"])))
    if any(one.startswith("poison") for one in texts):
        raise ValueError("no luck")
    return {"batchItemFailures": [
        {"itemIdentifier": {"partition": place, "offset": record["offset"]}}
        for record, one in zip(records, texts) if one.startswith("bad")
    ]}
"""
NOWHERE = [{"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"}]
PROVISIONED = {"ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 4}}


class Topic(Beside):
    """A topic of one test."""

    def __init__(self, broker: Broker, moto: Neighbour, name: str) -> None:
        super().__init__(moto, name)
        self.broker = broker
        broker.create(self.name)

    def put(self, *values: str | None, **more: Any) -> None:
        self.broker.put(self.name, *values, **more)

    def committed(self, made: Any, partition: int = 0) -> int:
        group = made["SelfManagedKafkaEventSourceConfig"]["ConsumerGroupId"]
        return self.broker.committed(self.name, group, partition)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.close()


@pytest.fixture
def topic(broker: Broker, moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Topic]:
    made = Topic(broker, moto, request.node.name)
    with standing(made):
        yield made


async def deploy(it: ServedHouse, topic: Topic, **more: Any) -> None:
    await it.active(
        "f",
        Code={"ZipFile": package(CODE)},
        Handler="app.handler",
        Environment={"Variables": {"RECORD": str(topic.told.port)}},
        **more,
    )


def asked(topic: Topic, **given: Any) -> dict[str, Any]:
    return {
        "FunctionName": "f",
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [topic.broker.server]}},
        "SourceAccessConfigurations": NOWHERE,
        "Topics": [topic.name],
        "StartingPosition": "TRIM_HORIZON",
        **given,
    }


async def mapped(it: ServedHouse, topic: Topic, **given: Any) -> Any:
    made = await it.call("create_event_source_mapping", **asked(topic, **given))
    await reaches(it, made["UUID"], "Enabled")
    return made


async def committed(topic: Topic, made: Any, offset: int, partition: int = 0) -> None:
    async def there() -> bool:
        return await asyncio.to_thread(topic.committed, made, partition) == offset

    await comes(there)


def test_every_record_comes_once_in_the_order_of_its_partition(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        texts = {at: [f"{at}.{number}" for number in range(30)] for at in range(3)}
        for at, of in texts.items():
            topic.put(*of, partition=at)
        made = await mapped(it, topic, BatchSize=7)
        assert made["State"] == "Creating"
        assert made["StateTransitionReason"] == "USER_INITIATED"
        assert made["LastProcessingResult"] == "No records processed"
        assert made["Topics"] == [topic.name]
        assert made["SelfManagedKafkaEventSourceConfig"] == {"ConsumerGroupId": made["UUID"]}
        assert "EventSourceArn" not in made
        assert "MaximumBatchingWindowInSeconds" not in made
        found = await heard(topic, lambda bodies: len(bodies) >= 90)
        for at, of in texts.items():
            assert [one for one in found if one.startswith(f"{at}.")] == of
        assert len(found) == 90
        assert max(len(event["bodies"]) for event in topic.told.hear()) == 7
        for at in texts:
            await committed(topic, made, 30, at)
        await result(it, made["UUID"], "OK")

    play(serve, topic, scene)


def test_a_record_is_what_aws_makes_of_it(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("tea", key=b"\x00k", headers=[("h", b"\x01\xff"), ("h", b"")], timestamp=17)
        await mapped(it, topic)
        await heard(topic, lambda bodies: bodies == ["tea"])
        (told,) = topic.told.hear()
        assert told["event"] == {
            "eventSource": "SelfManagedKafka",
            "bootstrapServers": topic.broker.server,
            "records": {
                f"{topic.name}-0": [
                    {
                        "topic": topic.name,
                        "partition": 0,
                        "offset": 0,
                        "timestamp": 17,
                        "timestampType": "CREATE_TIME",
                        "key": base64.b64encode(b"\x00k").decode(),
                        "value": base64.b64encode(b"tea").decode(),
                        "headers": [{"h": [1, -1]}, {"h": []}],
                    }
                ]
            },
        }

    play(serve, topic, scene)


def test_latest_is_settled_once(serve: Serve, topic: Topic) -> None:
    """What comes while nobody reads is read later, and what was there before is not."""
    topic.put("before", partition=1)
    made: dict[str, Any] = {}

    async def begins(it: ServedHouse) -> None:
        await deploy(it, topic)
        made.update(await mapped(it, topic, StartingPosition="LATEST"))
        for partition, offset in ((0, 0), (1, 1)):
            await committed(topic, made, offset, partition)

    async def goes_on(it: ServedHouse) -> None:
        assert await heard(topic, lambda bodies: len(bodies) == 2)
        assert sorted(topic.bodies) == ["later", "later too"]
        topic.put("last", partition=1)
        await heard(topic, lambda bodies: "last" in bodies)
        assert "before" not in topic.bodies

    play(serve, topic, begins)
    topic.put("later", partition=0)
    topic.put("later too", partition=1)
    play(serve, topic, goes_on)


def test_a_batch_that_fails_is_run_again_and_holds_up_no_other_partition(
    serve: Serve, topic: Topic
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("poison", "behind it")
        topic.put("a", "b", partition=1)
        made = await mapped(it, topic, BatchSize=1)
        await heard(topic, lambda bodies: bodies.count("poison") > 2 and "b" in bodies)
        assert "behind it" not in topic.bodies
        await committed(topic, made, 0)
        await committed(topic, made, 2, 1)
        found = await it.call("get_event_source_mapping", UUID=made["UUID"])
        assert found["LastProcessingResult"] in ("PROBLEM: Function call failed", "OK")

    play(serve, topic, scene)


def test_what_is_given_up_is_told_to_a_queue(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("poison", "good")
        made = await mapped(
            it,
            topic,
            **PROVISIONED,
            BatchSize=2,
            MaximumRetryAttempts=1,
            BisectBatchOnFunctionError=True,
            DestinationConfig={"OnFailure": {"Destination": topic.queue()}},
        )
        await heard(topic, lambda bodies: bodies.count("good") == 2)
        await committed(topic, made, 2)
        letters: list[Any] = []

        async def there() -> bool:
            letters.extend(await asyncio.to_thread(topic.letters))
            return bool(letters)

        await comes(there)
        (letter,) = letters
        assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
        info = letter["KafkaBatchInfo"]
        assert info.pop("payloadSize") > 100
        stamp = info["recordsInfo"][f"{topic.name}-0"]
        assert stamp.pop("firstRecordTimestamp") == stamp.pop("lastRecordTimestamp")
        assert info == {
            "batchSize": 1,
            "bootstrapServers": topic.broker.server,
            "recordsInfo": {f"{topic.name}-0": {"firstRecordOffset": "0", "lastRecordOffset": "0"}},
        }

    play(serve, topic, scene)


def test_what_is_given_up_is_written_to_another_topic(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        dead = f"{topic.name}-dead"
        topic.broker.create(dead)
        topic.put("poison one", "poison two", key="k")
        made = await mapped(
            it,
            topic,
            **PROVISIONED,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": f"kafka://{dead}"}},
        )
        await committed(topic, made, 2)
        for offset, message in enumerate(await asyncio.to_thread(topic.broker.read, dead, 2)):
            assert message.key() == b"k"
            letter = json.loads(message.value())
            assert letter["KafkaBatchInfo"]["recordInfo"]["offset"] == str(offset)
            ((record,),) = letter["payload"]["records"].values()
            assert record["offset"] == offset

    play(serve, topic, scene)


def test_what_a_function_reports_is_where_its_batch_begins_anew(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("a", "b", "bad", "c")
        made = await mapped(
            it,
            topic,
            **PROVISIONED,
            BatchSize=4,
            MaximumRetryAttempts=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            MaximumBatchingWindowInSeconds=1,
        )
        await committed(topic, made, 4)
        assert topic.batches == [["a", "b", "bad", "c"], ["bad", "c"]]

    play(serve, topic, scene)


def test_filters_ask_for_keys_and_values(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put('{"kind": "tea"}', '{"kind": "coffee"}', "no json", key="k")
        pattern = json.dumps({"value": {"kind": ["tea"]}, "key": ["k"]})
        made = await mapped(it, topic, FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await committed(topic, made, 3)
        # A pattern for JSON says nothing of what is none (developer guide).
        assert topic.bodies == ['{"kind": "tea"}', "no json"]

    play(serve, topic, scene)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Topics": ["nobody.made.this"]}, "PROBLEM: The topic nobody.made.this is not there"),
        (
            {"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:1"]}}},
            "PROBLEM: Connection error. Please check your event source connection configuration",
        ),
    ],
    ids=["topic", "servers"],
)
def test_why_it_can_not_be_read(
    serve: Serve, topic: Topic, changes: dict[str, Any], words: str
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        made = await mapped(it, topic, **changes)
        await result(it, made["UUID"], words)
        await it.call("delete_event_source_mapping", UUID=made["UUID"])

    play(serve, topic, scene)


def secret(topic: Topic, kind: str, **fields: str) -> dict[str, str]:
    """A secret that is kept by the neighbour, as a mapping names it."""
    with topic.moto.client("secretsmanager") as secrets:
        made = secrets.create_secret(Name=f"{topic.name}-{kind}", SecretString=json.dumps(fields))
    return {"Type": kind, "URI": made["ARN"]}


@contextmanager
def tls_server(directory: Path) -> Iterator[str]:
    """Shakes hands, and says nothing more; where it is."""
    made = certificate()
    (directory / "pem").write_text(made.key + made.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "pem")
    started, ended = threading.Event(), threading.Event()
    places: list[str] = []

    async def serves() -> None:
        async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hangs_up, "127.0.0.1", 0, ssl=context)
        async with server:
            places.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serves(),))
    thread.start()
    try:
        assert started.wait(20)
        yield places[0]
    finally:
        ended.set()
        thread.join()


def test_a_server_that_nobody_vouches_for(serve: Serve, topic: Topic, tmp_path: Path) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        other = certificate().certificate
        with tls_server(tmp_path) as place:
            made = await mapped(
                it,
                topic,
                SelfManagedEventSource={"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [place]}},
                SourceAccessConfigurations=[
                    secret(topic, "SERVER_ROOT_CA_CERTIFICATE", certificate=other)
                ],
            )
            await result(it, made["UUID"], "PROBLEM: Lambda failed to authenticate server")
            await it.call("delete_event_source_mapping", UUID=made["UUID"])

    play(serve, topic, scene)


def test_secrets_are_asked_for_anew_when_they_are_exchanged(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("a")
        bad = secret(topic, "CLIENT_CERTIFICATE_TLS_AUTH", certificate="none", privateKey="none")
        made = await mapped(it, topic, SourceAccessConfigurations=[bad])
        words = "PROBLEM: Provided certificate or private key is invalid"
        await result(it, made["UUID"], words)
        await it.call(
            "update_event_source_mapping", UUID=made["UUID"], SourceAccessConfigurations=NOWHERE
        )
        await heard(topic, lambda bodies: bodies == ["a"])
        found = await it.call("get_event_source_mapping", UUID=made["UUID"])
        assert found["SourceAccessConfigurations"] == NOWHERE

    play(serve, topic, scene)


def test_a_secret_that_is_not_there_is_refused(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        gone = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:gone-abcdef"
        given = asked(topic, SourceAccessConfigurations=[{"Type": "BASIC_AUTH", "URI": gone}])
        status, _, message = await it.refused("create_event_source_mapping", **given)
        assert status == 400
        assert f"secretsmanager:GetSecretValue of {gone}" in message

    play(serve, topic, scene)


class Msk:
    """Says where a cluster's brokers are, as MSK's API does; `asked` are the clusters."""

    def __init__(self, **brokers: str) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(unquote(self.path))
                body = json.dumps(brokers).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *said: object) -> None:
                """Nobody wants to know."""

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Msk:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


CLUSTER = f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/tea/1-2"


def test_a_cluster_of_msk_says_where_its_brokers_are(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("a")
        made = await it.call(
            "create_event_source_mapping",
            FunctionName="f",
            EventSourceArn=CLUSTER,
            Topics=[topic.name],
            StartingPosition="TRIM_HORIZON",
            AmazonManagedKafkaEventSourceConfig={"ConsumerGroupId": topic.name},
        )
        await heard(topic, lambda bodies: bodies == ["a"])
        assert made["EventSourceArn"] == CLUSTER
        assert made["StateTransitionReason"] == "User action"
        assert made["AmazonManagedKafkaEventSourceConfig"] == {"ConsumerGroupId": topic.name}
        (told,) = topic.told.hear()
        event = told["event"]
        assert (event["eventSource"], event["eventSourceArn"]) == ("aws:kafka", CLUSTER)
        assert event["bootstrapServers"] == topic.broker.server

    with Msk(bootstrapBrokerString=topic.broker.server) as msk:
        play(serve, topic, scene, endpoints={"kafka": msk.url})
        assert set(msk.asked) == {f"/v1/clusters/{CLUSTER}/bootstrap-brokers"}


def test_a_cluster_that_wants_iam_is_refused(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        _, _, message = await it.refused(
            "create_event_source_mapping",
            FunctionName="f",
            EventSourceArn=CLUSTER,
            Topics=[topic.name],
            StartingPosition="LATEST",
        )
        assert "(that of IAM is not carried out)" in message

    with Msk(bootstrapBrokerStringSaslIam="b:9098") as msk:
        play(serve, topic, scene, endpoints={"kafka": msk.url})


def test_there_is_one_mapping_of_a_topic_and_a_function(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        made = await mapped(it, topic)
        status, _, message = await it.refused("create_event_source_mapping", **asked(topic))
        arn = (await it.call("get_function_configuration", FunctionName="f"))["FunctionArn"]
        assert status == 409
        assert message == (
            f'An event source mapping with event source ("{topic.broker.server}"), function '
            f'("{arn}"), topics ("{topic.name}") already exists. Please update or delete the '
            f"existing mapping with UUID {made['UUID']}"
        )
        status, _, message = await it.refused(
            "update_event_source_mapping",
            UUID=made["UUID"],
            SelfManagedKafkaEventSourceConfig={"ConsumerGroupId": "other"},
        )
        assert "can't be changed" in message

    play(serve, topic, scene)
