"""Hypothesis, for all tests below: the same examples each time, and no limit in time; and what
needs another interpreter than the running one."""

from __future__ import annotations

import pytest
from hypothesis import settings
from tests.unit import interpreters

from samovar.context import launch_plan
from samovar.registry.runtimes import Interpreter

settings.register_profile("samovar", derandomize=True, deadline=None, database=None)
settings.load_profile("samovar")


@pytest.fixture(scope="session")
def premises(tmp_path_factory: pytest.TempPathFactory) -> launch_plan.Premises:
    """The directories that workers import from, made as the engine makes them."""
    directory = tmp_path_factory.mktemp("premises")
    return launch_plan.prepare(directory / "code", directory / "run")


@pytest.fixture(scope="session")
def interpreters_found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Interpreter, ...]:
    """Every interpreter of this machine that functions may run in."""
    return interpreters.found(tmp_path_factory.getbasetemp())
