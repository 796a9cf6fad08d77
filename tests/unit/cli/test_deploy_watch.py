"""`samovar deploy --watch` in a process of its own, against an engine that reloads."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import PATIENCE, Started, going_on, prepared_command

from samovar.doors.cli.deploy.follow import Code
from samovar.doors.cli.main import main
from samovar.doors.cli.remote import connected

Start = Callable[..., Started]
SAYS = "def handler(event, context):\n    return {!r}\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A directory by way of a link: the engine is told the real path."""
    real = tmp_path / "projects" / "greet"
    real.mkdir(parents=True)
    (real / "app.py").write_text(SAYS.format("first"))
    link = tmp_path / "greet"
    link.symlink_to(real)
    return link


def watching(
    environment: dict[str, str], engine: Started, code: Path, *flags: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    told = ("--endpoint-url", engine.endpoint)
    return going_on(prepared_command("deploy", str(code), "--watch", *told, *flags), environment)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, process.communicate()
    return said.rstrip("\n")


def interrupted(process: subprocess.Popen[str]) -> str:
    """What it says last, on stderr, after Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, ""), said
    return said


def command(engine: Started, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--endpoint-url", engine.endpoint])


def says(engine: Started) -> Any:
    done = command(engine, "invoke", "greet")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_each_save_is_a_line_and_runs(
    start: Start, cli_environment: dict[str, str], code: Path
) -> None:
    engine = start("--hot-reload-roots", str(code.resolve().parent))
    with watching(cli_environment, engine, code, "--timeout", "7") as watch:
        assert line(watch).endswith(":function:greet")
        assert says(engine) == "first"
        (code / "app.py").write_text(SAYS.format("second"))
        told = line(watch)
        assert says(engine) == "second"
        (shown,) = json.loads(command(engine, "functions", "--json").stdout)
        assert told.endswith(f" greet runs {shown['CodeSha256'][:12]}")
        said = interrupted(watch)
    assert "greet is created" in said
    assert f"greet runs what is saved in {code.resolve()} from now on" in said
    assert "until it is deployed without --watch or deleted" in said
    assert "packaged" not in said
    # It goes on without anybody who watches.
    (code / "app.py").write_text(SAYS.format("fourth"))
    with watching(cli_environment, engine, code) as watch:
        line(watch)
        assert says(engine) == "fourth"
        assert "updating greet: Code" in interrupted(watch)
    done = command(engine, "deploy", str(code))
    assert "greet is updated" in done.stderr
    (code / "app.py").write_text(SAYS.format("fifth"))
    assert says(engine) == "fourth"


def test_lines_of_json_tell_faults_and_their_end(
    start: Start, cli_environment: dict[str, str], code: Path
) -> None:
    engine = start("--hot-reload-roots", str(code.resolve().parent))
    with watching(cli_environment, engine, code, "--json") as watch:
        first = json.loads(line(watch))
        assert (first["Status"], first["Handler"]) == ("created", "app.handler")
        assert first["CodeSize"] == len(SAYS.format("first"))
        with connected(engine.endpoint) as client:  # another change than of the code is no reload
            client.update_function_configuration(FunctionName="greet", Timeout=9)
        aside = code.resolve().with_name("aside")
        code.resolve().rename(aside)
        fault = json.loads(line(watch))
        assert fault["LastUpdateStatus"] == "Failed"
        assert " is not there; " in fault["LastUpdateStatusReason"]
        assert fault["CodeSha256"] == first["CodeSha256"]
        aside.rename(code.resolve())
        healed = json.loads(line(watch))
        assert healed == {
            **fault,
            "Time": healed["Time"],
            "RevisionId": healed["RevisionId"],
            "LastUpdateStatus": "Successful",
            "LastUpdateStatusReason": None,
        }
        interrupted(watch)


def test_a_watch_that_has_nothing_left_to_watch_says_why(
    start: Start, cli_environment: dict[str, str], code: Path
) -> None:
    engine = start("--hot-reload-roots", str(code.resolve().parent))

    def ended(watch: subprocess.Popen[str], exit_code: int, why: str) -> None:
        out, said = watch.communicate(timeout=PATIENCE)
        assert (watch.returncode, out) == (exit_code, ""), said
        assert why in said

    with (
        watching(cli_environment, engine, code, "--name", "a") as deleted,
        watching(cli_environment, engine, code, "--name", "b") as replaced,
        watching(cli_environment, engine, code, "--name", "c") as left_alone,
    ):
        for watch in (deleted, replaced, left_alone):
            line(watch)
        assert command(engine, "delete", "a", "--yes").exit_code == 0
        ended(deleted, 4, "Function not found")
        assert command(engine, "deploy", str(code), "--name", "b").exit_code == 0
        ended(replaced, 4, f"it does not follow {code.resolve()} any more")
        engine.process.send_signal(signal.SIGTERM)
        ended(left_alone, 3, "no answer from")
        _, said = engine.process.communicate(timeout=PATIENCE)
        assert engine.process.returncode == 0, said


def test_what_is_refused_and_what_is_said(start: Start, code: Path) -> None:
    engine = start()
    refused = command(engine, "deploy", str(code), "--watch")
    assert (refused.exit_code, refused.stdout) == (4, "")
    assert f"Hot reload from '{code.resolve()}' is not allowed by this engine" in refused.stderr
    assert "--hot-reload-roots (or SAMOVAR_HOT_RELOAD_ROOTS)" in refused.stderr
    shutil.make_archive(str(code.parent / "build"), "zip", code)
    for source, flags, said in (
        (code.parent / "build.zip", (), "--watch follows a directory"),
        (code, ("--install",), "--watch runs the directory as it is"),
    ):
        refused = command(engine, "deploy", str(source), "--watch", *flags)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert said in refused.stderr
    (code / "requirements.txt").write_text("requests\n")
    (code / ".samovarignore").write_text("*.md\n")
    planned = command(engine, "deploy", str(code), "--watch", "--dry-run", "--json")
    assert planned.exit_code == 0
    assert json.loads(planned.stdout)["CodeSha256"] is None
    assert "requirements.txt is not installed" in planned.stderr
    assert ".samovarignore does not count with --watch" in planned.stderr


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("Successful", None, Code("x")),
        (None, None, Code("x")),
        ("Failed", "it is gone", Code("x", "it is gone")),
        ("Failed", None, Code("x", "the last update failed")),
        ("InProgress", "The function is being updated.", None),
    ],
)
def test_what_a_configuration_says_of_the_code(
    status: str | None, reason: str | None, code: Code | None
) -> None:
    told = {
        "CodeSha256": "x",
        "LastUpdateStatus": status,
        "LastUpdateStatusReason": reason,
    }
    assert Code.of(told) == code
