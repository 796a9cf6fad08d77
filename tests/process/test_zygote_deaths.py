"""Zygotes that are killed: what ran fails by name, another comes, and there is an end to trying."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, family, named, result, states
from tests.process.kin import ended
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import EngineError
from samovar.model.invocation import Outcome
from samovar.registry.runtimes import Runtimes
from samovar.testing import ManualClock

LOST = "The invocation was lost and may have run in part: the zygote died"
NOT_STARTED = "No context could be started; nothing was run: "


async def both_ways(call: asyncio.Task[Outcome]) -> Outcome | EngineError:
    """What a call came to; it must come to something."""
    try:
        return await asyncio.wait_for(call, 20)
    except EngineError as error:
        return error


def test_a_zygote_killed_under_five_invocations(run_engine: RunEngine) -> None:
    marker = f"90000.{random.getrandbits(40)}"

    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler", timeout=30)
        (zygote,) = engine.report().zygotes
        async with Court() as court:
            event = {**court.event(), "children": [marker]}
            calls = [asyncio.create_task(engine.invoke("f", event)) for _ in range(5)]
            await court.reached(5)
            processes = list(family(engine).values())
            assert len(named(marker)) == 5
            os.kill(zygote, signal.SIGKILL)
            ends = [await both_ways(call) for call in calls]
            assert [str(end) for end in ends] == [LOST] * 5
            assert states(engine) == []
            assert len(court.heard) == 5  # none was tried again
            court.open()
            after = await court.invoke(engine)
            assert json.loads(after.payload)["tmp"] == 1
        assert engine.report().zygotes != (zygote,)
        await eventually(lambda: ended(processes), "its family is gone")
        await eventually(lambda: not named(marker), "what the functions started is gone")
        metrics = engine.metrics_text().decode()
        assert 'samovar_engine_errors_total{function="f",kind="context lost"} 5.0\n' in metrics
        runtime = engine.report().interpreters[0].runtime
        deaths = f'samovar_zygote_deaths_total{{interpreter="{runtime}",preload="bare"}} 1.0\n'
        assert deaths in metrics

    run_engine(scenario)


def test_what_was_answered_before_the_zygote_died_is_delivered(run_engine: RunEngine) -> None:
    """Each invocation finishes or fails by name, whichever is first; none hangs."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler", timeout=30)
        async with Court() as court:
            calls = [court.invoke(engine) for _ in range(5)]
            await court.reached(5)
            court.open(3)
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            os.kill(engine.report().zygotes[0], signal.SIGKILL)
            ends = [await both_ways(call) for call in calls]
        for end in ends:
            if isinstance(end, Outcome):
                assert json.loads(end.payload)["calls"] == 1
            else:
                assert str(end) == LOST
        failed = [end for end in ends if isinstance(end, EngineError)]
        assert 2 <= len(failed) <= 5 - len(done)

    run_engine(scenario)


def test_a_zygote_killed_under_an_init(run_engine: RunEngine) -> None:
    """Nothing of the invocation has run: it waits for the next zygote's context."""

    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await create(engine, "witness.handler", environment={"INIT_PORT": str(court.port)})
            call = court.invoke(engine)
            await court.reached(1)
            os.kill(engine.report().zygotes[0], signal.SIGKILL)
            await eventually(lambda: len(court.heard) == 2, "the init runs elsewhere")
            court.open()
            outcome = await call
        assert court.phases() == ["init", "init", "invoke"]
        assert json.loads(outcome.payload)["calls"] == 1

    run_engine(scenario)


def test_a_zygote_killed_beside_idle_contexts(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        first = await engine.invoke("f")
        (zygote,) = engine.report().zygotes
        os.kill(zygote, signal.SIGKILL)
        await eventually(lambda: not states(engine), "the context is gone")
        await eventually(lambda: bool(engine.report().zygotes), "another zygote is there")
        after = await engine.invoke("f")
        assert after.context_id != first.context_id
        if not run_engine.walled:
            left = run_engine.data_dir / "run" / "contexts"
            await eventually(
                lambda: len(list(left.iterdir())) == 1,
                "the directory of the lost context is removed",
            )

    run_engine(scenario)


def test_a_zygote_that_is_killed_again_and_again(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler")
        await result(engine)
        killed: list[int] = []

        async def reaper() -> None:
            while True:
                for zygote in engine.report().zygotes:
                    if zygote not in killed:
                        killed.append(zygote)
                        os.kill(zygote, signal.SIGKILL)
                await asyncio.sleep(0)

        killing = asyncio.create_task(reaper())
        await eventually(
            lambda: "died 5 times at once" in caplog.text, "there is an end to starting zygotes"
        )
        assert len(killed) == 5
        await eventually(lambda: not any(map(psutil.pid_exists, killed)), "they are reaped")
        with pytest.raises(EngineError) as refused:
            await engine.invoke("f")
        assert str(refused.value) == NOT_STARTED + "the zygote died"
        killing.cancel()
        assert (await result(engine))["calls"] == 1

    run_engine(scenario, clock=ManualClock())


def test_an_interpreter_that_dies_before_it_is_a_zygote(
    run_engine: RunEngine, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    script = tmp_path / "python"
    real = run_engine.runtimes.served[0]
    script.write_text(f'#!/bin/sh\n[ -e {broken} ] && kill -9 $$\nexec {real.executable} "$@"\n')
    script.chmod(0o755)

    async def scenario(engine: Engine) -> None:
        await create(engine, "witness.handler", runtime=real.runtime)
        await result(engine)
        broken.touch()
        os.kill(engine.report().zygotes[0], signal.SIGKILL)
        await eventually(lambda: not states(engine), "the context is gone")
        dies = f"{script} died before it became a zygote; its error is on stderr"
        with pytest.raises(EngineError) as refused:
            await engine.invoke("f")
        assert str(refused.value) == NOT_STARTED + dies
        # A function can be created all the same, and says what is wrong when it is invoked.
        await create(engine, "witness.handler", "g", runtime=real.runtime)
        with pytest.raises(EngineError, match="died before it became a zygote"):
            await engine.invoke("g")
        broken.unlink()
        assert (await result(engine))["calls"] == 1
        assert (await result(engine, name="g"))["calls"] == 1

    # Walls need the real binary's name and prefix; the script stands in for stage one alone.
    run_engine.runtimes = Runtimes([replace(real, executable=str(script))])
    if run_engine.walled:
        script.rename(tmp_path / Path(real.executable).name)
        script = tmp_path / Path(real.executable).name
        run_engine.runtimes = Runtimes([replace(real, executable=str(script))])
    run_engine(scenario)


def test_a_zygote_without_descriptors_refuses_and_lives(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count")
        (pid,) = engine.report().zygotes
        zygote = psutil.Process(pid)
        # Past its start, and at rest: what it opens for a moment must not count as taken.
        await create(engine, "life.count", "other")
        assert (await result(engine, name="other"))["globals"] == 1
        await eventually(lambda: zygote.status() == psutil.STATUS_SLEEPING, "it is at rest")
        before = zygote.rlimit(psutil.RLIMIT_NOFILE)
        used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
        free = [fd for fd in range(len(used) + 3) if fd not in used]
        zygote.rlimit(psutil.RLIMIT_NOFILE, (free[2], before[1]))  # room for two of the four
        with pytest.raises(EngineError) as caught:
            await engine.invoke("f")
        assert str(caught.value).startswith(NOT_STARTED)
        assert "too many open files" in str(caught.value)
        zygote.rlimit(psutil.RLIMIT_NOFILE, before)
        assert (await result(engine))["globals"] == 1
        assert engine.report().zygotes == (pid,)

    run_engine(scenario, spares=0)
