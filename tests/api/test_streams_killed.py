"""kill -9 of an engine that reads a stream: the next one goes on behind what was written down."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import package
from tests.api.neighbour import Neighbour
from tests.api.stream_house import CODE, heard, standing
from tests.api.test_kinesis_source import Stream
from tests.api.test_sqs_source import ACCOUNT
from tests.process.programs import Program, client, serve

pytestmark = pytest.mark.usefixtures("prepared")

RUNTIME = f"python3.{sys.version_info.minor}"


@pytest.fixture
def stream(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(moto, request.node.name)
    with standing(made):
        made.create()
        yield made


def test_what_was_done_is_not_done_again(tmp_path: Path, stream: Stream) -> None:
    flags = ("--aws-endpoint", stream.moto.url, "--account-id", ACCOUNT)
    command = serve(tmp_path / "data", "auto", *flags)
    with Program(*command) as engine:
        aws = client(engine.line().split()[-1])
        create(aws, stream)
        stream.put("a", "b", "c")
        asyncio.run(heard(stream, lambda bodies: "c" in bodies))
        # A batch that is begun comes behind the checkpoint of the one before it.
        stream.put("poison")
        asyncio.run(heard(stream, lambda bodies: "poison" in bodies))
        aws.close()
        engine.kill()
    stream.put("d")
    with Program(*command):
        before = len(stream.bodies)
        bodies = asyncio.run(heard(stream, lambda bodies: "poison" in bodies[before:]))
    assert [bodies.count(text) for text in "abc"] == [1, 1, 1]
    assert set(bodies[before:]) <= {"poison", "d"}


def create(aws: Any, stream: Stream) -> None:
    aws.create_function(
        FunctionName="f",
        Runtime=RUNTIME,
        Role=f"arn:aws:iam::{ACCOUNT}:role/r",
        Handler="app.handler",
        Code={"ZipFile": package(CODE)},
        Environment={"Variables": {"RECORD": str(stream.told.port)}},
    )
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0})
    aws.create_event_source_mapping(
        FunctionName="f", EventSourceArn=stream.arn, StartingPosition="TRIM_HORIZON", BatchSize=3
    )
