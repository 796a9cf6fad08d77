"""What an init leaves in a template: threads, sockets, and libraries with threads of their own."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import FUNCTIONS
from tests.process.template_house import call, create_published, publish

from samovar.engine import Engine
from samovar.model.function import State


def test_threads_and_sockets_are_reported(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "threads_and_sockets.handler")
        (template,) = engine.templates()
        assert template["threads"] == ["poller"]
        seen = json.loads((await call(engine)).payload)
        assert seen["threads"] == ["MainThread"]
        unix, other, listening, connected = template["sockets"]
        assert re.fullmatch(r"descriptor \d+, AF_UNIX to nowhere", unix)
        assert re.fullmatch(r"descriptor \d+, AF_UNIX to nowhere", other)
        place = f"127.0.0.1:{seen['port']}"
        assert re.fullmatch(rf"descriptor \d+, AF_INET at {place}", listening)
        assert re.fullmatch(rf"descriptor \d+, AF_INET to {place}", connected)
        warnings = [line for line in run_engine.log.text().splitlines() if "WARNING" in line]
        told = "\t\tSAMOVAR_WARNING: SnapStart: the init left "
        assert [line.partition(told)[2] for line in warnings] == [
            "threads, which do not run in what starts from it: poller",
            "sockets, which all that starts from it shares: " + "; ".join(template["sockets"]),
        ]

    run_engine(scenario)


def test_nothing_is_reported_of_an_ordinary_init(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "life.count")
        (template,) = engine.templates()
        assert (template["threads"], template["sockets"]) == ([], [])
        assert "WARNING" not in run_engine.log.text()

    run_engine(scenario)


def test_linear_algebra_before_and_after_the_fork(
    run_engine: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FUNCTIONS))  # with this environment's numpy

    async def scenario(engine: Engine) -> None:
        await engine.create_function("f", code="linear:handler", timeout=60)
        assert (await publish(engine)).state is State.ACTIVE
        calls = [asyncio.create_task(call(engine)) for _ in range(8)]
        told = [json.loads((await one).payload) for one in calls]
        assert all(one["right"] for one in told)
        contexts = {entry["context"] for entry in engine.contexts()}
        assert len({one["random"] for one in told}) == len(told)
        assert len(contexts) > 1

    run_engine(scenario)
