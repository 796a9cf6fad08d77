"""Events on real engines, counted by what the handlers themselves told a socket outside."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import eventually, package, result, write
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import AWS, ClientError, EngineError
from samovar.stores.invoke_queue import Lane
from samovar.stores.sqlite_queue import SqliteInvokeQueue

# Tells the court, waits until it may go on, and ends as the event says.
SOURCE = """
import json, os, socket, time

def handler(event, context):
    fact = {"phase": "invoke", "request": context.aws_request_id, "edition": EDITION}
    if "port" in event:
        with socket.create_connection(("127.0.0.1", event["port"]), timeout=60) as court:
            court.sendall(json.dumps(fact | {"number": event.get("number")}).encode() + b"\\n")
            court.recv(1)
    how = event.get("how")
    if how == "raise":
        raise ValueError("no luck")
    if how == "exit":
        os._exit(3)
    if how == "late":
        time.sleep(60)
    return EDITION
"""


async def deploy(engine: Engine, name: str = "f", edition: int = 1, **settings: Any) -> None:
    await write(engine, f"EDITION = {edition}\n{SOURCE}", name, **settings)


async def ended(engine: Engine, event: str) -> dict[str, Any]:
    """The entry of an event that must end as a dead one."""
    deadline = asyncio.get_running_loop().time() + 20
    while (entry := (await engine.event(event))["event"])["state"] != "dead":
        assert asyncio.get_running_loop().time() < deadline, entry
        await asyncio.sleep(0.01)
    return dict(entry)


def waiting(engine: Engine) -> int:
    return sum(engine._parts.asynchronous.queue.depths().values())


@pytest.mark.parametrize("how", ["raise", "exit", "late"])
def test_a_failing_event_is_run_three_times_under_one_request_id(
    run_open: RunEngine, how: str
) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine, timeout=1)
        async with Court() as court:
            court.open()
            event = await engine.invoke_async("f", court.event() | {"how": how})
            entry = await ended(engine, event)
        assert [fact["request"] for fact in court.heard] == [event] * 3
        assert (entry["condition"], entry["invoked"]) == ("RetriesExhausted", 3)
        types = {"raise": "ValueError", "exit": "Runtime.ExitError", "late": "Sandbox.Timedout"}
        assert entry["error_type"] == types[how]

    run_open(scenario, time_scale=0.001)


def test_every_event_is_run_once_while_nothing_fails(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine)
        async with Court() as court:
            court.open()
            events = await asyncio.gather(
                *(engine.invoke_async("f", court.event() | {"number": n}) for n in range(60))
            )
            await eventually(lambda: waiting(engine) == 0, "all events are done")
        assert sorted(fact["request"] for fact in court.heard) == sorted(events)
        assert sorted(fact["number"] for fact in court.heard) == list(range(60))

    run_engine(scenario)


def test_with_nothing_reserved_an_event_is_taken_in_and_given_up(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine)
        await engine.registry.concurrency.put("f", None, 0)
        entry = await ended(engine, await engine.invoke_async("f", {}))
        assert (entry["condition"], entry["invoked"]) == ("ZeroReservedConcurrency", 0)

    run_open(scenario)


def test_a_call_gets_the_only_place_between_events(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine)
        await engine.registry.concurrency.put("f", None, 1)
        async with Court() as court:
            for number in range(3):
                await engine.invoke_async("f", court.event() | {"number": number})
            await court.reached(1)
            with pytest.raises(ClientError) as refused:
                await engine.invoke("f", {})
            assert refused.value.error is AWS.TOO_MANY_REQUESTS
            court.open(1)
            await eventually(lambda: waiting(engine) == 2, "the first event is over")
            assert await result(engine) == 1, "the others give way"
            court.open()
            await eventually(lambda: waiting(engine) == 0, "the others had their turn")
        assert [fact["number"] for fact in court.heard] == [0, 1, 2]
        assert b'samovar_throttles_total{function="f"' in engine.metrics_text()

    run_open(scenario)


def test_an_alias_is_resolved_when_its_event_runs(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine, edition=1)
        await engine.publish_version("f")
        await engine.create_alias("f", "live", "1")
        await engine.registry.concurrency.put("f", None, 1)
        async with Court() as court:
            await engine.invoke_async("f", court.event(), qualifier="live")
            await court.reached(1)
            await engine.invoke_async("f", court.event(), qualifier="live")
            await engine.update_function("f", code=package({"app.py": f"EDITION = 2\n{SOURCE}"}))
            await engine.publish_version("f")
            await engine.update_alias("f", "live", version="2")
            await engine.delete_version("f", "1")
            court.open()
            await eventually(lambda: waiting(engine) == 0, "both are done")
        assert [fact["edition"] for fact in court.heard] == [1, 2]

    run_open(scenario)


def test_what_waits_for_a_deleted_function_is_given_up(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine)
        await engine.registry.concurrency.put("f", None, 1)
        async with Court() as court:
            running = await engine.invoke_async("f", court.event())
            await court.reached(1)
            behind = await engine.invoke_async("f", court.event())
            await engine.delete_function("f")
            entry = await ended(engine, behind)
            assert (entry["condition"], entry["invoked"]) == ("FunctionDeleted", 0)
            court.open()
            await eventually(lambda: waiting(engine) == 1, "what ran has finished")
        assert [fact["request"] for fact in court.heard] == [running]

    run_open(scenario)


def test_a_backlog_is_taken_up_by_the_next_engine(run_open: RunEngine) -> None:
    """What ran as the engine stopped is run again; what waited is run for the first time."""
    heard: list[dict[str, Any]] = []
    events: list[str] = []

    async def first(engine: Engine) -> None:
        await deploy(engine)
        await engine.registry.concurrency.put("f", None, 2)
        async with Court() as court:
            port = {"port": court.port}
            events.extend(
                [await engine.invoke_async("f", port | {"number": number}) for number in range(20)]
            )
            await court.reached(1)
            await engine.stop(0.0)
            heard.extend(court.heard)

    async def second(engine: Engine) -> None:
        # The first court's port is not listened on any more: those events fail, and say so.
        entries = [await ended(engine, event) for event in events]
        assert {entry["condition"] for entry in entries} == {"RetriesExhausted"}
        assert {entry["error_type"] for entry in entries} == {"ConnectionRefusedError"}
        assert {entry["invoked"] for entry in entries} == {3}

    run_open(first, time_scale=0.001)
    assert [fact["request"] for fact in heard] == events[:1]
    run_open(second, time_scale=0.001)


def test_a_backlog_that_can_not_be_read_at_first_is_taken_up_later(
    run_open: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    async def first(engine: Engine) -> None:
        await deploy(engine)
        await engine.registry.concurrency.put("f", None, 1)
        async with Court() as court:
            events.extend([await engine.invoke_async("f", court.event()) for _ in range(2)])
            await court.reached(1)
            await engine.stop(0.0)

    lanes = SqliteInvokeQueue.lanes
    failures = [EngineError("the disk is ill"), sqlite3.OperationalError("disk I/O error")]

    async def ill(queue: SqliteInvokeQueue) -> Sequence[Lane]:
        if failures:
            raise failures.pop()
        return await lanes(queue)

    async def second(engine: Engine) -> None:
        for event in events:
            await ended(engine, event)

    run_open(first, time_scale=0.001)
    monkeypatch.setattr(SqliteInvokeQueue, "lanes", ill)
    run_open(second, time_scale=0.001)
    assert failures == []


def test_engine_stop_waits_for_what_runs(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await deploy(engine)
        async with Court() as court:
            await engine.invoke_async("f", court.event())
            await court.reached(1)
            stopping = asyncio.create_task(engine.stop(30.0))
            await asyncio.sleep(0)
            court.open()
            await stopping
        assert json.dumps(court.heard).count("request") == 1

    async def empty(engine: Engine) -> None:
        assert waiting(engine) == 0

    run_open(scenario)
    run_open(empty)


def test_two_functions_that_are_each_other_s_destination_are_stopped(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for name in ("ping", "pong"):
            await deploy(engine, name)
        arns = {name: engine.registry.get(name).arn for name in ("ping", "pong")}
        await engine.put_event_invoke("ping", on_success=arns["pong"])
        await engine.put_event_invoke("pong", on_success=arns["ping"])
        await engine.invoke_async("ping", {})
        stopped: list[Any] = []
        deadline = asyncio.get_running_loop().time() + 20
        while not stopped:
            assert asyncio.get_running_loop().time() < deadline
            stopped = (await engine.events(condition="RecursiveInvocation"))["events"]
            await asyncio.sleep(0.01)
        (entry,) = stopped
        assert (entry["state"], entry["invoked"]) == ("dead", 0)
        text = engine.metrics_text().decode()
        counter = "samovar_recursive_invocations_dropped_total"
        assert re.search(rf'^{counter}{{function="p[io]ng"}} 1', text, re.MULTILINE)
        ran = [
            line.rpartition(" ")[2]
            for line in text.splitlines()
            if line.startswith("samovar_invocation_duration_seconds_count")
        ]
        assert 30 <= sum(map(float, ran)) <= 32  # «approximately 16 times» each

    run_open(scenario)
