"""Whatever a function writes, and whatever it closes: it ends its own context, at most."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Silence, create, error, eventually, family, result, states

from samovar.engine import Engine
from samovar.model.invocation import Outcome
from samovar.settings import Isolation

EXIT, TIMEOUT = "Runtime.ExitError", "Sandbox.Timedout"
MORE = "more than the one answer that it was asked for"
# What the caller gets (an error, or one of these answers), and why the context is killed.
WAYS: dict[str, tuple[set[object], str]] = {
    "two at once": ({EXIT}, MORE),
    "two": ({EXIT, "forged"}, ""),
    "the next one's, too": ({EXIT}, MORE),
    "one and a half": ({EXIT}, MORE),
    "half": ({TIMEOUT}, ""),
    "dribble": ({"slow"}, ""),
    "another's refusal": ({EXIT}, "a reply to another invocation"),
    "a bomb": ({EXIT}, "Done: not an array of 4: "),
    "grandchild": ({EXIT}, ""),
    "read replies": ({1, TIMEOUT, EXIT}, ""),
    "read output": ({1}, ""),
    "no newline": ({1}, ""),
    "newlines": ({1}, ""),
    "one byte": ({1}, ""),
    "half a record": ({1}, ""),
    "empty records": ({1}, ""),
    "close the output later": ({1}, ""),
    "close the request later": ({1}, ""),
    "close the reply later": ({1}, ""),
    "close the memory later": ({1}, ""),
}
HANGS = ("half", "read replies")


def said(outcome: Outcome) -> object:
    """The answer, or the error's type."""
    return json.loads(outcome.payload) if outcome.function_error is None else outcome.error_type


async def beside(engine: Engine, task: asyncio.Task[Outcome], calls: list[int]) -> Outcome:
    """The outcome of `task`; meanwhile, and once more, another function answers as ever."""
    while True:
        done = task.done()
        calls[0] += 1
        assert await result(engine, "", "other") == calls[0]
        if done:
            return await task
        await asyncio.wait([task], timeout=0.1)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_each_way_ends_one_context_at_most(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    run_engine.log = Silence()
    # The other context's processes, and a spare's: with a pid 1 each where there are namespaces.
    both = 2 if run_engine.isolation is Isolation.NONE else 4

    async def scenario(engine: Engine) -> None:
        await create(engine, "forger.handler", "other", timeout=30)
        calls = [0]
        me = psutil.Process()
        for way, (expected, reason) in WAYS.items():
            await result(engine, "", "other")
            calls[0] += 1
            await eventually(rests(engine, both), "a spare is there")
            fds, processes, memory = descriptors(), set(family(engine)), me.memory_info().rss
            caplog.clear()
            name = way.replace(" ", "-").replace("'", "").replace(",", "")
            await create(engine, "forger.handler", name, timeout=1 if way in HANGS else 10)
            call = asyncio.create_task(engine.invoke(name, way, log_tail=True))
            outcome = await beside(engine, call, calls)
            assert said(outcome) in expected, way
            if reason:
                assert reason in caplog.text, way
            # The next one has its process, or another one in its place.
            await asyncio.sleep(0.05 if "later" in way else 0)
            for _ in range(3):
                after = await engine.invoke(name, "")
                if after.function_error is None:
                    break
                assert error(after)["errorType"] in (EXIT, TIMEOUT), way
            assert after.payload in (b"1", b"2", b"3"), way
            await engine.delete_function(name)
            await eventually(settled(engine, processes, fds), f"{way}: all is as it was")
            assert me.memory_info().rss - memory < 48 << 20, way

    run_engine(scenario)


def rests(engine: Engine, both: int) -> Callable[[], bool]:
    """Whether there are so many processes, and nothing has come or gone for a while: a spare that
    is being made opens and closes this and that."""
    seen: list[tuple[int, int]] = []

    def look() -> bool:
        seen.append((len(family(engine)), descriptors()))
        return seen[-1][0] == both and len(seen) >= 8 and len({*seen[-8:]}) == 1

    return look


def settled(engine: Engine, processes: set[int], fds: int) -> Callable[[], bool]:
    """Whether nothing is left but one other context, and a spare in the place of any."""

    def look() -> bool:
        alike = len(family(engine)) == len(processes) and descriptors() == fds
        return alike and states(engine) == ["idle"]

    return look


@pytest.mark.parametrize("name", ["output", "request", "reply", "memory"])
def test_wires_that_are_closed_in_the_init(run_open: RunEngine, name: str) -> None:
    expected = {"output": 1, "memory": 1, "request": EXIT, "reply": EXIT}[name]

    async def scenario(engine: Engine) -> None:
        await create(engine, "forger.handler", "other")
        await create(engine, "forger.handler", environment={"CLOSE": name}, timeout=5)
        calls = [0]
        for _ in range(2):
            call = asyncio.create_task(engine.invoke("f", ""))
            outcome = await beside(engine, call, calls)
            assert said(outcome) in (expected, 2 if expected == 1 else EXIT)

    run_open(scenario)


def test_who_waits_gets_no_answer_that_was_there_before_him(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "forger.handler", timeout=5)
        await result(engine, "")
        first, *others = [
            asyncio.create_task(engine.invoke("f", event)) for event in ("go on", "", "", "")
        ]
        assert said(await first) in ("forged", EXIT)
        for other in others:  # behind it on its context, and then on the one in its place
            assert said(await other) in (EXIT, 1, 2, 3)
        assert said(await engine.invoke("f", "")) in (2, 3, 4)
        assert len(states(engine)) == 1

    run_engine(scenario, max_contexts=1, max_waiting=10)
