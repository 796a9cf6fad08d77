"""Logs at CloudWatch Logs: a real moto server next door, read with boto3 and with the AWS CLI."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import package
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.aws_cli import version_2

from samovar.errors import SettingsError
from samovar.settings import Settings

HANDLER = """
import logging
def handler(event, context):
    print("printed")
    print()
    logging.warning("two\\nlines")
    return [context.log_group_name, context.log_stream_name]
"""
PATIENCE = 60.0


async def invoke(it: ServedHouse, name: str = "f") -> tuple[str, str]:
    """An invocation's group and stream, as the function itself sees them."""
    reply = await it.call("invoke", FunctionName=name)
    group, stream = json.loads(reply["Payload"].read())
    return group, stream


async def functions(it: ServedHouse, *names: str, **changes: Any) -> None:
    for name in names:
        await it.create(name, Code={"ZipFile": package(HANDLER)}, **changes)
        await it.engine.registry.wait_settled(name)


def events(moto: Neighbour, group: str) -> list[dict[str, Any]]:
    with moto.client("logs") as logs:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event for page in pages for event in page["events"]]


async def delivered(moto: Neighbour, group: str, count: int) -> None:
    """Wait until so many events are there."""

    def there() -> bool:
        with moto.client("logs") as logs:
            groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return bool(groups) and len(events(moto, group)) == count

    for _ in range(200):
        if await asyncio.to_thread(there):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not delivered")


def aws_environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **inherited,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
    }


def aws(moto: Neighbour, *arguments: str, program: Path | None = None) -> str:
    """What the AWS CLI says: `program`, or that of this environment."""
    done = subprocess.run(
        [
            program or Path(sys.executable).with_name("aws"),
            *("--endpoint-url", moto.url, *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=aws_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_event_is_there_with_group_and_stream(serve: Serve, moto: Neighbour) -> None:
    async def scene(it: ServedHouse) -> tuple[str, str]:
        await functions(it, "delivered")
        await invoke(it, "delivered")
        return await invoke(it, "delivered")

    # What is left when the engine stops is delivered then.
    group, stream = serve(scene, log_delivery=True, aws_endpoint=moto.url, time_scale=0.1)
    assert group == "/aws/lambda/delivered"
    found = events(moto, group)
    assert {event["logStreamName"] for event in found} == {stream}
    times = [event["timestamp"] for event in found]
    assert times == sorted(times)
    once = ["START", "printed\n", "\n", "[WARNING]", "END", "REPORT"]
    shown = [event["message"].split("\t")[0] for event in found]
    assert [text.split(" ")[0] for text in shown] == ["INIT_START", *once, *once]
    (first, _) = [event["message"] for event in found if event["message"].startswith("[WARN")]
    assert first.endswith("two\nlines\n")
    told = json.loads(aws(moto, "logs", "filter-log-events", "--log-group-name", group))
    assert [event["message"] for event in told["events"]] == [event["message"] for event in found]


def test_the_aws_cli_tails_what_is_delivered(serve: Serve, moto: Neighbour) -> None:
    """`logs tail` is version 2's; with --follow it asks every five seconds."""
    program = version_2()

    async def scene(it: ServedHouse) -> None:
        await functions(it, "tailed")
        group, stream = await invoke(it, "tailed")
        await delivered(moto, group, 7)
        shown = await asyncio.to_thread(aws, moto, "logs", "tail", group, program=program)
        assert shown.splitlines()[0].split(" ")[1:3] == [stream, "INIT_START"]
        assert shown.count(" REPORT ") == 1
        assert "two\nlines\n" in shown

        following = await asyncio.create_subprocess_exec(
            *(program, "--endpoint-url", moto.url, "logs", "tail", group),
            *("--follow", "--since", "10m", "--format", "short"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**aws_environment(), "PYTHONUNBUFFERED": "1"},
        )
        assert following.stdout is not None
        try:
            for turn in range(2):
                line = ""
                while " REPORT " not in line:
                    line = (await following.stdout.readline()).decode()
                    assert line, await following.communicate()
                if not turn:
                    await invoke(it, "tailed")
        finally:
            following.kill()
            await following.communicate()

    serve(scene, log_delivery=True, aws_endpoint=moto.url, time_scale=0.1)


def test_functions_share_a_group(serve: Serve, moto: Neighbour) -> None:
    async def scene(it: ServedHouse) -> set[str]:
        await functions(it, "one", "two", LoggingConfig={"LogFormat": "JSON", "LogGroup": "/ours"})
        return {(await invoke(it, name))[1] for name in ("one", "two")}

    streams = serve(scene, log_delivery=True, aws_endpoint=moto.url, time_scale=0.1)
    assert len(streams) == 2
    found = events(moto, "/ours")
    assert {event["logStreamName"] for event in found} == streams
    for stream in streams:
        mine = [event["message"] for event in found if event["logStreamName"] == stream]
        assert json.loads(mine[0])["type"] == "platform.start"
        assert json.loads(mine[-1])["type"] == "platform.report"


def test_delivery_goes_on_while_the_engine_runs(serve: Serve, moto: Neighbour) -> None:
    async def scene(it: ServedHouse) -> None:
        await functions(it, "running")
        group, _ = await invoke(it, "running")
        await delivered(moto, group, 7)

    serve(scene, log_delivery=True, aws_endpoint=moto.url, time_scale=0.1)


def test_a_neighbour_that_is_not_there_holds_nobody_up(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def scene(it: ServedHouse) -> str:
        await functions(it, "alone")
        for _ in range(20):
            await invoke(it, "alone")
        engine: Any = it.engine
        lost: Any = engine._parts.keeping.lost
        return lost

    url = f"http://127.0.0.1:{port}"
    lost: Any = serve(scene, log_delivery=True, aws_endpoint=url, time_scale=0.001)
    assert lost.counts() == {("cloudwatch", "the engine stopped"): 1 + 20 * 6}


def test_delivery_needs_an_endpoint(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="log_delivery=True: needs aws_endpoint"):
        Settings(data_dir=tmp_path, log_delivery=True)


def test_files_and_delivery_together(serve: Serve, moto: Neighbour) -> None:
    async def scene(it: ServedHouse) -> None:
        await functions(it, "both")
        await invoke(it, "both")

    serve(scene, log_delivery=True, log_files=True, aws_endpoint=moto.url, time_scale=0.1)
    (path,) = (serve.data_dir / "logs" / "both").iterdir()
    kept = [json.loads(line)["message"] + "\n" for line in path.read_text().splitlines()]
    assert [event["message"] for event in events(moto, "/aws/lambda/both")] == kept
