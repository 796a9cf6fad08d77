"""Templates, stewards and zygotes that are killed: who dies with whom, and what comes after."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, states
from tests.process.kin import ended, worker_of
from tests.process.template_house import (
    call,
    create_published,
    kill_template,
    publish,
    steward_pid,
    template_pid,
)
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import EngineError
from samovar.model.function import State
from samovar.model.invocation import Outcome
from samovar.testing import ManualClock

LOST = "The invocation was lost and may have run in part: "


async def end_of(call: asyncio.Task[Outcome]) -> str:
    """What a call came to, as text."""
    try:
        return (await asyncio.wait_for(call, 20)).payload.decode()
    except EngineError as error:
        return str(error)


def test_a_template_killed_under_twenty_contexts(run_engine: RunEngine) -> None:
    """They run on, and so do their later invocations; new contexts come from a new template."""

    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            port = str(court.port)
            await create(engine, "witness.handler", timeout=60, environment={"INIT_PORT": port})
            publishing = asyncio.create_task(publish(engine))
            await court.reached(1)
            court.open(1)
            assert (await publishing).state is State.ACTIVE
            running = [asyncio.create_task(call(engine, court.event())) for _ in range(20)]
            await court.reached(20)
            old = template_pid(engine)
            os.kill(old, signal.SIGKILL)
            await court.reached(21)  # another init
            late = asyncio.create_task(call(engine, court.event()))
            court.open_last()
            await court.reached(21)
            assert template_pid(engine) not in (0, old)
            assert states(engine).count("busy") == 21
            court.open()
            outcomes = [await one for one in [*running, late]]
            assert [json.loads(one.payload)["calls"] for one in outcomes] == [1] * 21
            again = [asyncio.create_task(call(engine)) for _ in range(21)]
            assert [(await one).function_error for one in again] == [None] * 21
        assert court.phases().count("init") == 2

    run_engine(scenario)


def test_a_context_that_lost_its_process_and_its_template_is_replaced(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "snapshots.spoil")
        first = await call(engine, {"end": "exit"})
        await eventually(lambda: states(engine) == ["idle"], "it waits for another process")
        await kill_template(engine)
        await eventually(lambda: states(engine) == [], "nobody could make one: it is gone")
        second = await call(engine)
        assert json.loads(second.payload)["in tmp"] == 1
        assert second.context_id != first.context_id

    run_engine(scenario)


def test_a_context_of_a_dead_template_that_loses_its_process_is_gone(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "snapshots.spoil")
        first = await call(engine)
        await kill_template(engine)
        assert json.loads((await call(engine)).payload)["calls"] == 2
        os.kill(worker_of(engine, first.context_id), signal.SIGKILL)
        await eventually(lambda: states(engine) == [], "it is gone")
        assert json.loads((await call(engine)).payload)["in tmp"] == 1

    run_engine(scenario)


@pytest.mark.parametrize("victim", ["steward", "zygote"])
def test_a_steward_or_zygote_killed_under_five_contexts(run_engine: RunEngine, victim: str) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "witness.handler", timeout=60)
        async with Court() as court:
            running = [asyncio.create_task(call(engine, court.event())) for _ in range(5)]
            await court.reached(5)
            old = template_pid(engine)
            steward, zygote = steward_pid(engine), engine.report().zygotes[0]
            top = psutil.Process(steward if victim == "steward" else zygote)
            below = [top, *top.children(recursive=True)]
            assert len(below) >= 7
            top.kill()
            ends = {await end_of(one) for one in running}
            died = {LOST + "the template's steward died", LOST + "the zygote died"}
            assert ends <= died
            await eventually(lambda: ended(below), "all of it is gone")
            assert states(engine) == []
            await eventually(
                lambda: template_pid(engine) not in (0, old), "there is another template"
            )
            after = asyncio.create_task(call(engine, court.event()))
            await court.reached(6)
            court.open()
            assert json.loads((await after).payload)["calls"] == 1
        if not run_engine.walled:
            left = run_engine.data_dir / "run" / "contexts"
            await eventually(
                lambda: len(list(left.iterdir())) <= 2,  # the template's, the context's
                "the directories of what was lost are removed",
            )

    run_engine(scenario)


def test_a_template_that_is_killed_again_and_again(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """There is an end to making new ones; contexts start on demand for a while."""
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create_published(engine, "witness.handler")
        for _ in range(4):
            await kill_template(engine)
        os.kill(template_pid(engine), signal.SIGKILL)
        await eventually(lambda: "it died 5 times at once" in caplog.text, "there is an end")
        assert engine.templates() == []
        assert json.loads((await call(engine)).payload)["calls"] == 1
        assert engine.templates() == []
        engine.drop_idle_contexts("f", qualifier="1")
        clock.advance(5)
        await eventually(lambda: states(engine) == [], "its context is gone")
        assert json.loads((await call(engine)).payload)["calls"] == 1
        assert len(engine.templates()) == 1

    with caplog.at_level(logging.WARNING):
        run_engine(scenario, clock=clock, spares=0)  # one that dies as it forks is another case


def test_a_spare_of_a_template_that_is_killed_is_replaced(run_engine: RunEngine) -> None:
    clock = ManualClock()

    def spares(engine: Engine) -> set[int]:
        """The workers below the steward that are no context's."""
        if not engine.templates():
            return set()
        steward = psutil.Process(steward_pid(engine))
        taken = {template_pid(engine), *(entry.get("pid") for entry in engine.contexts())}
        found = set()
        for one in steward.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends as it is looked at
                if one.pid not in taken and one.name() not in ("env", "sleep"):
                    found.add(one.pid)
        return found

    async def scenario(engine: Engine) -> None:
        await create_published(engine, "witness.handler")
        await eventually(lambda: len(spares(engine)) == 1, "there is a spare")
        (spare,) = spares(engine)
        os.kill(spare, signal.SIGKILL)
        await eventually(lambda: not spares(engine), "it is gone")

        def replaced() -> bool:
            clock.advance(1)
            return len(spares(engine)) == 1

        await eventually(replaced, "there is another")
        assert json.loads((await call(engine)).payload)["calls"] == 1

    run_engine(scenario, clock=clock)


def test_an_init_that_is_killed_makes_the_version_fail(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            port = str(court.port)
            await create(engine, "witness.handler", timeout=30, environment={"INIT_PORT": port})
            publishing = asyncio.create_task(publish(engine))
            await court.reached(1)
            (zygote,) = engine.report().zygotes
            os.kill(zygote, signal.SIGKILL)
            version = await publishing
            court.open()
        assert version.state is State.FAILED
        assert version.state_reason_code == "InternalError"
        assert engine.templates() == []

    run_engine(scenario, spares=0)


def test_what_a_template_has_waiting_is_killed(run_engine: RunEngine) -> None:
    """The process in between that is ready for the next context: that is forked from the template
    itself then."""

    def waiting(engine: Engine) -> list[psutil.Process]:
        return psutil.Process(template_pid(engine)).children()

    async def scenario(engine: Engine) -> None:
        await create_published(engine, "witness.handler", timeout=30)
        async with Court() as court:
            calls = [asyncio.create_task(call(engine, court.event()))]
            await court.reached(1)
            template = template_pid(engine)
            for count in (2, 3):
                await eventually(lambda: len(waiting(engine)) == 1, "one waits")
                (between,) = waiting(engine)
                between.kill()
                await eventually(
                    lambda: between.status() == psutil.STATUS_ZOMBIE,  # noqa: B023
                    "it is dead",
                )
                calls.append(asyncio.create_task(call(engine, court.event())))
                await court.reached(count)
            court.open()
            assert [(await one).function_error for one in calls] == [None] * 3
        assert template_pid(engine) == template

    run_engine(scenario, spares=0)
