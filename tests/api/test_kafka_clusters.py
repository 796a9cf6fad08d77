"""Clusters of Kafka that can't be reached, want to know who asks, or are MSK's."""

from __future__ import annotations

import asyncio
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
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import heard, play, result
from tests.api.test_sqs_source import ACCOUNT
from tests.api.topic_house import NOWHERE, Topic, asked, deploy, mapped
from tests.certificates import certificate


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
