"""Engines for the process tests: real ones, on a directory of their own, torn down each time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop
from tests.process.house import Log

from samovar.clock import Clock
from samovar.context.host_memory import MemoryGauge
from samovar.engine import Engine
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings

T = TypeVar("T")
SCENARIO_LIMIT = 60.0  # seconds; only a scenario that hangs gets there

# libuv makes a pipe for signals with the process's first loop and keeps it to the end: made here,
# before any test, so that the leak check does not take it for the first test's.
uvloop.new_event_loop().close()


class RunEngine:
    """Call it with `async def scenario(engine)`: runs that with an engine on uvloop.

    `log` collects what functions write; `data_dir` is kept between two calls in one test.
    """

    def __init__(self, data_dir: Path, isolation: Isolation, runtimes: Runtimes) -> None:
        self.data_dir = data_dir
        self.isolation = isolation
        self.runtimes = runtimes
        self.log = Log()

    @property
    def walled(self) -> bool:
        """Whether contexts have namespaces of their own."""
        return self.isolation is Isolation.NAMESPACES

    def settings(self, **settings: Any) -> Settings:
        """Settings on this test's directory and isolation; one spare unless said otherwise."""
        given = {"data_dir": self.data_dir, "isolation": self.isolation, "spares": 1}
        return Settings(**(given | settings))

    def __call__(
        self,
        scenario: Callable[[Engine], Awaitable[T]],
        *,
        clock: Clock | None = None,
        memory: MemoryGauge | None = None,
        draw: Callable[[], float] = random.random,
        **settings: Any,
    ) -> T:
        async def run() -> T:
            async with asyncio.timeout(SCENARIO_LIMIT):
                engine = Engine(
                    self.settings(**settings),
                    clock=clock,
                    log_sink=self.log,
                    runtimes=self.runtimes,
                    memory=memory,
                    draw=draw,
                )
                async with engine:
                    return await scenario(engine)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())


@pytest.fixture(scope="session")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> Runtimes:
    """The interpreters of this machine, looked for once."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("unused"))
    return asyncio.run(Runtimes.discover(settings))


@pytest.fixture(params=[Isolation.NAMESPACES, Isolation.NONE], ids=str)
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Every test runs with and without walls. Where a host refuses them it fails, by name."""
    value: Isolation = request.param
    return value


@pytest.fixture
def run_engine(tmp_path: Path, isolation: Isolation, runtimes: Runtimes) -> RunEngine:
    return RunEngine(tmp_path / "data", isolation, runtimes)


@pytest.fixture
def run_walled(tmp_path: Path, runtimes: Runtimes) -> RunEngine:
    """For what only exists with namespaces."""
    return RunEngine(tmp_path / "data", Isolation.NAMESPACES, runtimes)


@pytest.fixture
def run_open(tmp_path: Path, runtimes: Runtimes) -> RunEngine:
    """For what only exists without namespaces, or is the same in both."""
    return RunEngine(tmp_path / "data", Isolation.NONE, runtimes)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A directory to deploy from that its owner alone may enter, as people's own are."""
    directory = tmp_path / "code"
    directory.mkdir(mode=0o700)
    (directory / "app.py").write_text("def handler(event, context):\n    return 'first'\n")
    return directory
