"""SnapStart's hooks, and inits and hooks that fail: AWS's names for what comes of them."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, states, write
from tests.process.template_house import call, create_published, publish

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.model.function import FunctionVersion, State
from samovar.testing import ManualClock


async def published(engine: Engine, how: str) -> FunctionVersion:
    name = how.replace(" ", "-")
    await create(engine, "hooks.handler", name, environment={"HOW": how})
    return await publish(engine, name)


def test_hooks_run_in_their_order(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "hooks.handler")
        expected = ["before 2", "before 1", "after 1 one", "after 2 two"]
        assert json.loads((await call(engine)).payload) == expected
        assert json.loads((await call(engine)).payload) == expected  # once a context
        log = run_engine.log.text()
        assert log.index("RESTORE_START") < log.index("after 1 2") < log.index("RESTORE_REPORT")
        # Nobody runs them without SnapStart.
        assert json.loads((await engine.invoke("f")).payload) == []

    run_engine(scenario)


def test_what_a_module_registers_for_forks_runs(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        version = await published(engine, "at fork")
        assert version.state is State.ACTIVE
        told = json.loads((await call(engine, name="at-fork")).payload)
        assert [one for one in told if one.startswith("forked")] == ["forked 1", "forked 1"]

    run_engine(scenario)


FAILURES = {
    "init raises": ("FunctionError", "ValueError: not today"),
    "init exits": (
        "FunctionError.RuntimeInitError",
        "Runtime.ExitError: Runtime exited with error: exit status 4",
    ),
    "before raises": (
        "FunctionError",
        "Runtime.BeforeSnapshotError: ValueError: no snapshot of this",
    ),
}


def test_a_version_whose_init_fails_is_failed(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for how, (code, reason) in FAILURES.items():
            version = await published(engine, how)
            assert version.state is State.FAILED
            assert (version.state_reason_code, version.state_reason) == (code, reason)
            log = run_engine.log.text(how.replace(" ", "-"))
            assert "Phase: init\tStatus: error\tError Type: " in log
        assert engine.templates() == []
        await write(engine, "def handler(event, context):\n    return nothing\n\n\x01\n", "bad")
        version = await publish(engine, "bad")
        assert version.state is State.FAILED
        assert version.state_reason is not None
        assert version.state_reason.startswith(
            "Runtime.UserCodeSyntaxError: Syntax error in module"
        )

    run_engine(scenario)


def test_an_init_before_a_snapshot_has_130_seconds(run_engine: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        publishing = asyncio.create_task(published(engine, "init stays"))
        await eventually(lambda: "staying" in run_engine.log.text("init-stays"), "it stays")
        clock.advance(129)
        await asyncio.sleep(0)
        assert not publishing.done()
        clock.advance(2)
        version = await publishing
        assert version.state is State.FAILED
        assert version.state_reason_code == "FunctionError.InitTimeout"
        assert "Phase: init\tStatus: timeout\t" in run_engine.log.text("init-stays")

    run_engine(scenario, clock=clock)


async def refused(engine: Engine, name: str) -> ClientError:
    with pytest.raises(ClientError) as caught:
        await call(engine, name=name)
    return caught.value


def test_an_invocation_whose_context_can_t_be_restored(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for how in ("after raises", "after exits"):
            name = how.replace(" ", "-")
            assert (await published(engine, how)).state is State.ACTIVE
            error = await refused(engine, name)
            assert error.error is AWS.SNAP_START
            assert error.message.startswith("The afterRestore() runtime hook encountered an error")
            log = run_engine.log.text(name)
            assert "RESTORE_REPORT Restore Duration: " in log
            assert "Status: error\tError Type: Runtime." in log
            assert "START RequestId" not in log.replace("RESTORE_START", "")
            await eventually(lambda: states(engine) == [], "its context is gone")
        assert "[ERROR] Runtime.AfterRestoreError: ValueError: no restore" in run_engine.log.text(
            "after-raises"
        )

    run_engine(scenario)


def test_after_restore_hooks_have_10_seconds(run_engine: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        assert (await published(engine, "after stays")).state is State.ACTIVE
        calling = asyncio.create_task(refused(engine, "after-stays"))
        await eventually(lambda: "after 2" in run_engine.log.text("after-stays"), "it stays")
        clock.advance(9)
        await asyncio.sleep(0)
        assert not calling.done()
        clock.advance(2)
        error = await calling
        assert error.error is AWS.SNAP_START_TIMEOUT
        assert error.message == "Lambda couldn't restore the snapshot within the timeout limit."
        assert "Status: timeout\t" in run_engine.log.text("after-stays")

    run_engine(scenario, clock=clock)
