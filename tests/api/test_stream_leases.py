"""What the engine keeps of streams that it reads: the real engine, boto3, and moto's Kinesis over
HTTP."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import deploy, heard, mapped, play, result, standing
from tests.api.test_kinesis_source import Stream
from tests.api.test_sqs_source import comes, reaches

FAILED = "PROBLEM: Function call failed"


@pytest.fixture
def stream(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(moto, request.node.name)
    with standing(made):
        made.create()
        yield made


def kept(data_dir: Path) -> list[str]:
    """Of which mappings there are leases."""
    database = sqlite3.connect(data_dir / "leases.db")
    try:
        rows = database.execute("SELECT DISTINCT mapping FROM leases ORDER BY mapping").fetchall()
    finally:
        database.close()
    return [row[0] for row in rows]


def leave_over(data_dir: Path) -> None:
    """As an engine does that dies between the removal of a mapping and that of its leases."""
    database = sqlite3.connect(data_dir / "leases.db")
    try:
        with database:
            database.execute("INSERT INTO leases VALUES ('gone', 's', 'somebody', 1, '[]')")
    finally:
        database.close()


def test_nothing_is_kept_of_a_mapping_that_is_deleted(serve: Serve, stream: Stream) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "a")
        made = await mapped(it, stream)
        await heard(stream, lambda bodies: bodies == ["a"])
        assert kept(serve.data_dir) == [made["UUID"]]

    async def second(it: ServedHouse) -> None:
        (made,) = (await it.call("list_event_source_mappings"))["EventSourceMappings"]
        await reaches(it, made["UUID"], "Enabled")

        async def tidy() -> bool:
            return kept(serve.data_dir) == [made["UUID"]]

        await comes(tidy)
        await it.call("delete_event_source_mapping", UUID=made["UUID"])

        async def gone() -> bool:
            return not (await it.call("list_event_source_mappings"))["EventSourceMappings"]

        await comes(gone)
        assert kept(serve.data_dir) == []

    async def third(it: ServedHouse) -> None:
        async def empty() -> bool:
            return kept(serve.data_dir) == []

        await comes(empty)

    play(serve, stream, first)
    leave_over(serve.data_dir)
    play(serve, stream, second)
    leave_over(serve.data_dir)
    play(serve, stream, third)


def test_the_last_result_stays_while_nothing_is_read(serve: Serve, stream: Stream) -> None:
    async def shown(it: ServedHouse, uuid: str) -> Any:
        return (await it.call("get_event_source_mapping", UUID=uuid))["LastProcessingResult"]

    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "poison")
        uuid = (await mapped(it, stream, MaximumRetryAttempts=0))["UUID"]
        await result(it, uuid, FAILED)
        for state in ("Disabled", "Enabled"):
            await it.call("update_event_source_mapping", UUID=uuid, Enabled=state == "Enabled")
            await reaches(it, uuid, state)
            assert await shown(it, uuid) == FAILED

    async def second(it: ServedHouse) -> None:
        (made,) = (await it.call("list_event_source_mappings"))["EventSourceMappings"]
        await reaches(it, made["UUID"], "Enabled")
        assert await shown(it, made["UUID"]) == FAILED
        await asyncio.to_thread(stream.put, "a")
        await result(it, made["UUID"], "OK")

    play(serve, stream, first)
    play(serve, stream, second)


def test_a_stream_that_is_made_anew_is_read_from_its_start(serve: Serve, stream: Stream) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        await mapped(it, stream, StartingPosition="LATEST")
        await asyncio.to_thread(stream.put, "a", "b", "c")
        await heard(stream, lambda bodies: "c" in bodies)

    def make_anew() -> None:
        with stream.moto.client("kinesis") as kinesis:
            kinesis.delete_stream(StreamName=stream.name)
            kinesis.get_waiter("stream_not_exists").wait(StreamName=stream.name)
        stream.create()
        stream.put("d", "e")

    async def second(it: ServedHouse) -> None:
        await heard(stream, lambda bodies: bodies[3:] == ["d", "e"])

    play(serve, stream, first)
    make_anew()
    play(serve, stream, second)
