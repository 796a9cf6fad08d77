"""Workers that are killed from outside: what the caller hears, what is kept, what comes next."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, error, eventually, result, states
from tests.process.kin import holder_of, mounts_held, spares_of, worker_of
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import EngineError

KILLED = "Runtime exited with error: signal: killed"


def test_a_worker_killed_in_an_invocation(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        async with Court() as court:
            call = court.invoke(engine)
            await court.reached(1)
            os.kill(worker_of(engine, first.context_id), signal.SIGKILL)
            outcome = await call
            assert list(error(outcome).items()) == [
                ("errorType", "Runtime.ExitError"),
                ("errorMessage", f"RequestId: {outcome.request_id} Error: {KILLED}"),
            ]
            assert outcome.context_id == first.context_id
            court.open()
            after = await court.invoke(engine)
            assert court.phases() == ["invoke", "invoke"]  # none of them ran twice
        assert after.context_id == first.context_id
        kept = json.loads(after.payload)
        assert (kept["calls"], kept["tmp"]) == (1, 3)
        assert run_engine.log.text().count("INIT_START") == 1

    run_engine(scenario)


def test_an_idle_worker_killed(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        os.kill(worker_of(engine, first.context_id), signal.SIGKILL)
        await eventually(
            lambda: worker_of(engine, first.context_id) == 0, "the engine knows of the death"
        )
        assert states(engine) == ["idle"]
        after = await engine.invoke("f")
        assert after.context_id == first.context_id
        kept = json.loads(after.payload)
        assert (kept["calls"], kept["tmp"]) == (1, 2)

    run_engine(scenario)


def test_a_worker_killed_in_its_init_starts_again_within_the_invocation(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await create(engine, "witness.handler", environment={"INIT_PORT": str(court.port)})
            call = court.invoke(engine)
            await court.reached(1)
            os.kill(worker_of(engine, "1"), signal.SIGKILL)
            await eventually(lambda: len(court.heard) == 2, "the init runs again")
            court.open()
            outcome = await call
            assert court.phases() == ["init", "init", "invoke"]
        assert json.loads(outcome.payload)["calls"] == 1
        log = run_engine.log.text()
        assert "Phase: init\tStatus: error\tError Type: Runtime.ExitError\t\n" in log

    run_engine(scenario)


def test_a_worker_that_dies_before_it_hears_of_an_invocation_has_not_had_it(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        worker = worker_of(engine, first.context_id)
        os.kill(worker, signal.SIGSTOP)
        call = asyncio.create_task(engine.invoke("f"))
        await eventually(lambda: states(engine) == ["busy"], "it has the invocation")
        os.kill(worker, signal.SIGKILL)
        outcome = await call
        assert outcome.function_error is None, outcome.payload
        assert outcome.context_id == first.context_id
        assert json.loads(outcome.payload)["calls"] == 1

    run_engine(scenario, freeze=False)


def test_pid_1_killed_in_an_invocation(run_walled: RunEngine) -> None:
    """The kernel ends the worker with it; the mounts are lost, and so is the context."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        async with Court() as court:
            call = court.invoke(engine)
            await court.reached(1)
            os.kill(holder_of(worker_of(engine, first.context_id)), signal.SIGKILL)
            outcome = await call
        assert error(outcome) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {outcome.request_id} Error: {KILLED}",
        }
        await eventually(lambda: not states(engine), "the context is gone")
        after = await engine.invoke("f")
        assert after.context_id != first.context_id
        assert json.loads(after.payload)["tmp"] == 1
        # While it forks a spare it stands in other mounts than its own.
        (zygote,) = engine.report().zygotes
        await eventually(lambda: mounts_held(zygote) == 0, "the zygote holds no mounts")

    run_walled(scenario)


def test_pid_1_killed_while_idle(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        os.kill(holder_of(worker_of(engine, first.context_id)), signal.SIGKILL)
        await eventually(lambda: not states(engine), "the context is gone")
        after = await engine.invoke("f")
        assert after.context_id != first.context_id
        assert json.loads(after.payload)["tmp"] == 1

    run_walled(scenario)


def test_a_killed_spare_is_passed_over_and_let_go(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        await eventually(lambda: len(spares_of(engine)) == 2, "there are spares")
        dead = spares_of(engine)
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        await eventually(
            lambda: not any(os.path.exists(f"/proc/{pid}") for pid in dead), "they are reaped"
        )
        assert (await result(engine))["calls"] == 1
        await eventually(lambda: len(spares_of(engine)) == 2, "there are spares again")
        if run_engine.walled:
            (zygote,) = engine.report().zygotes
            await eventually(lambda: mounts_held(zygote) == 0, "their mounts are let go")

    run_engine(scenario, spares=2)


def test_a_context_that_gets_no_process_is_given_up_by_name(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        os.kill(worker_of(engine, first.context_id), signal.SIGKILL)
        await eventually(
            lambda: worker_of(engine, first.context_id) == 0, "the engine knows of the death"
        )
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(EngineError, match=r"no process could be made: .*Too many open"):
                await engine.invoke("f")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        after = await engine.invoke("f")
        assert after.context_id != first.context_id
        if run_engine.walled:
            (zygote,) = engine.report().zygotes
            await eventually(lambda: mounts_held(zygote) == 0, "its mounts are let go")

    run_engine(scenario)


def test_a_stopped_worker_is_ended_by_its_timeout(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler", timeout=1)
        first = await engine.invoke("f")
        async with Court() as court:
            call = court.invoke(engine)
            await court.reached(1)
            os.kill(worker_of(engine, first.context_id), signal.SIGSTOP)
            outcome = await call
        assert error(outcome) == {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"RequestId: {outcome.request_id} Error: Task timed out after "
            "1.00 seconds",
        }
        after = await engine.invoke("f")
        assert after.context_id == first.context_id
        assert json.loads(after.payload)["tmp"] == 3

    run_engine(scenario)


def test_a_stopped_worker_can_go_on(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler", timeout=60)
        first = await engine.invoke("f")
        async with Court() as court:
            call = court.invoke(engine)
            await court.reached(1)
            worker = worker_of(engine, first.context_id)
            os.kill(worker, signal.SIGSTOP)
            court.open()
            os.kill(worker, signal.SIGCONT)
            outcome = await call
        assert json.loads(outcome.payload)["calls"] == 2

    run_engine(scenario)
