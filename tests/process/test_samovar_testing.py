"""samovar.testing as its users have it: one call, an engine for a test, the pytest plugin."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
from tests.process.house import package
from tests.process.programs import run

from samovar.errors import ClientError
from samovar.model.invocation import StartKind
from samovar.settings import Isolation
from samovar.testing import engine, run_function

SOURCE = """
import os
def handler(event, context):
    print("brewing")
    if event == "fail":
        raise ValueError("no tea")
    return {"event": event, "kind": os.environ.get("KIND"), "name": context.function_name}
"""


def left_behind() -> list[str]:
    """What is in this process's temporary directory, but for what pytest itself keeps there."""
    return [name for name in os.listdir(tempfile.gettempdir()) if not name.startswith("pytest-of-")]


def test_run_function() -> None:
    code = package({"app.py": SOURCE})
    outcome = run_function(code, {"a": 1}, handler="app.handler", environment={"KIND": "green"})
    assert json.loads(outcome.payload) == {
        "event": {"a": 1},
        "kind": "green",
        "name": "function",
    }
    assert (outcome.start, outcome.function_error) == (StartKind.COLD, None)
    assert b"brewing\n" in outcome.log_tail
    failed = run_function(code, "fail", handler="app.handler")
    assert failed.error_type == "ValueError"
    with pytest.raises(ClientError):
        run_function(b"no zip", handler="app.handler")
    assert left_behind() == []


def test_run_function_with_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brewery.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    outcome = run_function("brewery:handler")
    assert json.loads(outcome.payload)["event"] == {}
    assert "brewery" not in sys.modules


def test_an_engine_for_a_test(isolation: Isolation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMOVAR_MAX_CONTEXTS", "what a developer has set does not count")

    async def program() -> Path:
        async with engine(isolation=isolation, max_contexts=3) as running:
            assert running.settings.max_contexts == 3
            await running.create_function(
                "f", code=package({"app.py": SOURCE}), handler="app.handler"
            )
            assert json.loads((await running.invoke("f", 1)).payload)["event"] == 1
            place = running.settings.data_dir
            assert place.parent == Path(tempfile.gettempdir())
            return place

    assert not asyncio.run(program()).exists()
    for name in ("data_dir", "tea"):
        with pytest.raises(TypeError, match=name):
            asyncio.run(_enter(**{name: "x"}))
    assert left_behind() == []


async def _enter(**settings: str) -> None:
    async with engine(**settings):
        raise AssertionError("this should not have begun")


CONFTEST = """
import pytest
pytest_plugins = ["samovar.testing.plugin"]

@pytest.fixture
def samovar_settings(request):
    return {"max_contexts": 7, "isolation": "none"}
"""
TESTS = """
import json, pytest
from pathlib import Path

@pytest.mark.parametrize("number", [1, 2])
def test_each_has_an_engine_of_its_own(samovar_engine, tmp_path, number):
    assert samovar_engine.settings.max_contexts == 7
    assert samovar_engine.settings.data_dir == tmp_path / "samovar"
    samovar_engine.create_function("f", code=Path("code"), handler="app.handler")
    assert json.loads(samovar_engine.invoke("f", number).payload)["event"] == number

def test_that_fails(samovar_engine):
    samovar_engine.create_function("f", code=Path("code"), handler="app.handler")
    assert samovar_engine.invoke("f", "fail").function_error is None
"""


def test_the_pytest_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(SOURCE)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_tea.py").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp=base", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout
    assert "test_that_fails - assert 'Unhandled' is None" in done.stdout
