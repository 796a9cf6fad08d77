"""/_samovar/contexts beside what the handlers themselves say, and what the kernel says of them."""

from __future__ import annotations

import json
import threading
from typing import Any, get_type_hints

import psutil
import pytest
from tests.api.house import RawClient, request
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, result, states, write

from samovar import census
from samovar.context.lifecycle import ContextState
from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.model import census as shapes

MEGABYTE = 2**20


async def asked(endpoint: str, path: str = "/_samovar/contexts") -> Any:
    async with RawClient.to(int(endpoint.rpartition(":")[2])) as client:
        await client.send(request("GET", path))
        reply = await client.reply()
    assert reply.status == 200
    return json.loads(reply.body)


def demand_shape(document: Any) -> None:
    """Every key that the page promises, in every part, and no other."""
    for shape, parts in (
        (shapes.Document, [document]),
        (shapes.Limits, [document["limits"]]),
        (shapes.Host, [document["host"]]),
        (shapes.Totals, [document["totals"]]),
        (shapes.FunctionEntry, document["functions"]),
        (shapes.VersionEntry, [v for f in document["functions"] for v in f["versions"]]),
        (shapes.ContextEntry, document["contexts"]),
    ):
        for part in parts:
            assert set(part) == set(get_type_hints(shape))


def test_the_document_is_what_happens(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", "gated")
        await create(engine, "life.mixed")
        await create(engine, "life.mixed", "never-invoked")
        async with serving(engine) as endpoint, Gate() as gate:
            for _ in range(3):
                await result(engine, {})
            calls = [gate.invoke(engine, "gated") for _ in range(2)]
            await gate.reached(2)
            busy = await asked(endpoint, "/_samovar/contexts?history")
            demand_shape(busy)
            gate.open()
            said = [json.loads((await one).payload) for one in calls]
            await eventually(lambda: states(engine) == ["idle"] * 3, "all are idle")
            idle = await asked(endpoint)
        first, *gated = busy["contexts"]
        assert (first["state"], first["cold"], first["warm"]) == ("idle", 1, 2)
        assert [one["state"] for one in gated] == ["busy"] * 2
        assert [(one["invocations"], one["cold"]) for one in gated] == [(0, 0)] * 2
        assert all(one["state_seconds"] >= 0 for one in busy["contexts"])
        way = ["starting", "initializing", "idle", "reserved", "busy"]
        assert [one["history"] for one in gated] == [way] * 2
        assert all(0.1 < one["memory_mb"] < 100 for one in busy["contexts"])
        if not run_engine.walled:  # what a process knows of itself
            assert {one["pid"] for one in gated} == {one["pid"] for one in said}
        assert [one["name"] for one in busy["functions"]] == ["f", "gated"]
        of_f, of_gated = (one["versions"][0] for one in busy["functions"])
        assert (of_f["contexts"], of_f["invocations"]) == ({"idle": 1}, {"cold": 1, "warm": 2})
        assert (of_gated["contexts"], of_gated["in_flight"]) == ({"busy": 2}, 2)
        assert of_gated["longest_busy_seconds"] >= 0
        assert busy["totals"]["cold_starts"] == {"on-demand": 3}
        assert busy["totals"]["contexts"] == {"busy": 2, "idle": 1}
        assert busy["limits"] == {"contexts": 1000, "account_concurrency": 1000}
        assert busy["totals"]["claimed_concurrency"] == 2
        assert busy["host"]["memory_mb"] == psutil.virtual_memory().total // MEGABYTE
        assert isinstance(busy["host"]["room_mb"], int)
        # Later.
        assert "history" not in idle["contexts"][0]
        assert [(one["invocations"], one["cold"]) for one in idle["contexts"][1:]] == [(1, 1)] * 2
        assert idle["totals"]["invocations"] == {"cold": 3, "warm": 2}
        assert idle["totals"]["in_flight"] == 0
        assert idle["uptime_seconds"] > busy["uptime_seconds"]

    run_engine(scenario, port=0)


def test_memory_that_a_function_takes_is_seen_at_once(run_open: RunEngine) -> None:
    source = "held = []\ndef handler(event, context):\n    held.append(b'x' * event)\n"

    async def scenario(engine: Engine) -> None:
        await write(engine, source)
        sizes = []
        for size in (1, 50 * MEGABYTE):
            await engine.invoke("f", size)
            document = await engine.census()
            (entry,) = document["contexts"]
            sizes.append(entry["memory_mb"])
            kernel = psutil.Process(entry["pid"] or 0).memory_info()
            assert entry["memory_mb"] == pytest.approx(
                (kernel.rss - kernel.shared) / MEGABYTE, abs=1
            )
        assert sizes[0] is not None and sizes[1] is not None
        assert 49 < sizes[1] - sizes[0] < 55
        assert document["totals"]["memory_mb"] == sizes[1]

    run_open(scenario)


def test_a_context_without_a_process_has_no_memory(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.mixed")
        await engine.invoke("f", {"then": "exit"})
        document = await engine.census()
        (entry,) = document["contexts"]
        assert (entry["pid"], entry["memory_mb"]) == (None, None)
        assert (entry["invocations"], entry["state"]) == (1, "idle")
        assert document["functions"][0]["versions"][0]["errors"] == 1

    run_open(scenario)


def test_many_are_looked_at_beside_the_loop(
    run_open: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.mixed")
        await result(engine, {})
        seen: list[int] = []

        def sizes(pids: Any) -> list[float | None]:
            seen.append(threading.get_ident())
            return [1.5 for _ in pids]

        monkeypatch.setattr(census, "_sizes", sizes)
        for few in (1, 0):
            monkeypatch.setattr(census, "_FEW", few)
            document = await engine.census()
            assert document["contexts"][0]["memory_mb"] == 1.5
        here = threading.get_ident()
        assert seen[0] == here
        assert seen[1] != here

    run_open(scenario)


def test_an_illegal_transition_is_told_with_what_came_before_it(
    run_open: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait")
        async with Gate() as gate:
            call = gate.invoke(engine)
            await gate.reached(1)
            (lifecycle,) = engine._parts.scheduler.lifecycles()
            lifecycle.move(ContextState.IDLE)  # nobody told the scheduler
            (pid,) = (one["pid"] for one in engine.contexts())
            gate.open()
            said = json.loads((await call).payload)
            assert said["pid"] == pid
            await eventually(lambda: states(engine) == [], "the context is given up")
            await eventually(lambda: not psutil.pid_exists(pid or 0), "its process is reaped")
            assert json.loads((await gate.invoke(engine)).payload)["pid"] != pid
        (record,) = [one for one in caplog.records if one.name.startswith("samovar.scheduler")]
        assert record.levelname == "ERROR"
        way = "starting -> initializing -> idle -> reserved -> busy -> idle"
        assert f"context 1: idle -> idle is not legal (so far: {way})" in caplog.text

    run_open(scenario)
