"""Streams that are counted in tumbling windows: the real engine, boto3, and moto's Kinesis and
DynamoDB over HTTP. Windows are of two seconds, and end by the clock."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import package
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import Beside, mapped, play, standing
from tests.api.test_dynamodb_source import Table
from tests.api.test_kinesis_source import Stream
from tests.api.test_sqs_source import ACCOUNT, comes, reaches
from tests.process.programs import Program, client, serve

pytestmark = pytest.mark.usefixtures("prepared")

RUNTIME = f"python3.{sys.version_info.minor}"
SECONDS = 2
# Counts texts in its state, and tells of each invocation; «held» waits for as long as somebody
# listens, and «grave» lets the final invocation fail.
CODE = """
import base64, json, os, socket

def text(record):
    if "kinesis" in record:
        return base64.b64decode(record["kinesis"]["data"]).decode()
    return record["dynamodb"]["Keys"]["id"]["S"]

def handler(event, context):
    texts = [text(record) for record in event["Records"]]
    counted = event["state"].get("texts", []) + texts
    said = {"bodies": texts, "counted": counted}
    said |= {name: value for name, value in event.items() if name != "Records"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        out.sendto(json.dumps(said).encode(), ("127.0.0.1", int(os.environ["RECORD"])))
    if "held" in texts:
        try:
            with socket.create_connection(("127.0.0.1", int(os.environ["HELD"]))) as held:
                held.recv(1)
        except OSError:
            pass
    if event["isFinalInvokeForWindow"] and "grave" in counted:
        raise ValueError("no luck")
    return {"state": {"texts": counted}}
"""
FUNCTION = {"Handler": "app.handler", "Code": {"ZipFile": package(CODE)}}


@pytest.fixture
def stream(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(moto, request.node.name)
    with standing(made):
        made.create()
        yield made


@pytest.fixture
def table(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Table]:
    made = Table(moto, request.node.name)
    with standing(made):
        made.create()
        yield made


def finals(beside: Beside) -> list[dict[str, Any]]:
    return [event for event in beside.told.events if event["isFinalInvokeForWindow"]]


def counted(beside: Beside) -> list[str]:
    """What the final invocations were told of, each window once."""
    windows = {event["window"]["start"]: event["counted"] for event in finals(beside)}
    return [text for of in windows.values() for text in of]


async def told(beside: Beside, *texts: str) -> None:
    """Until final invocations were told of all of these."""

    async def there() -> bool:
        return set(texts) <= set(counted(beside))

    await comes(there)


async def deploy(it: ServedHouse, beside: Beside) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    record = {"Variables": {"RECORD": str(beside.told.port)}}
    await it.active("f", Role=role, Environment=record, **FUNCTION)


def test_windows_of_kinesis(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        made = await mapped(it, stream, TumblingWindowInSeconds=SECONDS, BatchSize=3)
        assert made["TumblingWindowInSeconds"] == SECONDS
        texts = [str(number) for number in range(10)]
        await asyncio.to_thread(stream.put, *texts)
        await told(stream, *texts)
        assert counted(stream) == texts
        events = stream.told.events
        ends: set[str] = set()
        state: dict[str, Any] = {}
        for event in events:
            begin, end = (datetime.fromisoformat(event["window"][of]) for of in ("start", "end"))
            assert (end - begin).total_seconds() == SECONDS
            assert begin.timestamp() % SECONDS == 0
            # A window is not gone on with once it was ended, and hands its state on till then.
            assert event["window"]["start"] not in ends
            assert event["state"] == state
            state = {"texts": event["counted"]}
            if event["isFinalInvokeForWindow"]:
                ends.add(event["window"]["start"])
                state = {}
            assert event["shardId"] == "shardId-000000000000"
            assert event["eventSourceARN"] == stream.arn
            assert event["isWindowTerminatedEarly"] is False
        again = await it.call("get_event_source_mapping", UUID=made["UUID"])
        assert again["TumblingWindowInSeconds"] == SECONDS
        changed = await it.call(
            "update_event_source_mapping", UUID=made["UUID"], TumblingWindowInSeconds=0
        )
        assert changed["TumblingWindowInSeconds"] == 0
        await reaches(it, made["UUID"], "Enabled")

    play(serve, stream, scene)


def test_windows_of_a_table(serve: Serve, table: Table) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, table)
        await mapped(it, table, TumblingWindowInSeconds=SECONDS)
        await asyncio.to_thread(table.put, "a", "b", "c")
        await told(table, "a", "b", "c")
        assert counted(table) == ["a", "b", "c"]

    play(serve, table, scene)


def test_an_end_that_is_given_up_is_told_of(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        queue = await asyncio.to_thread(stream.queue)
        await mapped(
            it,
            stream,
            TumblingWindowInSeconds=SECONDS,
            MaximumRetryAttempts=1,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        await asyncio.to_thread(stream.put, "grave")
        letters: list[dict[str, Any]] = []

        async def there() -> bool:
            letters.extend(await asyncio.to_thread(stream.letters))
            return bool(letters)

        await comes(there)
        (letter,) = letters
        info = letter["KinesisBatchInfo"]
        assert (info["batchSize"], info["startSequenceNumber"]) == (0, None)
        assert info["window"] == finals(stream)[0]["window"]
        assert letter["requestContext"]["approximateInvokeCount"] == len(finals(stream)) == 2
        await asyncio.to_thread(stream.put, "after")
        await told(stream, "after")
        assert finals(stream)[-1]["counted"] == ["after"]

    play(serve, stream, scene)


def test_the_embedded_engine_has_them_too(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        made = await it.engine.read_source(
            "f", stream.arn, starting_position="TRIM_HORIZON", tumbling_window=SECONDS
        )
        assert made.mapping.tumbling_window == SECONDS
        await asyncio.to_thread(stream.put, "a")
        await told(stream, "a")

    play(serve, stream, scene)


def test_nothing_is_lost_or_counted_twice_by_kill_9(tmp_path: Path, stream: Stream) -> None:
    flags = ("--aws-endpoint", stream.moto.url, "--account-id", ACCOUNT)
    command = serve(tmp_path / "data", "auto", *flags)
    put: list[str] = []
    hold = socket.create_server(("127.0.0.1", 0))

    def more(*texts: str) -> None:
        stream.put(*texts)
        put.extend(texts)

    async def begun(text: str, times: int) -> None:
        """Until the function was given `text` so often."""

        async def there() -> bool:
            return stream.bodies.count(text) >= times

        await comes(there)

    with Program(*command) as engine:
        aws = client(engine.line().split()[-1])
        create(aws, stream, hold.getsockname()[1])
        aws.close()
        more("a", "b", "c")
        asyncio.run(told(stream, "a", "b", "c"))
        more("d", "e")
        # What runs now has come behind a checkpoint with a state.
        more("held")
        asyncio.run(begun("held", 1))
        engine.kill()
    more("f")
    with Program(*command) as engine:
        asyncio.run(begun("held", 2))
        engine.kill()
    hold.close()
    with Program(*command):
        more("g")
        asyncio.run(told(stream, *put))
    assert counted(stream) == put
    done = stream.bodies
    assert [done.count(text) for text in "abcde"] == [1, 1, 1, 1, 1]
    # Whatever end was told twice was told of the same.
    ends = {(event["window"]["start"], tuple(event["counted"])) for event in finals(stream)}
    assert len(ends) == len({start for start, _ in ends})


def create(aws: Any, stream: Stream, hold: int) -> None:
    aws.create_function(
        FunctionName="f",
        Runtime=RUNTIME,
        Timeout=60,
        Role=f"arn:aws:iam::{ACCOUNT}:role/r",
        Environment={"Variables": {"RECORD": str(stream.told.port), "HELD": str(hold)}},
        **FUNCTION,
    )
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0})
    aws.create_event_source_mapping(
        FunctionName="f",
        EventSourceArn=stream.arn,
        StartingPosition="TRIM_HORIZON",
        BatchSize=1,
        TumblingWindowInSeconds=SECONDS,
    )
