"""SnapStart: an init once, contexts that are forked from it, and what each has of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, error, eventually, family, result, states
from tests.process.kin import ended
from tests.process.template_house import call, create_published, publish, template_pid
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.model.function import State
from samovar.model.invocation import StartKind


async def at_once(engine: Engine, count: int) -> list[dict[str, Any]]:
    """What `count` contexts answer that all exist at the same time."""
    async with Gate() as gate:
        calls = [asyncio.create_task(call(engine, gate.event())) for _ in range(count)]
        await gate.reached(count)
        gate.open()
        return [json.loads((await one).payload) for one in calls]


def test_the_init_runs_once_at_publish(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            port = str(court.port)
            await create(engine, "witness.handler", environment={"INIT_PORT": port}, timeout=30)
            publishing = asyncio.create_task(publish(engine))
            await court.reached(1)
            pending = engine.registry.get("f", "1")
            assert pending.state is State.PENDING
            with pytest.raises(ClientError) as early:
                await call(engine, {})
            assert early.value.error is AWS.SNAP_START_NOT_READY
            court.open(1)
            assert (await publishing).state is State.ACTIVE
            calls = [asyncio.create_task(call(engine, court.event())) for _ in range(5)]
            await court.reached(5)
            court.open()
            outcomes = [await one for one in calls]
        assert court.phases() == ["init", *["invoke"] * 5]
        assert [json.loads(outcome.payload)["calls"] for outcome in outcomes] == [1] * 5
        assert {outcome.start for outcome in outcomes} == {StartKind.COLD}
        assert {outcome.executed_version for outcome in outcomes} == {"1"}
        assert len(engine.templates()) == 1

    run_engine(scenario)


def test_each_context_draws_for_itself(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "snapshots.draw", timeout=30)
        told = await at_once(engine, 6)
        for what in told[0]["drawn"]:
            values = {fact["drawn"][what] for fact in told}
            enough = 4 if what == "clock sequence" else 6  # of 16,384: two may be equal
            assert len(values) >= enough, what
        assert all(fact["drawn"]["stream"] == fact["drawn"]["in environment"] for fact in told)
        assert len({fact["first"] for fact in told}) == 1  # the init's own
        assert {fact["start"] for fact in told} == {"snap-start"}
        assert {fact["init"]["start"] for fact in told} == {"snap-start"}
        streams = {fact["drawn"]["stream"] for fact in told}
        assert told[0]["init"]["stream"] not in streams
        assert streams < run_engine.log.streams()

    run_engine(scenario)


def test_latest_starts_on_demand(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "witness.handler")
        assert (await result(engine))["calls"] == 1
        log = run_engine.log.text()
        assert log.count("RESTORE_START") == 0
        assert log.count("INIT_REPORT") == 1
        await call(engine)
        assert run_engine.log.text().count("RESTORE_START Runtime Version: python:3.") == 1

    run_engine(scenario)


def test_what_the_log_says_of_a_restore(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "witness.handler")
        tail = (await engine.invoke("f", b"{}", qualifier="1", log_tail=True)).log_tail.decode()
        assert "\tRestore Duration: " in tail
        assert " ms\tBilled Restore Duration: " in tail
        assert "Init Duration" not in tail
        again = (await engine.invoke("f", b"{}", qualifier="1", log_tail=True)).log_tail.decode()
        assert "Restore Duration" not in again
        first = run_engine.log.text().split("START RequestId")[0]
        assert [line.split(" ")[0] for line in first.splitlines()] == [
            "INIT_START",
            "INIT_REPORT",
            "RESTORE_START",
            "RESTORE_REPORT",
        ]

    run_engine(scenario)


def test_each_context_has_its_own_copy_of_tmp(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "snapshots.files", timeout=30)
        calls = [call(engine) for _ in range(3)]
        told = [json.loads((await one).payload) for one in await together(calls)]
        names = ["calls", "link", "sub"]
        for fact in told:
            assert fact["names"] == names
            assert fact["linked"] == "weights"
            assert fact["calls"] == fact["in tmp"]
            if run_engine.walled:  # without walls the open file itself is the template's
                assert fact["log"] == ["init", *["call"] * fact["calls"]]

    async def together(calls: list[Any]) -> list[asyncio.Task[Any]]:
        tasks = [asyncio.create_task(one) for one in calls]
        await asyncio.wait(tasks)
        return tasks

    run_engine(scenario)


def test_tmp_outlives_a_process_that_came_from_a_template(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "snapshots.spoil", timeout=2)
        first = await call(engine)
        assert json.loads(first.payload)["calls"] == 1
        for end, kind in (("exit", "Runtime.ExitError"), ("stay", "Sandbox.Timedout")):
            assert error(await call(engine, {"end": end}))["errorType"] == kind
        again = await call(engine)
        seen = json.loads(again.payload)
        assert again.context_id == first.context_id
        assert (seen["calls"], seen["in tmp"]) == (1, 4)  # globals of the snapshot, /tmp as it was
        assert again.start is StartKind.WARM
        assert "snapshot" not in run_engine.log.text()
        assert run_engine.log.text().count("RESTORE_START") == 1  # the others are suppressed

    run_engine(scenario)


def test_what_a_context_from_a_template_may_do(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "snapshots.rights")
        seen = json.loads((await call(engine)).payload)
        assert seen["no_new_privs"] == "1"
        # Its own, and that of the listing.
        extra = set(seen["descriptors"]) - {0, 1, 2, 1020, 1021, 1022, 1023}
        assert len(extra) == 2  # LOG of the init, and the listing
        if run_engine.walled:
            assert seen["uid"] in run_engine.settings().uids
            assert seen["pid"] == 2
            assert seen["processes"] == [1, 2]
            assert seen["capabilities"] == [0, 0, 0]
        assert "to /dev/stdout\n" in run_engine.log.text()

    run_engine(scenario)


def test_a_deleted_version_takes_its_template_along(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await create_published(engine, "witness.handler", timeout=30)
            running = asyncio.create_task(call(engine, court.event()))
            await court.reached(1)
            template = template_pid(engine)
            below = list(family(engine).values())
            await engine.registry.versions.delete("f", "1")
            assert engine.templates() == []
            await eventually(lambda: template not in family(engine), "the template has ended")
            court.open()
            assert (await running).function_error is None
        await eventually(lambda: states(engine) == [], "its context is gone")
        await eventually(lambda: ended(below), "nothing of it is left")

    run_engine(scenario, spares=0)


def test_after_a_restart_the_template_is_made_anew(run_engine: RunEngine) -> None:
    async def before(engine: Engine) -> None:
        await create_published(engine, "witness.handler")

    async def after(engine: Engine) -> None:
        assert engine.templates() == []
        calls = [asyncio.create_task(call(engine)) for _ in range(3)]
        for one in calls:
            assert (await one).function_error is None
        assert len(engine.templates()) == 1
        log = run_engine.log.text()
        assert log.count("INIT_START") == 2
        assert "RESTORE_START" in log

    run_engine(before)
    run_engine(after)
