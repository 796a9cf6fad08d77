"""`samovar top` against a real engine, printed and on a terminal."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import PATIENCE, Started, going_on, prepared_command
from tests.unit.cli.top_house import terminal

from samovar.doors.cli.main import main
from samovar.model import census

Start = Callable[..., Started]
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"  # the alternate screen
CLEAR = "\x1b[2J"


def command(engine: Started, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--endpoint-url", engine.endpoint])


@pytest.fixture
def engine(start: Start, tmp_path: Path) -> Started:
    """An engine that has run `greet` three times, and `other` never."""
    started = start()
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("def handler(event, context):\n    return event\n")
    for name in ("greet", "other"):
        made = command(started, "deploy", str(code), "--name", name)
        assert made.exit_code == 0, made.output
    for _ in range(3):
        assert command(started, "invoke", "greet").exit_code == 0
    return started


def test_printed(engine: Started, cli_environment: dict[str, str]) -> None:
    done = command(engine, "top", "--once", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    document = json.loads(line)
    assert set(document) == set(get_type_hints(census.Document))
    (function,) = document["functions"]
    (version,) = function["versions"]
    assert (function["name"], version["contexts"]) == ("greet", {"idle": 1})
    assert version["invocations"] == {"cold": 1, "warm": 2}
    assert version["per_second"] is None
    (context,) = document["contexts"]
    assert (context["cold"], context["warm"], context["invocations"]) == (1, 2, 3)
    assert context["memory_mb"] == version["memory_mb"] > 1

    table = command(engine, "top")  # no terminal
    assert (table.exit_code, table.stderr) == (0, "")
    assert "\x1b" not in table.stdout
    assert "contexts 1 of 1000: 1 idle" in table.stdout
    (row,) = (line for line in table.stdout.splitlines() if line.startswith("greet"))
    assert row.split()[:5] == ["greet", "$LATEST", "0", "1", "0"]
    assert "greet" not in command(engine, "top", "--function", "nobody").stdout
    assert "greet" in command(engine, "top", "--function", function["function"] + ":1").stdout

    # One document after the other.
    arguments = ("top", "--json", "--interval", "0.1", "--endpoint-url", engine.endpoint)
    with going_on(prepared_command(*arguments), cli_environment) as process:
        assert process.stdout is not None
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        assert second["uptime_seconds"] > first["uptime_seconds"]
        (function,) = second["functions"]
        nothing = {"invocations": 0.0, "cold": 0.0, "throttles": 0.0}
        assert function["versions"][0]["per_second"] == nothing
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


def test_where_no_engine_is() -> None:
    nowhere = CliRunner().invoke(main, ["top", "--endpoint-url", "http://127.0.0.1:9"])
    assert (nowhere.exit_code, nowhere.stdout) == (3, "")
    assert "Start one with: samovar start" in nowhere.stderr


def test_on_a_terminal(engine: Started, cli_environment: dict[str, str]) -> None:
    there = {**cli_environment, "AWS_ENDPOINT_URL_LAMBDA": engine.endpoint}
    for number, code in ((signal.SIGINT, 0), (signal.SIGTERM, 143)):
        with terminal(prepared_command("top", "--interval", "0.2"), there) as shown:
            shown.frame(lambda frame: "greet" in frame)
            assert shown.attributes() != shown.as_found
            shown.process.send_signal(number)
            assert shown.process.wait(PATIENCE) == code
            assert LEAVE in shown.rest()[-100:]
            assert shown.attributes() == shown.as_found
    with terminal(prepared_command("top", "--interval", "0.2"), there) as shown:
        first = shown.frame(lambda frame: "greet" in frame)
        assert "host " in first
        assert ENTER in shown.written
        shown.frame(lambda frame: "calls/s" in frame)  # it looks on
        command(engine, "invoke", "other")
        wide = shown.frame(lambda frame: "other" in frame)
        assert "contexts 2 of" in wide
        assert "memory" in wide
        shown.resize(40, 5)
        shown.process.send_signal(signal.SIGWINCH)
        low = shown.frame(lambda frame: frame.count("\r\n") == 4)
        assert "memory" not in low
        assert "other" in low
        engine.process.kill()
        shown.frame(lambda frame: "no answer from" in frame)
        shown.press("q")
        assert shown.process.wait(PATIENCE) == 0
        written = shown.rest()
        assert LEAVE in written[-100:]
        assert CLEAR not in written.partition(ENTER)[2]  # it is written over, never cleared
        assert shown.attributes() == shown.as_found
