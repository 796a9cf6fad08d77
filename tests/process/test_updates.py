"""Updates and deletions beside running invocations: old code finishes, new code starts clean."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import FUNCTIONS, eventually, package, states
from tests.process.kin import worker_of
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.model.invocation import Outcome, StartKind


def edition(number: int) -> bytes:
    """The package of `tests/functions/edition.py`, as the edition of that number."""
    module = (FUNCTIONS / "edition.py").read_text()
    changed = module.replace("EDITION = 1\n", f"EDITION = {number}\n")
    assert number == 1 or changed != module
    return package({"edition.py": changed, "witness.py": (FUNCTIONS / "witness.py").read_bytes()})


async def make(engine: Engine, number: int = 1) -> None:
    await engine.create_function(
        "f",
        code=edition(number),
        handler="edition.handler",
        timeout=30,
        environment={"EDITION": "old"},
    )


def told(outcome: Outcome) -> dict[str, Any]:
    assert outcome.function_error is None, outcome.payload
    facts: dict[str, Any] = json.loads(outcome.payload)
    return facts


async def drained(pids: list[int]) -> None:
    await eventually(lambda: not any(map(psutil.pid_exists, pids)), "the old workers are gone")


async def pids_of(engine: Engine) -> list[int]:
    """The workers', once the zygote has told of all: an answer may be there before that."""
    await eventually(lambda: all(one["pid"] for one in engine.contexts()), "all pids are known")
    return [context["pid"] or 0 for context in engine.contexts()]


def generations(engine: Engine) -> list[int]:
    return [context["generation"] for context in engine.contexts()]


def test_an_update_of_the_code_beside_a_running_invocation(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine)
        async with Court() as court:
            idle, running = court.invoke(engine), court.invoke(engine)
            await court.reached(2)
            court.open(1)
            await eventually(lambda: sorted(states(engine)) == ["busy", "idle"], "one is idle")
            old = await pids_of(engine)
            assert len(set(old)) == 2
            await engine.update_function("f", code=edition(2))
            (busy,) = [one["pid"] for one in engine.contexts() if one["state"] == "busy"]
            await drained([pid for pid in old if pid != busy])
            assert psutil.pid_exists(busy)

            # The next one runs on the new code at once, while the old one still runs.
            fresh = await engine.invoke("f")
            assert told(fresh)["code"] == 2
            assert fresh.start is StartKind.COLD
            assert (told(fresh)["calls"], told(fresh)["tmp"]) == (1, 1)

            court.open()
            ends = [told(await idle), told(await running)]
            assert [end["code"] for end in ends] == [1, 1]
            assert [end["calls"] for end in ends] == [1, 1]
            assert [fact["calls"] for fact in court.heard] == [1, 1]
        await drained(old)
        assert told(await engine.invoke("f"))["calls"] == 2
        await eventually(lambda: generations(engine) == [2], "only new contexts are left")

    run_engine(scenario)


def test_an_update_of_the_configuration_beside_a_running_invocation(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine)
        async with Court() as court:
            running = court.invoke(engine)
            await court.reached(1)
            old = await pids_of(engine)
            await engine.update_function("f", environment={"EDITION": "new"}, timeout=20)
            fresh = await engine.invoke("f")
            assert (told(fresh)["edition"], told(fresh)["calls"]) == ("new", 1)
            assert told(fresh)["code"] == 1
            court.open()
            assert told(await running)["edition"] == "old"
        await drained(old)
        await eventually(lambda: states(engine) == ["idle"], "only the new context is left")

    run_engine(scenario)


def test_an_update_beside_a_cold_start(run_engine: RunEngine) -> None:
    """It was accepted for the old code, and finishes on it; its context serves nobody else."""

    async def scenario(engine: Engine) -> None:
        await make(engine)
        async with Court() as court:
            port = str(court.port)
            await engine.update_function("f", environment={"INIT_PORT": port, "EDITION": "old"})
            starting = court.invoke(engine)
            await court.reached(1)
            old = await pids_of(engine)
            await engine.update_function("f", code=edition(2), environment={"EDITION": "new"})
            assert states(engine) == ["initializing"]
            court.open()
            first = told(await starting)
            assert (first["code"], first["edition"]) == (1, "old")
            await drained(old)
            second = told(await court.invoke(engine))
            assert (second["code"], second["edition"], second["calls"]) == (2, "new", 1)

    run_engine(scenario)


def test_a_deletion_beside_a_running_invocation(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine)
        async with Court() as court:
            running = court.invoke(engine)
            await court.reached(1)
            old = await pids_of(engine)
            await engine.delete_function("f")
            with pytest.raises(ClientError) as refused:
                await engine.invoke("f")
            assert refused.value.error is AWS.RESOURCE_NOT_FOUND
            assert states(engine) == ["busy"]

            # A namesake has nothing of it, not even while it still runs.
            await make(engine, 3)
            namesake = told(await engine.invoke("f"))
            assert (namesake["code"], namesake["calls"], namesake["tmp"]) == (3, 1, 1)
            court.open()
            assert told(await running)["code"] == 1
        await drained(old)
        await eventually(lambda: states(engine) == ["idle"], "only the new context is left")

    run_engine(scenario)


def test_a_context_killed_beside_an_update_does_not_come_back(run_engine: RunEngine) -> None:
    """Its /tmp was kept for the next invocation; after the update there is none."""

    async def scenario(engine: Engine) -> None:
        await make(engine)
        first = await engine.invoke("f")
        psutil.Process(worker_of(engine, first.context_id)).kill()
        await eventually(lambda: not worker_of(engine, first.context_id), "its process is gone")
        await engine.update_function("f", code=edition(2))
        await eventually(lambda: not states(engine), "the context is drained")
        fresh = await engine.invoke("f")
        assert fresh.context_id != first.context_id
        assert (told(fresh)["code"], told(fresh)["tmp"]) == (2, 1)

    run_engine(scenario)


def test_an_update_that_changes_nothing_drains_too(run_engine: RunEngine) -> None:
    """As on AWS, where updating with the same code is the usual way to get new contexts."""

    async def scenario(engine: Engine) -> None:
        await make(engine)
        first = await engine.invoke("f")
        old = await pids_of(engine)
        await engine.update_function("f", code=edition(1))
        await drained(old)
        fresh = await engine.invoke("f")
        assert fresh.context_id != first.context_id
        assert told(fresh)["calls"] == 1

    run_engine(scenario)
