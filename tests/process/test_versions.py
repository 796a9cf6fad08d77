"""Versions and aliases, by what runs: old code stays old, and an alias runs what it stands for."""

from __future__ import annotations

import asyncio
import json
import math
import random
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import eventually, package, states
from tests.process.live_house import save
from tests.process.test_updates import edition, told
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import ClientError
from samovar.model.invocation import StartKind

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
SAYS = """
import os
try:
    from word import WORD
except ImportError:
    WORD = None
def handler(event, context):
    return {{
        "code": {code},
        "word": WORD,
        "variable": os.environ["VARIABLE"],
        "version": [context.function_version, os.environ["AWS_LAMBDA_FUNCTION_VERSION"]],
        "arn": context.invoked_function_arn,
        "limit": context.memory_limit_in_mb,
    }}
"""


def says(code: int) -> bytes:
    return package({"app.py": SAYS.format(code=code)})


async def said(engine: Engine, qualifier: str | None = None) -> dict[str, Any]:
    outcome = await engine.invoke("f", qualifier=qualifier)
    facts = told(outcome)
    assert facts["version"] == [outcome.executed_version] * 2
    return facts


async def make(engine: Engine, **configuration: Any) -> None:
    given = {"handler": "app.handler", "environment": {"VARIABLE": "old"}, **configuration}
    await engine.create_function("f", code=says(1), **given)


def test_a_version_runs_as_it_was_published(run_engine: RunEngine) -> None:
    """Its code, its configuration and its layers, whatever has become of them, and past a
    restart."""
    old = {"code": 1, "word": "layer", "variable": "old", "limit": "256"}

    def published(qualifier: str) -> dict[str, Any]:
        return {**old, "version": ["1", "1"], "arn": f"{ARN}:{qualifier}"}

    async def first(engine: Engine) -> None:
        layer = await engine.publish_layer(
            "words", content=package({"python/word.py": "WORD = 'layer'\n"})
        )
        await make(engine, memory_size=256, layers=[layer.version_arn])
        await engine.publish_version("f")
        await engine.create_alias("f", "live", "1")
        changes = {"environment": {"VARIABLE": "new"}, "memory_size": 128, "layers": []}
        await engine.update_function("f", code=says(2), **changes)
        await engine.registry.layers.delete("words", 1)
        assert await engine.registry.collect() == ()
        assert await said(engine) == {
            "code": 2,
            "word": None,
            "variable": "new",
            "limit": "128",
            "version": ["$LATEST"] * 2,
            "arn": ARN,
        }
        assert await said(engine, "1") == published("1")
        assert await said(engine, "live") == published("live")
        assert (await said(engine, "$LATEST"))["arn"] == f"{ARN}:$LATEST"
        # The alias's call came to the context of its version, and $LATEST has one of its own.
        assert [one["version"] for one in engine.contexts()] == ["$LATEST", "1"]

    async def second(engine: Engine) -> None:
        assert await said(engine, "live") == published("live")
        await engine.update_function("f", code=says(3), publish=True)
        assert (await said(engine, "2"))["code"] == 3
        assert await said(engine, "1") == published("1")

    run_engine(first)
    run_engine(second)


def test_weights_are_drawn_once_for_each_invocation(run_open: RunEngine) -> None:
    """1,000 calls of an alias at 90 to 10: as drawn, and so within the binomial's bounds."""
    calls, share, seed = 1000, 0.1, 20260
    drawn: list[float] = []
    source = random.Random(seed)

    def draw() -> float:
        drawn.append(source.random())
        return drawn[-1]

    async def scenario(engine: Engine) -> None:
        await make(engine)
        await engine.publish_version("f")
        await engine.update_function("f", code=says(2), publish=True)
        await engine.create_alias("f", "live", "1", routing={"2": share})
        ran: list[str] = []
        for _ in range(calls // 10):
            found = await asyncio.gather(*(said(engine, "live") for _ in range(10)))
            ran += [facts["version"][0] for facts in found]
            assert all(facts["code"] == int(facts["version"][0]) for facts in found)
        assert ran == ["2" if number < share else "1" for number in drawn]
        assert len(drawn) == calls
        deviation = math.sqrt(calls * share * (1 - share))
        assert abs(ran.count("2") - calls * share) < 4 * deviation
        # What is not an alias with weights draws nothing.
        await engine.update_alias("f", "live", routing={})
        for qualifier in ("live", "1", None):
            await said(engine, qualifier)
        assert len(drawn) == calls

    run_open(scenario, draw=draw)


def test_an_alias_that_is_moved_beside_a_running_invocation(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        given = {"handler": "edition.handler", "timeout": 30, "publish": True}
        await engine.create_function("f", code=edition(1), **given)
        await engine.update_function("f", code=edition(2), publish=True)
        await engine.create_alias("f", "live", "1")
        async with Court() as court:
            running = asyncio.ensure_future(
                engine.invoke("f", {"port": court.port}, qualifier="live")
            )
            await court.reached(1)
            await engine.update_alias("f", "live", version="2")
            moved = await engine.invoke("f", qualifier="live")
            assert (told(moved)["code"], moved.executed_version) == (2, "2")
            court.open()
            ended = await running
            assert (told(ended)["code"], ended.executed_version) == (1, "1")
        # And back: the first version's context is there still, and warm.
        await engine.update_alias("f", "live", version="1")
        back = await engine.invoke("f", qualifier="live")
        assert (told(back)["code"], told(back)["calls"], back.start) == (1, 2, StartKind.WARM)

    run_engine(scenario)


def test_the_end_of_a_function_is_that_of_all_its_contexts(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        given = {"handler": "edition.handler", "timeout": 30, "publish": True}
        await engine.create_function("f", code=edition(1), **given)
        await engine.update_function("f", code=edition(2), publish=True)
        await engine.create_alias("f", "live", "2")
        async with Court() as court:
            running = asyncio.ensure_future(engine.invoke("f", {"port": court.port}, qualifier="1"))
            await court.reached(1)
            for qualifier in (None, "2"):
                assert told(await engine.invoke("f", qualifier=qualifier))["code"] == 2
            pids = {one["version"]: one["pid"] for one in engine.contexts()}
            assert sorted(pids) == ["$LATEST", "1", "2"]
            await engine.delete_function("f")
            await eventually(lambda: states(engine) == ["busy"], "only the busy one is left")
            for qualifier in (None, "1", "2", "live"):
                with pytest.raises(ClientError, match="Function not found"):
                    await engine.invoke("f", qualifier=qualifier)
            court.open()
            assert told(await running)["code"] == 1
        await eventually(lambda: not any(map(psutil.pid_exists, pids.values())), "all have ended")
        await eventually(lambda: engine.contexts() == [], "none is known")
        # What ended after the deletion was counted, and is not kept for ever.
        assert b'function="f"' not in engine.metrics_text()

    run_engine(scenario)


def test_the_end_of_a_version_is_that_of_its_contexts_only(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine)
        await engine.publish_version("f")
        for qualifier in ("1", None):
            await said(engine, qualifier)
        (pid,) = [one["pid"] for one in engine.contexts() if one["version"] == "1"]
        await engine.delete_version("f", "1")
        await eventually(lambda: not psutil.pid_exists(pid), "its context has ended")
        # The engine hears of it a moment after the kernel has forgotten it.
        await eventually(
            lambda: [one["version"] for one in engine.contexts()] == ["$LATEST"], "it is forgotten"
        )
        assert (await engine.invoke("f")).start is StartKind.WARM
        # The function is there still, and so is what was counted of it.
        assert b'function="f"' in engine.metrics_text()

    run_engine(scenario)


def test_a_version_of_a_live_directory_stays_as_it_was(run_engine: RunEngine, code: Path) -> None:
    async def first(engine: Engine) -> None:
        await engine.create_function("f", code=code, handler="app.handler", watch=True)
        await engine.publish_version("f")
        before = engine.registry.get("f").generation
        save(code, "second")
        await eventually(
            lambda: engine.registry.get("f").generation > before, "the function is reloaded"
        )
        assert json.loads((await engine.invoke("f")).payload) == "second"
        assert json.loads((await engine.invoke("f", qualifier="1")).payload) == "first"

    async def second(engine: Engine) -> None:
        assert json.loads((await engine.invoke("f", qualifier="1")).payload) == "first"

    run_engine(first)
    run_engine(second)
