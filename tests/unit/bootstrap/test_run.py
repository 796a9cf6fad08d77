"""run.py builds environments that work, keeps the current ones, and says what to do next."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.unit.bootstrap.conftest import WITHOUT_ENSUREPIP, Project


@pytest.fixture
def run_py(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_py", checkout / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fails_early(project: Project) -> dict[str, str]:
    """What to give to a run of which only the beginning counts: installing would take seconds."""
    project.environment["PIP_FIND_LINKS"] = str(project.root / "engine")
    return {"launcher": WITHOUT_ENSUREPIP}


def test_a_demo_is_set_up_once_and_again_when_its_source_changes(project: Project) -> None:
    first = project.run("demo", "--json", "-o", "there")
    assert first.stdout.split()[:5] == ["job", "cli", "demo", "--json", "-o"], first.stderr
    assert first.stdout.split()[6] == ".venv"
    assert "building a virtual environment" in first.stderr

    kept = project.run("demo", "fail")
    assert kept.returncode == 3, "the exit status is the job's own"
    assert "using the environment" in kept.stderr

    (project.root / "engine" / "source.py").write_text("changed = True")
    changed = project.run("setup")
    assert "building" in changed.stderr
    assert (project.root / ".venv" / "bin" / "python").exists()


def test_tests_get_a_new_environment_each_time_unless_told_otherwise(project: Project) -> None:
    place = project.root.parent / "elsewhere"
    arguments = ("--venv", str(place), "test", "-k", "wire")
    first = project.run(*arguments)
    assert first.stdout.split() == ["job", "pytest", "-k", "wire", "elsewhere", str(project.root)]
    marker = place / "marker"
    marker.write_text("")
    (project.root / "engine" / "source.py").write_text("changed = True")
    kept = project.run(*arguments, "--reuse")
    assert "using the environment" in kept.stderr, "an editable installation follows its source"
    assert marker.exists()
    project.run(*arguments, **fails_early(project))
    assert not marker.exists()


def test_it_works_without_ensurepip(project: Project) -> None:
    run = project.run("demo", launcher=WITHOUT_ENSUREPIP)
    assert run.stdout.startswith("job cli demo"), run.stderr
    site = next((project.root / ".venv" / "lib").glob("python3.*/site-packages"))
    assert (site / "pip").is_dir()
    assert not (site / "bin").exists()


def test_a_failed_installation_says_why_and_is_not_taken_for_a_finished_one(
    project: Project,
) -> None:
    (project.root / "broken").write_text("")
    failed = project.run("demo", launcher=WITHOUT_ENSUREPIP)
    assert failed.returncode == 1
    assert "this project is broken on purpose" in failed.stderr
    assert "start run.py again" in failed.stderr
    assert failed.stdout == ""
    (project.root / "broken").unlink()
    assert "building" in project.run("demo", **fails_early(project)).stderr


def test_a_directory_that_is_no_environment_stays_untouched(project: Project) -> None:
    precious = project.root.parent / "precious"
    precious.mkdir()
    (precious / "file").write_text("dear")
    refused = project.run("--venv", str(precious), "test")
    assert refused.returncode == 1
    assert "stays untouched" in refused.stderr
    assert "--venv" in refused.stderr
    assert (precious / "file").read_text() == "dear"


def test_without_a_pip_that_works_it_says_what_to_install(project: Project) -> None:
    failed = project.run("demo", **fails_early(project))
    assert failed.returncode == 1
    assert "sudo apt install python3-venv" in failed.stderr


def test_arguments_of_setup_are_refused(project: Project) -> None:
    refused = project.run("setup", "--everything")
    assert refused.returncode == 2
    assert "--everything" in refused.stderr


def test_an_old_python_is_told_what_to_install(checkout: Path) -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 9, 0); runpy.run_path(sys.argv[1])"
    run = subprocess.run(
        [sys.executable, "-c", pretend, str(checkout / "run.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "needs 3.11 or newer" in run.stderr
    assert "Traceback" not in run.stderr


def test_an_old_python_can_parse_it(checkout: Path) -> None:
    ast.parse((checkout / "run.py").read_text(), feature_version=(3, 6))


def test_a_read_only_checkout_gets_its_environment_elsewhere(
    run_py: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(run_py, "CHECKOUT", tmp_path)
    assert run_py.default_place() == tmp_path / ".venv"
    # Root may write anywhere, but not to what isn't there.
    monkeypatch.setattr(run_py, "CHECKOUT", tmp_path / "absent")
    place = run_py.default_place()
    assert place.parent == tmp_path / "samovar"


def test_ci_runs_what_the_readme_tells_a_newcomer(checkout: Path) -> None:
    command = "python3 run.py test"
    assert f"```console\n{command}\n```" in (checkout / "README.md").read_text()
    lines = (checkout / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == f"exec {command}", "nothing may come after pytest's summary"
    assert "set -eu" in lines
