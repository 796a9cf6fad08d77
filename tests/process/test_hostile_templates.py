"""Whatever a template says or does, nothing is believed that is not so, and others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, family, result, states
from tests.process.template_house import call, create_published

from samovar.engine import Engine
from samovar.errors import EngineError

LIE = "the template named a process that is not the one that was asked for"
NOT_ASKED = "the template said what it was not asked"
# Whose word is found out, and as what; «» where the template itself is gone before anybody asks.
WAYS = {
    "the steward": LIE,
    "the template": LIE,
    "its first": LIE,
    "nobody": LIE,
    "no first": LIE,
    "the first twice": LIE,
    "a decoy": LIE,
    "garbage": NOT_ASKED,
    "too much": NOT_ASKED,
    "another's answer": "the template answered another question",
    "descriptors": "the template answered another question",
    "a flood": NOT_ASKED,
    "talk": NOT_ASKED,
    "an error of its own": "",
    "close": "",
    "death": "",
}


async def deceive(engine: Engine, way: str) -> str:
    """Publish a function of that way and call it; its name."""
    name = way.replace(" ", "-").replace("'", "")
    await create_published(engine, "treacherous.handler", name, environment={"WAY": way})
    for _ in range(3):
        with contextlib.suppress(EngineError):
            outcome = await call(engine, name=name)
            assert json.loads(outcome.payload) is True
    return name


async def start(engine: Engine) -> set[int]:
    """A function that all the others must leave alone; the processes that there are then."""
    await create(engine, "life.count", "other")
    assert (await result(engine, name="other"))["globals"] == 1
    return set(family(engine))


async def end(engine: Engine, before: set[int]) -> None:
    """Nothing is left of the deceivers."""
    await eventually(lambda: states(engine) == ["idle"], "only the other function is left")
    await eventually(lambda: set(family(engine)) == before, "nothing of them is left")


def test_templates_that_deceive(run_engine: RunEngine, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(engine: Engine) -> None:
        before = await start(engine)
        zygotes = engine.report().zygotes
        for calls, (way, found_out) in enumerate(WAYS.items(), start=2):
            caplog.clear()
            name = await deceive(engine, way)
            await eventually(lambda: found_out in caplog.text, f"{way} is found out")  # noqa: B023
            assert (await result(engine, name="other"))["globals"] == calls
            await engine.delete_function(name)
        assert engine.report().zygotes == zygotes
        await end(engine, before)

    with caplog.at_level(logging.WARNING):
        run_engine(scenario, spares=0)


def test_templates_that_never_come_to_an_end(
    run_walled: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Their stewards wait for some seconds, and nobody else does."""
    late = "the template did not fork in 5 s"

    async def scenario(engine: Engine) -> None:
        await start(engine)
        calls = [asyncio.create_task(deceive(engine, way)) for way in ("nothing", "never an end")]
        await eventually(lambda: caplog.text.count(late) >= 2, "they are killed", within=20)
        assert (await result(engine, name="other"))["globals"] == 2
        for one in calls:  # which would be tried again
            one.cancel()
        await engine.stop(grace=0)

    with caplog.at_level(logging.WARNING):
        run_walled(scenario, spares=0)
