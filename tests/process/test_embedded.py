"""Engines inside of programs: any loop, any thread, several at once, beside what else is there."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from tests import leaks
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, family, result, write
from tests.process.kin import ended
from tests.process.witness import Court

from samovar import Engine, Settings
from samovar.errors import DataDirectoryInUse, EngineError, SettingsError
from samovar.model.invocation import StartKind
from samovar.settings import Isolation

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
EDITION = "def handler(event, context):\n    return {edition}\n"


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


def test_either_loop(run_engine: RunEngine, runner: asyncio.Runner) -> None:
    async def program() -> None:
        engine = Engine(run_engine.settings(), runtimes=run_engine.runtimes)
        async with engine, Court() as court:
            await create(engine, "witness.handler", timeout=30)
            calls = [court.invoke(engine) for _ in range(5)]
            await court.reached(5)
            court.open()
            outcomes = await asyncio.gather(*calls)
            assert {outcome.start for outcome in outcomes} == {StartKind.COLD}
            large = "x" * 1_000_000  # through the memory that engine and worker share
            assert (await engine.invoke("f", {"large": large})).start is StartKind.WARM
            await create(engine, "endings.end", "ends", timeout=1)
            killed = await engine.invoke("ends", {"how": "kill"})
            assert killed.error_type == "Runtime.ExitError"
            late = await engine.invoke("ends", {"how": "sleep"})
            assert late.error_type == "Sandbox.Timedout"

    runner.run(program())


def test_a_start_that_fails_leaves_nothing_open(run_open: RunEngine) -> None:
    run = run_open.data_dir / "run"
    run.mkdir(parents=True)
    (run / "worker").write_text("no directory")

    async def scenario(engine: Engine) -> None:
        raise AssertionError

    before = set(os.listdir("/proc/self/fd")), threading.active_count()
    with pytest.raises(EngineError, match="run/worker"):
        run_open(scenario)
    assert (set(os.listdir("/proc/self/fd")), threading.active_count()) == before
    (run / "worker").unlink()

    async def starts(engine: Engine) -> None:
        assert engine.not_ready() is None

    run_open(starts)


def test_a_thread_that_is_not_the_main_one(run_engine: RunEngine) -> None:
    ends: list[Any] = []

    async def program() -> None:
        async with Engine(run_engine.settings(), runtimes=run_engine.runtimes) as engine:
            await create(engine, "life.count")
            ends.append((await result(engine))["globals"])
            ends.append((await result(engine))["globals"])

    def live() -> None:
        try:
            asyncio.run(program())
        except BaseException as error:
            ends.append(error)

    thread = threading.Thread(target=live)
    thread.start()
    thread.join()
    assert ends == [1, 2]


def test_two_engines_at_once(run_engine: RunEngine, runner: asyncio.Runner) -> None:
    """On one loop, each with its directory and its own idea of the same name."""
    second_dir = run_engine.data_dir.with_name("second")

    async def program() -> None:
        first = Engine(run_engine.settings(), runtimes=run_engine.runtimes)
        second = Engine(run_engine.settings(data_dir=second_dir), runtimes=run_engine.runtimes)
        async with first:
            async with second:
                for number, engine in enumerate((first, second)):
                    await write(engine, EDITION.format(edition=number))
                assert [await result(first), await result(second)] == [0, 1]
                assert not {*first.report().zygotes} & {*second.report().zygotes}
                old = list(family(second).values())
            # One is gone with all of its own; the other never notices.
            await eventually(lambda: ended(old), "the second's processes are gone")
            assert await result(first) == 0
            assert len(first.contexts()) == 1

    runner.run(program())


def test_engines_on_two_loops_in_two_threads(run_open: RunEngine) -> None:
    ends: dict[int, Any] = {}
    both = threading.Barrier(2, timeout=30)

    async def program(number: int) -> None:
        settings = run_open.settings(data_dir=run_open.data_dir / str(number))
        async with Engine(settings, runtimes=run_open.runtimes) as engine:
            await write(engine, EDITION.format(edition=number))
            both.wait()  # blocks its own loop alone
            ends[number] = [await result(engine) for _ in range(20)]
            both.wait()

    threads = [
        threading.Thread(target=lambda number=number: asyncio.run(program(number)))
        for number in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == {1: [1] * 20, 2: [2] * 20}


def test_the_same_directory_twice_in_one_process(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        with pytest.raises(DataDirectoryInUse, match=rf"another engine \(pid {os.getpid()}\)"):
            await Engine(run_open.settings(), runtimes=run_open.runtimes).start()
        with pytest.raises(EngineError, match="this engine is running already"):
            await engine.start()
        await write(engine, EDITION.format(edition=7))
        assert await result(engine) == 7

    run_open(scenario)


def test_ten_lives_leave_no_more_than_one(run_walled: RunEngine) -> None:
    async def program() -> None:
        engine = Engine(run_walled.settings(), runtimes=run_walled.runtimes)
        async with engine:
            await create(engine, "life.count")
        counts = []
        for _ in range(10):
            async with engine:
                assert (await result(engine))["globals"] == 1
            descriptors = len(leaks.descriptors())
            counts.append((descriptors, [it for it in leaks.threads().values() if not _pool(it)]))
            assert leaks.processes().keys() <= before
        assert counts == [counts[0]] * 10
        # The loop's own pool grows as far as it is used, and no further.
        assert len([it for it in leaks.threads().values() if _pool(it)]) <= _pool_size()

    before = leaks.processes().keys()
    asyncio.run(program())


def _pool(thread: str) -> bool:
    return "asyncio_" in thread or "ThreadPoolExecutor" in thread


def _pool_size() -> int:
    return min(32, (os.cpu_count() or 1) + 4)


def test_settings_as_text(run_open: RunEngine) -> None:
    settings = Settings(data_dir=str(run_open.data_dir), isolation="none")  # type: ignore[arg-type]
    assert settings.isolation is Isolation.NONE
    assert settings.data_dir == run_open.data_dir
    with pytest.raises(SettingsError, match="isolation='no': must be one of auto, namespaces"):
        Settings(isolation="no")  # type: ignore[arg-type]
