"""A pytest plugin: `pytest_plugins = ["samovar.testing.plugin"]` in the top conftest.py.

`samovar_engine` is an engine of the test's own; override `samovar_settings` to set it up.
`samovar_benchmark` measures a function on it with pytest-benchmark, cold or warm.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samovar.blocking import BlockingEngine
from samovar.testing.benchmark import SamovarBenchmark
from samovar.testing.temporary import temporary_settings


@pytest.fixture
def samovar_settings() -> dict[str, Any]:
    """Settings of `samovar_engine`, by the names of the fields of `samovar.Settings`."""
    return {}


@pytest.fixture
def samovar_engine(tmp_path: Path, samovar_settings: dict[str, Any]) -> Iterator[BlockingEngine]:
    """A running engine with no functions, on a directory below the test's `tmp_path`."""
    with BlockingEngine(temporary_settings(tmp_path / "samovar", **samovar_settings)) as engine:
        yield engine


@pytest.fixture
def samovar_benchmark(
    request: pytest.FixtureRequest, samovar_engine: BlockingEngine
) -> SamovarBenchmark:
    """`cold` and `warm` of a function, under pytest-benchmark."""
    if not request.config.pluginmanager.hasplugin("benchmark"):
        pytest.fail(
            "samovar_benchmark needs pytest-benchmark: pip install pytest-benchmark",
            pytrace=False,
        )
    return SamovarBenchmark(request.getfixturevalue("benchmark"), samovar_engine)
