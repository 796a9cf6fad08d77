"""A caller who no longer waits: the invocation runs to its end all the same, and nothing leaks."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, states

from samovar.engine import Engine
from samovar.model.invocation import StartKind


def test_cancelling_the_callers_await_does_not_stop_the_invocation(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", timeout=30)
        async with Gate() as gate:
            before = asyncio.all_tasks()
            running = gate.invoke(engine)
            await gate.reached(1)
            waiting = gate.invoke(engine)  # there is room for one context only
            await asyncio.sleep(0)
            for call in (running, waiting):
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            assert asyncio.all_tasks() == before
            assert states(engine) == ["busy"]
            gate.open(1)
            await gate.reached(1)  # the one that waited, though nobody waits for it
            assert states(engine) == ["busy"]
            gate.open()
            await eventually(lambda: states(engine) == ["idle"], "both have run to their end")
            third = await gate.invoke(engine)
        assert third.start is StartKind.WARM
        assert json.loads(third.payload)["calls"] == 3
        log = run_engine.log.text()
        for line in ("START RequestId", "END RequestId", "REPORT RequestId"):
            assert log.count(line) == 3
        labels = b'function="f",qualifier="$LATEST",start="%s",version="$LATEST"'
        counted = b"samovar_invocation_duration_seconds_count{" + labels + b"} %d.0"
        assert counted % (b"cold", 1) in engine.metrics_text()
        assert counted % (b"warm", 2) in engine.metrics_text()

    run_engine(scenario, max_contexts=1, max_waiting=1)


def test_a_caller_with_a_limit_of_its_own(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", timeout=30)
        async with Gate() as gate:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await engine.invoke("f", gate.event())
            # Cancelled before its context was there: it is started and runs.
            await gate.reached(1)
            gate.open()
            await eventually(lambda: states(engine) == ["idle"], "it has run to its end")

    run_open(scenario)


def test_an_engine_that_stops_does_not_wait_for_a_caller_who_is_gone(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", timeout=30)
        async with Gate() as gate:
            call = gate.invoke(engine)
            await gate.reached(1)
            call.cancel()
            await engine.stop(grace=0)
            assert call.cancelled()

    run_open(scenario)
