"""What is given up of a stream, told to its on-failure destination: the real engine, boto3, and
moto's Kinesis, SNS, SQS and S3 over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import counted, deploy, letter, mapped, play, standing
from tests.api.test_kinesis_source import SHARD, Stream
from tests.api.test_sqs_source import ACCOUNT, comes

FIRST = SHARD.format(0)


@pytest.fixture
def stream(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(moto, f"told {request.node.name}".replace(" ", "-"))
    with standing(made):
        made.create()
        yield made


async def poisoned(it: ServedHouse, stream: Stream, target: str, **given: Any) -> Any:
    """The mapping of a stream with two records that fail; `target` is told of it."""
    await asyncio.to_thread(stream.put, "a", "poison")
    asked = {"MaximumRetryAttempts": 1, **given}
    return await mapped(
        it, stream, DestinationConfig={"OnFailure": {"Destination": target}}, **asked
    )


def test_a_topic_is_told_and_tells_its_queue(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        topic = await asyncio.to_thread(stream.topic)
        made = await poisoned(it, stream, topic)
        notice = await letter(stream)
        assert (notice["Type"], notice["TopicArn"]) == ("Notification", topic)
        record = json.loads(notice["Message"])
        assert record["requestContext"].pop("requestId")
        assert record["requestContext"] == {
            "functionArn": made["FunctionArn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        }
        info, keys = record["KinesisBatchInfo"], stream.told.hear()[0]["keys"]
        assert [info["startSequenceNumber"], info["endSequenceNumber"]] == keys
        assert (info["shardId"], info["batchSize"], info["streamArn"]) == (FIRST, 2, stream.arn)
        assert "payload" not in record
        await counted(it, made["UUID"], polled=2, invoked=4, failed=4, dropped=2, delivered=2)

    play(serve, stream, scene)


def test_a_bucket_gets_the_event(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        with stream.moto.s3() as s3:
            s3.create_bucket(Bucket=stream.name)
            made = await poisoned(it, stream, f"arn:aws:s3:::{stream.name}")
            found: list[str] = []

            async def told() -> bool:
                listed = await asyncio.to_thread(s3.list_objects_v2, Bucket=stream.name)
                found.extend(one["Key"] for one in listed.get("Contents", ()))
                return bool(found)

            await comes(told)
            body = s3.get_object(Bucket=stream.name, Key=found[0])["Body"].read()
        day, moment = r"(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3T\d\d\.\d\d\.\d\d"
        place = f"aws/lambda/{made['UUID']}/{FIRST}/{day}/{moment}-[0-9a-f-]{{36}}"
        assert re.fullmatch(place, found[0])
        record = json.loads(body)
        assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert record["KinesisBatchInfo"]["batchSize"] == 2
        payload = json.loads(record["payload"])
        first = stream.told.hear()[0]
        assert payload["Records"][0] == first["first"]
        assert [one["kinesis"]["sequenceNumber"] for one in payload["Records"]] == first["keys"]
        await counted(it, made["UUID"], dropped=2, delivered=2)

    play(serve, stream, scene)


def test_what_arrives_in_another_life_counts(serve: Serve, stream: Stream) -> None:
    """The queue is made only when the engine that gave up is gone, with all that it had counted."""
    kept: dict[str, str] = {}

    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        made = await poisoned(it, stream, f"arn:aws:sqs:us-east-1:{ACCOUNT}:{stream.name}")
        kept["uuid"] = made["UUID"]

        async def dead() -> bool:
            found = (await it.engine.events(state="dead", kind="delivery"))["events"]
            if found:
                kept["id"] = found[0]["id"]
            return bool(found)

        await comes(dead)
        text = it.engine.metrics_text().decode()
        of_it = f'mapping="{made["UUID"]}"'
        assert f'source_delivery_errors_total{{{of_it},service="sqs"}} 1.0' in text
        assert f'{of_it},outcome="delivered"' not in text
        await it.call("update_event_source_mapping", UUID=made["UUID"], Enabled=False)

    async def second(it: ServedHouse) -> None:
        await asyncio.to_thread(stream.queue)
        await it.engine.redrive(kept["id"])
        assert (await letter(stream))["KinesisBatchInfo"]["batchSize"] == 2
        await counted(it, kept["uuid"], delivered=2)

    play(serve, stream, first)
    play(serve, stream, second)
