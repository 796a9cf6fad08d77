"""Whose rights count where a source is read: moto asks IAM, and each role may do what it may.

A server of its own, because from some time on it refuses whoever has no rights.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from tests.api import neighbour
from tests.api.house import package, until
from tests.api.served import Serve, ServedHouse
from tests.api.test_sqs_source import ACCOUNT, CODE, comes
from tests.heard import Told

QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:guarded"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/guarded"
NO_ACCESS = (
    f"Cannot access stream {STREAM}. Please ensure the role can perform the GetRecords, "
    "GetShardIterator, DescribeStream, ListShards, and ListStreams Actions on your stream in IAM."
)
EVERYTHING = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


@dataclass
class Guarded:
    """A moto that enforces: `admin` has keys that may do all."""

    url: str
    admin: boto3.Session
    engine_keys: dict[str, str]
    queue_url: str

    def client(self, service: str) -> Any:
        return self.admin.client(service, endpoint_url=self.url)

    def allow(self, role: str, *actions: str) -> None:
        """Give a role exactly these rights."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        }
        self.client("iam").put_role_policy(
            RoleName=role, PolicyName="rights", PolicyDocument=json.dumps(policy)
        )


def user(iam: Any, name: str, action: str) -> dict[str, str]:
    """A user who may do `action`; his keys."""
    iam.create_user(UserName=name)
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
    }
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with neighbour.running(tmp_path_factory.mktemp("guarded")) as running:
        anybody = boto3.Session("any", "any", region_name="us-east-1")
        iam = anybody.client("iam", endpoint_url=running.url)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/engine"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        for role in ("reader", "blind", "no-delete", "losing", "of-stream"):
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        admin = boto3.Session(**user(iam, "admin", "*"), region_name="us-east-1")
        engine_keys = user(iam, "engine", "sts:AssumeRole")
        sqs = anybody.client("sqs", endpoint_url=running.url)
        queue_url = sqs.create_queue(QueueName="guarded")["QueueUrl"]
        kinesis = anybody.client("kinesis", endpoint_url=running.url)
        kinesis.create_stream(StreamName="guarded", ShardCount=1)
        for client in (iam, sqs, kinesis):
            client.close()
        asked = urllib.request.Request(
            f"{running.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(asked).close()
        it = Guarded(running.url, admin, engine_keys, queue_url)
        it.allow("reader", *EVERYTHING)
        it.allow("losing", *EVERYTHING)
        it.allow("blind", "s3:GetObject")
        it.allow("of-stream", "kinesis:*")
        it.allow("no-delete", "sqs:ReceiveMessage", "sqs:GetQueueAttributes")
        yield it


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.close()


@pytest.fixture
def engine_has_keys(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own may assume roles, and read nothing."""
    for name, value in guarded.engine_keys.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


def play(serve: Serve, guarded: Guarded, scene: Any) -> None:
    serve(scene, account_id=ACCOUNT, aws_endpoint=guarded.url, endpoints={"sts": guarded.url})


def role_of(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


async def deploy(it: ServedHouse, told: Told, role: str) -> None:
    await it.active(
        "f",
        Code={"ZipFile": package(CODE)},
        Handler="app.handler",
        Role=role_of(role),
        Environment={"Variables": {"RECORD": str(told.port)}},
    )


@pytest.mark.usefixtures("engine_has_keys")
@pytest.mark.parametrize(
    ("role", "action"), [("blind", "GetQueueAttributes"), ("no-delete", "DeleteMessage")]
)
def test_a_role_that_may_not_read_the_queue_is_refused(
    serve: Serve, guarded: Guarded, told: Told, role: str, action: str
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, told, role)
        refused = await it.refused(
            "create_event_source_mapping", FunctionName="f", EventSourceArn=QUEUE
        )
        assert refused == (
            400,
            "InvalidParameterValueException",
            f"The function execution role does not have permissions to call {action} on SQS",
        )
        assert (await it.call("list_event_source_mappings"))["EventSourceMappings"] == []
        # Whoever sends an event needs no right on where it came from.
        await it.call("invoke", FunctionName="f", InvocationType="Event", Payload='{"Records": []}')

    play(serve, guarded, scene)


@pytest.mark.usefixtures("engine_has_keys")
def test_a_role_that_may_reads_with_its_own_rights_until_it_loses_them(
    serve: Serve, guarded: Guarded, told: Told
) -> None:
    sqs = guarded.client("sqs")

    async def scene(it: ServedHouse) -> None:
        await deploy(it, told, "losing")
        made = await it.call("create_event_source_mapping", FunctionName="f", EventSourceArn=QUEUE)
        await asyncio.to_thread(sqs.send_message, QueueUrl=guarded.queue_url, MessageBody="one")
        await until(lambda: told.bodies == ["one"])
        await asyncio.to_thread(guarded.allow, "losing", "s3:GetObject")
        labels = f'error="AccessDenied",mapping="{made["UUID"]}"'

        async def denied() -> bool:
            return f"samovar_event_source_errors_total{{{labels}" in (
                it.engine.metrics_text().decode()
            )

        await comes(denied)
        # The engine's own keys, or another function's, are nobody's way in.
        await asyncio.to_thread(sqs.send_message, QueueUrl=guarded.queue_url, MessageBody="two")
        await asyncio.to_thread(guarded.allow, "losing", *EVERYTHING)
        await until(lambda: told.bodies == ["one", "two"])

    play(serve, guarded, scene)
    sqs.close()


@pytest.mark.usefixtures("engine_has_keys")
def test_rights_to_a_stream_that_are_lost_show_in_its_mapping(
    serve: Serve, guarded: Guarded, told: Told
) -> None:
    given = {"EventSourceArn": STREAM, "StartingPosition": "TRIM_HORIZON"}

    async def scene(it: ServedHouse) -> None:
        await deploy(it, told, "of-stream")
        made = await it.call("create_event_source_mapping", FunctionName="f", **given)

        async def says(words: str) -> bool:
            found = await it.call("get_event_source_mapping", UUID=made["UUID"])
            return bool(found["LastProcessingResult"] == words)

        await asyncio.to_thread(guarded.allow, "of-stream", "s3:GetObject")
        await comes(lambda: says(f"PROBLEM: {NO_ACCESS}"))
        await asyncio.to_thread(guarded.allow, "of-stream", "kinesis:*")
        await comes(lambda: says("No records processed"))
        await it.active("g", Code={"ZipFile": package(CODE)}, Role=role_of("blind"))
        refused = await it.refused("create_event_source_mapping", FunctionName="g", **given)
        assert refused == (400, "InvalidParameterValueException", NO_ACCESS)

    play(serve, guarded, scene)


@pytest.mark.usefixtures("engine_has_keys")
def test_a_role_that_may_not_read_the_secret_of_a_cluster_is_refused(
    serve: Serve, guarded: Guarded, told: Told
) -> None:
    secrets = guarded.client("secretsmanager")
    arn = secrets.create_secret(Name="of-kafka", SecretString="{}")["ARN"]
    secrets.close()

    async def scene(it: ServedHouse) -> None:
        await deploy(it, told, "blind")
        refused = await it.refused(
            "create_event_source_mapping",
            FunctionName="f",
            SelfManagedEventSource={"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:1"]}},
            SourceAccessConfigurations=[{"Type": "BASIC_AUTH", "URI": arn}],
            Topics=["clicks"],
            StartingPosition="LATEST",
        )
        assert refused == (
            400,
            "InvalidParameterValueException",
            "The function execution role does not have permissions to call "
            f"secretsmanager:GetSecretValue on {arn}",
        )

    play(serve, guarded, scene)
