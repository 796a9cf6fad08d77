"""Every test is held to leave nothing behind."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import compiled, leaks, memory, models
from tests.prepared import serving

# How long what is on its way out may take to be gone. Only a test that leaks waits this long.
DEADLINE = float(os.environ.get("LEAK_CHECK_DEADLINE", "5"))
_told: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    """Zygotes write no bytecode, and each of hundreds would compile the worker anew; see there."""
    if not hasattr(config, "workerinput"):  # once, not in each of xdist's processes
        compiled.before_the_processes(config, Path(__file__).parents[1])
    models.read_once()


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no garbage collector needs to look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _session_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of a wider scope than one test leave behind shows at the end of the session."""
    leaks.adopt_orphans()
    own = tmp_path_factory.mktemp("TMPDIR", numbered=False)
    before_variable, before_directory = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)
    try:
        yield from _leaves_nothing()
    finally:
        tempfile.tempdir = before_directory
        os.environ.pop("TMPDIR")
        if before_variable is not None:
            os.environ["TMPDIR"] = before_variable


@pytest.fixture(autouse=True)
def _test_leaves_nothing(_session_leaves_nothing: None) -> Iterator[None]:
    yield from _leaves_nothing()
    memory.give_back()


def _leaves_nothing() -> Iterator[None]:
    before = leaks.Traces.now()
    yield
    left = set(leaks.settle(before, DEADLINE)) - _told
    if left:
        _told.update(left)  # not again at the end of the session
        leaks.end_processes(before)
        pytest.fail("left behind:\n  " + "\n  ".join(sorted(left)), pytrace=False)


@pytest.fixture(scope="session")
def prepared(_session_leaves_nothing: None) -> Iterator[None]:
    """Programs of `tests.prepared` can be started."""
    with serving():
        yield


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout."""
    return Path(__file__).resolve().parents[1]
