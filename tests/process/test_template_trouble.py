"""Templates that can't do what they are for, or that nobody needs: what becomes of contexts."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, family, states
from tests.process.template_house import (
    call,
    create_published,
    publish,
    template_pid,
    write_published,
)
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.model.function import State
from samovar.model.invocation import Outcome
from samovar.testing import ManualClock

ON_DEMAND = "has no template, its contexts start on demand: "
# The init leaves no descriptors to fork with; `HERE` is the template's.
CRAMPED = """
import os, resource
HERE = os.getpid()
if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start":
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
def handler(event, context):
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""


class Room:
    """A host's memory, as the test says."""

    def __init__(self) -> None:
        self.megabytes = 1 << 20

    def room(self) -> int:
        return self.megabytes


def test_contexts_do_without_a_template_that_can_t_fork(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        assert (await write_published(engine, CRAMPED)).state is State.ACTIVE
        assert (await call(engine)).payload == b'"on-demand"'
        assert caplog.text.count(ON_DEMAND) == 1
        for pause in (5, 10):  # then it is tried again, at ever longer intervals
            tried = caplog.text.count(ON_DEMAND)
            clock.advance(pause - 1)
            engine.drop_idle_contexts("f", qualifier="1")
            assert (await call(engine)).payload == b'"on-demand"'
            assert caplog.text.count(ON_DEMAND) == tried
            clock.advance(1)
            engine.drop_idle_contexts("f", qualifier="1")
            assert (await call(engine)).payload == b'"on-demand"'
            assert caplog.text.count(ON_DEMAND) == tried + 1

    with caplog.at_level(logging.WARNING):
        run_engine(scenario, clock=clock, spares=0)


def test_a_template_that_is_found_out_is_not_made_again_at_once(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "treacherous.handler", environment={"WAY": "garbage"})
        assert (await call(engine)).payload == b"true"
        assert caplog.text.count(ON_DEMAND + "the template said what it was not asked") == 1
        await eventually(lambda: engine.templates() == [], "it is killed, and there is no other")

    with caplog.at_level(logging.WARNING):
        run_engine(scenario, spares=0)


def test_contexts_do_without_a_template_that_dies_of_forking(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "treacherous.handler", environment={"WAY": "death at once"})
        clock.advance(2)  # no quick death
        assert (await call(engine)).payload == b"true"
        assert caplog.text.count(ON_DEMAND) == 1

    clock = ManualClock()
    with caplog.at_level(logging.WARNING):
        run_engine(scenario, clock=clock, spares=0)


def test_a_version_deleted_while_its_template_is_made(run_engine: RunEngine) -> None:
    """The init is not left to run for another two minutes."""

    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await create_published(engine, "life.count", "other")
            before = set(family(engine))
            port = str(court.port)
            await create(engine, "witness.handler", environment={"INIT_PORT": port})
            publishing = asyncio.create_task(publish(engine))
            await court.reached(1)
            await engine.delete_function("f")
            await eventually(lambda: set(family(engine)) <= before, "its processes have ended")
            publishing.cancel()
            await asyncio.wait([publishing])

    run_engine(scenario, spares=0)


def test_what_waited_as_its_version_was_deleted_gets_no_template(run_engine: RunEngine) -> None:
    """Nobody would end it."""

    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await create_published(engine, "witness.handler", timeout=30)
            running = asyncio.create_task(call(engine, court.event()))
            await court.reached(1)
            waiting: asyncio.Task[Outcome] = asyncio.create_task(call(engine, court.event()))
            await asyncio.sleep(0)
            template = template_pid(engine)
            await engine.registry.versions.delete("f", "1")
            await eventually(lambda: template not in family(engine), "its template is reaped")
            (context,) = engine.contexts()
            os.kill(context["pid"], signal.SIGKILL)  # so that another one has to start
            await running
            await court.reached(2)
            assert engine.templates() == []
            court.open()
            assert (await waiting).function_error is None

    run_engine(scenario, spares=0, max_contexts=1, max_waiting=5)


def test_templates_without_contexts_go_when_memory_is_short(run_engine: RunEngine) -> None:
    """The one that was not used for longest first; it is made anew when it is needed."""
    room, clock = Room(), ManualClock()

    def versions(engine: Engine) -> list[str]:
        return [one["function"].rpartition(":")[2] for one in engine.templates()]

    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count", "busy")
        for name in ("first", "second"):
            await create_published(engine, "life.count", name)
            clock.advance(1)
        await call(engine, name="first")
        await engine.invoke("busy", b"{}")
        assert versions(engine) == ["first", "second"]
        room.megabytes = 50
        clock.advance(1)
        assert versions(engine) == ["first"]
        clock.advance(1)
        assert versions(engine) == ["first"]  # it has a context
        engine.drop_idle_contexts("first", qualifier="1")
        await eventually(lambda: len(states(engine)) == 1, "its context is gone")
        clock.advance(1)
        assert versions(engine) == []
        await call(engine, name="second")
        assert versions(engine) == ["second"]
        os.kill(engine.templates()[0]["pid"], signal.SIGKILL)
        await eventually(lambda: len(versions(engine)) == 1, "this one is made anew")

    run_engine(scenario, clock=clock, memory=room)
