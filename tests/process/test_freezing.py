"""Between two invocations a context stands still, seen from the host; what it was given to do comes
first, always."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import psutil
import pytest
from tests.process import freezing_house as house
from tests.process.conftest import RunEngine
from tests.process.house import create, error, eventually, named, result, states, write
from tests.process.kin import ended
from tests.process.template_house import call, create_published, steward_pid, template_pid
from tests.process.test_strays import arguments, end

from samovar.engine import Engine
from samovar.testing import ManualClock

AFTER = 5.0
NEVER = 1e6


@pytest.mark.parametrize("kinds", ["thread", "child", "thread child daemon"])
def test_what_runs_behind_a_reply_goes_on_with_the_next_one(
    run_engine: RunEngine, kinds: str
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=30)
        await create(engine, "life.count", "other")
        first = await result(engine, {"start": kinds.split()})
        await house.frozen(engine)
        still = house.counted(engine, first)
        for _ in range(50):  # time passes, and it gets none of it
            await result(engine, name="other")
        assert house.counted(engine, first) == still
        assert min(still.values()) > 0
        second = await result(engine, {"beyond": still})
        assert second["pid"] == first["pid"]
        assert all(second["counts"][kind] > still[kind] for kind in kinds.split())
        assert house.numbers(engine)["failures"] == 0

    run_engine(scenario, freeze_after=NEVER)


def test_a_quiet_context_stands_still_after_a_while(run_engine: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count")
        await result(engine)
        clock.advance(AFTER - 0.5)
        await result(engine)
        clock.advance(AFTER - 0.5)
        assert house.numbers(engine)["freezes"] == 0
        clock.advance(0.5)
        await house.frozen(engine)
        assert house.numbers(engine) == {"frozen": 1, "freezes": 1, "failures": 0}
        assert (await result(engine))["globals"] == 3
        assert house.numbers(engine) == {"frozen": 0, "freezes": 1, "failures": 0}
        assert not house.stands_still(engine)

    run_engine(scenario, clock=clock, freeze_after=AFTER)


def test_a_daemon_that_the_worker_does_not_know_of_is_found_after_a_while(
    run_walled: RunEngine,
) -> None:
    """With a pid namespace it is an orphan of pid 1's; without one the worker's."""
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=30)
        await result(engine, {"start": ["daemon"]})
        assert len(house.below(engine)) == 2
        clock.advance(AFTER)
        await house.frozen(engine)

    run_walled(scenario, clock=clock, freeze_after=AFTER)


def test_with_freezing_off_it_runs_on(run_engine: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=30)
        told = await result(engine, {"start": ["thread", "child"]})
        clock.advance(10 * AFTER)
        seen = house.counted(engine, told)
        await eventually(
            lambda: all(count > seen[kind] for kind, count in house.counted(engine, told).items()),
            "it runs on",
        )
        assert house.numbers(engine) == {"frozen": 0, "freezes": 0, "failures": 0}

    run_engine(scenario, clock=clock, freeze=False, freeze_after=AFTER)


def test_whoever_comes_while_a_context_is_being_frozen_is_served(run_engine: RunEngine) -> None:
    """Each reply begins a freeze; each invocation takes one back, however far that has come. It
    ends when all that runs behind it has gone on."""
    event = {"start": ["thread", "child", "daemon"]}

    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=30)
        draw = random.Random(7)

        async def caller() -> None:
            for _ in range(150):
                await result(engine, event)
                # Some come at once, some while the thread is at it, some when all stands still.
                for _ in range(draw.choice((0, 0, 1, 3, 20))):
                    await asyncio.sleep(0)

        await caller()
        await asyncio.gather(*(caller() for _ in range(2)))
        await house.frozen(engine)
        assert house.numbers(engine)["freezes"] > 100
        assert house.numbers(engine)["failures"] == 0

    run_engine(scenario, freeze_after=NEVER)


def test_all_of_many_children_stop_and_go_on(run_engine: RunEngine) -> None:
    """More of them than the engine keeps descriptors of."""
    source = """
import subprocess
children = []
def handler(event, context):
    while len(children) < 40:
        children.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    for child in children:  # which answers only while it runs
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.read(1) == b"x"
    return len(children)
"""

    async def scenario(engine: Engine) -> None:
        await write(engine, source, timeout=30)
        for _ in range(3):
            assert await result(engine) == 40
            await house.frozen(engine)
            assert len(house.below(engine)) == 41

    descriptors = len(os.listdir("/proc/self/fd"))
    run_engine(scenario, freeze_after=NEVER)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_what_its_function_has_stopped_stays_so(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.stop_a_child")
        for _ in range(3):
            assert await result(engine) == "T"
            await house.frozen(engine)

    run_engine(scenario, freeze_after=NEVER)


def test_a_frozen_context_ends_with_all_it_has_started(run_engine: RunEngine) -> None:
    started = arguments()

    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.start_children")
        await result(engine, started | {"then sleep": 0})
        await house.frozen(engine)
        await engine.delete_function("f")
        await eventually(
            lambda: not any(named(argument) for argument in started.values()),
            "all of the context is gone",
        )

    try:
        run_engine(scenario, freeze_after=0.1)
    finally:
        end(started)


def test_a_frozen_context_expires(run_engine: RunEngine) -> None:
    clock, started = ManualClock(), arguments()

    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.start_children")
        await result(engine, started | {"then sleep": 0})
        clock.advance(AFTER)
        await house.frozen(engine)
        clock.advance(300)
        await eventually(lambda: states(engine) == [], "it has expired")
        assert not any(named(argument) for argument in started.values())

    try:
        run_engine(scenario, clock=clock, freeze_after=AFTER)
    finally:
        end(started)


def test_a_frozen_worker_that_is_killed_is_replaced(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=30)
        first = await result(engine, {"start": ["thread", "child"]})
        await house.frozen(engine)
        (worker,) = house.workers(engine)
        family = [psutil.Process(pid) for pid in house.below(engine)]
        os.kill(worker, signal.SIGKILL)
        await eventually(lambda: ended(family), "all of it has ended")
        await eventually(lambda: not house.workers(engine), "the engine knows")
        second = await result(engine, {"start": ["thread"]})
        assert list(second["counts"]) == ["thread"]
        assert second["place"] == first["place"]
        await house.frozen(engine)

    run_engine(scenario, freeze_after=NEVER)


def test_a_run_out_of_time_is_one_in_a_context_that_was_frozen(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=3)
        told = await result(engine, {"start": ["thread"]})
        await house.frozen(engine)
        hopeless = {"beyond": {"thread": told["counts"]["thread"] + 10**9}}
        assert error(await engine.invoke("f", hopeless))["errorType"] == "Sandbox.Timedout"
        await result(engine, {"start": ["thread"]})
        await house.frozen(engine)

    run_engine(scenario, freeze_after=NEVER)


def test_contexts_of_a_template_stand_still_and_it_does_not(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "ticking.handler", timeout=30)
        for _ in range(2):
            await call(engine, {"start": ["thread", "daemon"]})
            await eventually(
                lambda: house.processes_states(house.workers(engine)) == ["T"], "it stands still"
            )
        await house.frozen(engine)
        seen = house.processes_states([template_pid(engine), steward_pid(engine)])
        assert "T" not in seen
        await call(engine, {})

    run_engine(scenario, freeze_after=0.2)


def test_its_zygote_sleeps_through_it(run_engine: RunEngine) -> None:
    """A child that stops or goes on is none that has ended."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "ticking.handler", timeout=30)
        (zygote,) = engine.report().zygotes

        async def freeze_again() -> None:
            await result(engine, {"start": ["thread"]})
            await house.frozen(engine)

        for _ in range(5):  # what it does for the context's start is behind it then
            await freeze_again()
        woken = psutil.Process(zygote).num_ctx_switches().voluntary
        for _ in range(10):
            await freeze_again()
        assert psutil.Process(zygote).num_ctx_switches().voluntary == woken

    run_engine(scenario, freeze_after=NEVER, spares=0)


def test_a_provisioned_context_stands_still_before_anybody_comes(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count")
        await engine.registry.versions.publish("f")
        await engine.registry.wait_settled("f", "1")
        await engine.put_provisioned_concurrency("f", "1", 2)
        await eventually(lambda: states(engine) == ["idle", "idle"], "both are ready")
        await house.frozen(engine)
        outcome = await call(engine)
        assert outcome.function_error is None

    run_engine(scenario, freeze_after=0.1)
