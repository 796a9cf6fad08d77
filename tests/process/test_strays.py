"""What a function has started ends with its process, however far away it went."""

from __future__ import annotations

import random

import psutil
from tests.process.conftest import RunEngine
from tests.process.house import create, error, eventually, named, result

from samovar.engine import Engine

KINDS = ("child", "grandchild", "own session", "no output", "daemon")


def arguments() -> dict[str, str]:
    """A duration for each `sleep` that no other process on this host has as an argument."""
    return {kind: f"90000.{random.getrandbits(40)}" for kind in KINDS}


def test_at_a_timeout_all_that_the_function_started_is_gone(run_engine: RunEngine) -> None:
    started = arguments()

    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.start_children", timeout=1)
        outcome = await engine.invoke("f", started | {"then sleep": 60})
        assert error(outcome)["errorType"] == "Sandbox.Timedout"
        left = {kind for kind, argument in started.items() if named(argument)}
        assert left == set()

    try:
        run_engine(scenario)
    finally:
        end(started)


def test_what_runs_on_after_an_answer_ends_with_the_context(run_engine: RunEngine) -> None:
    started = arguments()

    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.start_children")
        assert await result(engine, started | {"then sleep": 0}) == "started"
        assert all(named(argument) for argument in started.values())
        await engine.delete_function("f")
        await eventually(
            lambda: not any(named(argument) for argument in started.values()),
            "all of the context is gone",
        )

    try:
        run_engine(scenario)
    finally:
        end(started)


def end(started: dict[str, str]) -> None:
    for argument in started.values():
        for pid in named(argument):
            psutil.Process(pid).kill()
