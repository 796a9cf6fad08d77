"""Clients that hang up: the invocation runs to its end, and its context is there for the next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from tests.api.house import RawClient, invocation
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, states
from tests.process.witness import Court

from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.model.invocation import StartKind

Scenario = Callable[[Engine, int, Court], Awaitable[None]]


def play(run_engine: RunEngine, scenario: Scenario) -> None:
    """Run it with an engine, the port of its HTTP door, and a court."""

    async def opened(engine: Engine) -> None:
        async with Court() as court, serving(engine) as endpoint:
            await scenario(engine, int(endpoint.rpartition(":")[2]), court)

    run_engine(opened, port=0)


async def hang_up(client: RawClient) -> None:
    """Close the connection as a killed client's kernel does, with a reset."""
    client.writer.transport.abort()
    await asyncio.sleep(0)


def finished(engine: Engine, count: int) -> bool:
    """Whether `count` invocations of f were counted as finished."""
    lines = engine.metrics_text().decode().splitlines()
    counts = [
        float(line.split()[-1])
        for line in lines
        if line.startswith("samovar_invocation_duration_seconds_count")
    ]
    return sum(counts) == count


def test_a_client_that_hangs_up_in_an_invocation(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine, port: int, court: Court) -> None:
        await create(engine, "witness.handler", timeout=30)
        async with RawClient.to(port) as client:
            await client.send(invocation("f", json.dumps(court.event()).encode()))
            await court.reached(1)
            await hang_up(client)
        # Another one comes meanwhile: the door has let go of the first, the context has not.
        assert states(engine) == ["busy"]
        beside = await engine.invoke("f")
        assert beside.start is StartKind.COLD
        court.open()
        await eventually(lambda: states(engine) == ["idle", "idle"], "it has run to its end")
        assert finished(engine, 2)
        log = run_engine.log.text()
        assert (log.count("END RequestId"), log.count("REPORT RequestId")) == (2, 2)
        # The hot end is the one that was hung up on, for it was free last.
        after = await engine.invoke("f")
        assert after.start is StartKind.WARM
        assert after.context_id != beside.context_id
        assert json.loads(after.payload)["calls"] == 2
        assert len(court.heard) == 1

    play(run_engine, scenario)


def test_a_client_that_hangs_up_while_it_waits_for_a_cold_start(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine, port: int, court: Court) -> None:
        await create(engine, "witness.handler", environment={"INIT_PORT": str(court.port)})
        async with RawClient.to(port) as client:
            await client.send(invocation("f", json.dumps(court.event()).encode()))
            await court.reached(1)
            assert states(engine) == ["initializing"]
            await hang_up(client)
        court.open()
        await eventually(lambda: states(engine) == ["idle"], "it has run to its end")
        assert court.phases() == ["init", "invoke"]
        assert finished(engine, 1)
        after = await engine.invoke("f")
        assert after.start is StartKind.WARM
        assert json.loads(after.payload)["calls"] == 2

    play(run_engine, scenario)


def test_twenty_clients_that_hang_up_leave_no_more_contexts_than_they_had(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine, port: int, court: Court) -> None:
        await create(engine, "witness.handler", timeout=30)
        event = json.dumps(court.event()).encode()
        for number in range(1, 21):
            async with RawClient.to(port) as client:
                await client.send(invocation("f", event))
                await court.reached(1)
                await hang_up(client)
            court.open(1)
            await eventually(lambda at=number: finished(engine, at), "it has run to its end")
            await eventually(lambda: states(engine) == ["idle"], "its context is free")
        assert [fact["calls"] for fact in court.heard] == list(range(1, 21))

    play(run_engine, scenario)


def test_a_call_that_is_cancelled_runs_to_its_end(run_engine: RunEngine) -> None:
    """The embedded way to hang up."""

    async def scenario(engine: Engine, port: int, court: Court) -> None:
        await create(engine, "witness.handler", timeout=30)
        call = court.invoke(engine)
        await court.reached(1)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert states(engine) == ["busy"]
        court.open()
        await eventually(lambda: states(engine) == ["idle"], "it has run to its end")
        assert finished(engine, 1)
        assert json.loads((await engine.invoke("f")).payload)["calls"] == 2

    play(run_engine, scenario)
