"""Whatever a handler starts, and whatever it does not listen to, is gone when its context is: the
kernel tells, by the end of the connection that each of them holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, error, eventually, result
from tests.process.lifelines import Lifelines
from tests.process.template_house import call, create_published

from samovar.engine import Engine

KINDS = ["worker", "thread", "child", "own group", "daemon", "daemon of a daemon"]


@pytest.fixture
def lines() -> Iterator[Lifelines]:
    lines = Lifelines()
    yield lines
    lines.close()


async def all_hold(lines: Lifelines) -> None:
    await eventually(lambda: lines.alive() == set(KINDS), "everything was started")


async def returned(engine: Engine, lines: Lifelines) -> None:
    """A handler has returned, and all that it has started is there."""
    await create(engine, "lingering.handler", timeout=30)
    assert await result(engine, event(lines, "return")) == "returned"
    await all_hold(lines)


async def none_holds(lines: Lifelines) -> None:
    await eventually(lambda: not lines.alive(), "everything has ended")


def event(lines: Lifelines, how: str) -> dict[str, object]:
    return {"port": lines.port, "kinds": KINDS, "how": how}


@pytest.mark.parametrize("how", ["spin", "sleep in C", "sleep"])
def test_a_deaf_handler_is_gone_at_its_timeout_with_all_that_it_started(
    run_engine: RunEngine, lines: Lifelines, how: str
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "lingering.handler", timeout=5)
        invocation = asyncio.create_task(engine.invoke("f", event(lines, how)))
        await all_hold(lines)
        outcome = await invocation
        assert error(outcome)["errorType"] == "Sandbox.Timedout"
        assert lines.alive() == set()

    run_engine(scenario)


def test_all_is_gone_when_the_handler_has_ended_its_process(
    run_engine: RunEngine, lines: Lifelines
) -> None:
    async def scenario(engine: Engine) -> None:
        await returned(engine, lines)
        outcome = await engine.invoke("f", event(lines, "exit") | {"kinds": []})
        assert error(outcome)["errorType"] == "Runtime.ExitError"
        await none_holds(lines)

    run_engine(scenario)


def test_all_is_gone_when_the_context_was_idle_for_too_long(
    run_engine: RunEngine, lines: Lifelines
) -> None:
    async def scenario(engine: Engine) -> None:
        await returned(engine, lines)
        assert engine.drop_idle_contexts("f") == 1
        await none_holds(lines)

    run_engine(scenario)


def test_all_is_gone_when_the_engine_has_stopped(run_engine: RunEngine, lines: Lifelines) -> None:
    async def scenario(engine: Engine) -> None:
        await returned(engine, lines)

    run_engine(scenario)
    assert lines.alive() == set()


def test_a_context_ends_alone(run_engine: RunEngine, lines: Lifelines) -> None:
    """What another context of the same zygote has started lives on."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "lingering.handler", timeout=30)
        await create(engine, "lingering.handler", "other")
        assert await result(engine, event(lines, "return")) == "returned"
        await all_hold(lines)
        nothing = event(lines, "exit") | {"kinds": []}
        assert error(await engine.invoke("other", nothing))["errorType"] == "Runtime.ExitError"
        assert lines.alive() == set(KINDS)

    run_engine(scenario)


def test_all_is_gone_with_a_context_of_a_template(run_engine: RunEngine, lines: Lifelines) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "lingering.handler")
        await call(engine, event(lines, "return"))
        await all_hold(lines)
        outcome = await call(engine, event(lines, "exit") | {"kinds": []})
        assert error(outcome)["errorType"] == "Runtime.ExitError"
        await none_holds(lines)

    run_engine(scenario)
