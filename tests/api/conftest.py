"""The loops that the door runs on, engines behind it, and their neighbour."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from tests.api import house, neighbour
from tests.api.served import Serve
from tests.api.stream_house import standing
from tests.api.topic_house import Topic
from tests.broker import Broker

from samovar.registry.runtimes import Runtimes
from samovar.settings import Settings

# libuv's signal pipe is made with a process's first loop and stays: no test's own.
uvloop.new_event_loop().close()


@pytest.fixture(params=[None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test's scene on asyncio's own loop, and again on uvloop's, which is the usual one."""
    monkeypatch.setitem(house.LOOP, "factory", request.param)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[neighbour.Neighbour]:
    """One for all tests: it takes a second to come up."""
    with neighbour.running(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> Runtimes:
    """The interpreters of this machine, looked for once."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("unused"))
    return asyncio.run(Runtimes.discover(settings))


@pytest.fixture
def serve(tmp_path: Path, interpreters: Runtimes) -> Serve:
    """Real engines, whose functions run."""
    return Serve(tmp_path / "data", interpreters)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One for all tests of topics."""
    made = Broker()
    yield made
    made.close()


@pytest.fixture
def topic(
    broker: Broker, moto: neighbour.Neighbour, request: pytest.FixtureRequest
) -> Iterator[Topic]:
    made = Topic(broker, moto, request.node.name)
    with standing(made):
        yield made
