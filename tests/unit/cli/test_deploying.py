"""Deploying, listing, invoking and deleting at a terminal: the commands against a real engine."""

from __future__ import annotations

import json
import signal
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.prepared import Prepared
from tests.unit.cli.conftest import PATIENCE, Started, cli_command, prepared_command
from tests.unit.cli.test_commands import RUNTIME, wait_for_busy_context

from samovar.doors.cli.main import main

Start = Callable[..., Started]
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
SOURCE = """
import os
def handler(event, context):
    told = context.client_context
    return [event, os.environ.get("KIND"), told and told.custom]
"""


@pytest.fixture
def there(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in this process, in a directory of its own, against an engine."""
    endpoint = start().endpoint
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*arguments: str, stdin: str | None = None) -> Result:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": endpoint, "COLUMNS": "160"}
        return CliRunner(env=environment).invoke(main, arguments, input=stdin)

    return run


def document(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def write(path: str, text: str = SOURCE) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_a_directory_is_created_then_left_alone_then_updated(there: Callable[..., Result]) -> None:
    write("greet/app.py")
    planned = document(there("deploy", "greet", "--dry-run", "--json"))
    assert (planned["Status"], planned["FunctionArn"]) == ("created", None)
    assert (planned["Handler"], planned["Runtime"]) == ("app.handler", RUNTIME)
    assert document(there("functions", "--json")) == []

    made = there("deploy", "greet", "--tag", "team=tea")
    assert (made.exit_code, made.stdout) == (0, f"{ARN}greet\n"), made.output
    assert "greet is created" in made.stderr
    assert document(there("invoke", "greet", "-e", "1", "--json"))["Payload"] == [1, None, None]

    again = document(there("deploy", "greet", "--tag", "team=tea", "--json"))
    assert (again["Status"], again["Changed"]) == ("unchanged", [])
    (before,) = document(there("functions", "--json"))
    assert before["Contexts"] == {"idle": 1}  # nothing was touched: it is still warm

    Path("variables").write_text("KIND=black\nOTHER=1\n")
    flags = ("--env-file", "variables", "--env", "KIND=green", "--timeout", "10", "--tag", "a=b")
    changed = document(there("deploy", "greet", *flags, "--json"))
    assert changed["Changed"] == ["Timeout", "Environment", "tag a"]
    assert document(there("invoke", "greet", "--json"))["Payload"] == [{}, "green", None]

    write("greet/app.py", SOURCE.replace("[event", "['new', event"))
    planned = document(there("deploy", "greet", "--dry-run", "--json"))
    assert (planned["Status"], planned["Changed"]) == ("updated", ["Code"])
    assert document(there("invoke", "greet", "--json"))["Payload"][0] == {}
    assert document(there("deploy", "greet", "--json"))["Changed"] == ["Code"]
    assert document(there("invoke", "greet", "--json"))["Payload"] == ["new", {}, "green", None]
    (now,) = document(there("functions", "--json"))
    assert (now["Timeout"], now["Environment"]["Variables"]["OTHER"]) == (10, "1")
    assert now["RevisionId"] != before["RevisionId"]


def test_a_version_and_an_alias(there: Callable[..., Result]) -> None:
    write("greet/app.py")
    planned = there("deploy", "greet", "--alias", "live", "--dry-run")
    assert "would publish it and have live stand for the version" in planned.stderr
    made = there("deploy", "greet", "--publish")
    assert (made.exit_code, made.stdout) == (0, f"{ARN}greet:1\n"), made.output
    live = document(there("deploy", "greet", "--alias", "live", "--json"))
    assert (live["FunctionArn"], live["Version"]) == (f"{ARN}greet:live", "1")
    write("greet/app.py", SOURCE.replace("[event", "['new', event"))
    there("deploy", "greet")
    assert document(there("invoke", "greet:live", "--json"))["Payload"] == [{}, None, None]
    moved = there("deploy", "greet", "--alias", "live")
    assert (moved.exit_code, moved.stdout) == (0, f"{ARN}greet:live\n"), moved.output
    assert "greet is published as version 2" in moved.stderr
    assert "greet:live stands for version 2" in moved.stderr
    assert document(there("invoke", "greet:live", "--json"))["Payload"][0] == "new"
    found = document(there("functions", "--versions", "--json"))
    assert [(item["Version"], item["Aliases"]) for item in found] == [
        ("$LATEST", []),
        ("1", []),
        ("2", ["live"]),
    ]
    assert [item["Contexts"] for item in found] == [{}, {"idle": 1}, {"idle": 1}]
    shown = there("functions", "--versions")
    assert shown.stdout.splitlines()[-1].split()[:3] == ["greet", "2", "live"]
    missing = there("invoke", "greet:nope")
    assert "greet has no such version or alias" in missing.stderr
    assert "samovar functions --versions" in missing.stderr
    write("greet/app.py")
    for name in ("7", "a b", "a" * 129):  # before anything is deployed
        refused = there("deploy", "greet", "--alias", name)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "no alias can be called" in refused.stderr
        assert "packaged" not in refused.stderr


def test_a_zip_and_a_module(there: Callable[..., Result]) -> None:
    with zipfile.ZipFile("build.zip", "w") as archive:
        archive.writestr("app.py", SOURCE)
        archive.writestr("main.py", SOURCE)
    refused = there("deploy", "build.zip")
    assert refused.exit_code == 2
    assert "--handler app.handler" in refused.stderr
    made = document(
        there("deploy", "build.zip", "--name", "z", "--handler", "main.handler", "--json")
    )
    assert made["FunctionArn"] == f"{ARN}z"
    # The handler that it has stays, although there are two.
    assert document(there("deploy", "build.zip", "--name", "z", "--json"))["Status"] == "unchanged"
    write("brewery/__init__.py", "")
    write("brewery/orders.py")
    made = there("deploy", "brewery.orders:handler")
    assert made.stdout == f"{ARN}brewery-orders-handler\n", made.output
    invoked = document(there("invoke", "brewery-orders-handler", "-e", '"x"', "--json"))
    assert invoked["Payload"] == ["x", None, None]


def test_what_the_api_refuses_is_told(there: Callable[..., Result]) -> None:
    write("greet/app.py")
    for flags, said in (
        (("--timeout", "901"), "less than or equal to 900"),
        (("--runtime", "python3.99"), "python3.99"),
        (("--role", "me"), "role"),
        (("--env", "AWS_REGION=x"), "reserved keys"),
        (("--name", "not valid"), "functionName"),
    ):
        refused = there("deploy", "greet", *flags)
        assert (refused.exit_code, refused.stdout) == (4, ""), refused.output
        assert said in refused.stderr
    assert document(there("functions", "--json")) == []


def test_an_invocation_in_full(there: Callable[..., Result]) -> None:
    write("greet/app.py")
    there("deploy", "greet")
    context = '{"custom": {"a": "b"}}'
    told = document(there("invoke", "greet", "-e", "{}", "--client-context", context, "--json"))
    assert told["StatusCode"] == 200
    assert told["ExecutedVersion"] == "$LATEST"
    assert told["FunctionError"] is None
    assert told["Payload"] == [{}, None, {"a": "b"}]
    assert f"REPORT RequestId: {told['RequestId']}" in told["Log"]
    assert told["Samovar"]["start"] == "cold"
    assert told["Samovar"]["phases"].keys() >= {"environment", "package", "init", "handler"}
    refused = there("invoke", "greet", "--client-context", "tea")
    assert refused.exit_code == 2
    assert "--client-context" in refused.stderr

    write("greet/app.py", "def handler(event, context):\n    raise KeyError(event)\n")
    there("deploy", "greet")
    failed = there("invoke", "greet", "--json", "--log")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["FunctionError"] == "Unhandled"
    assert json.loads(failed.stdout)["Payload"]["errorType"] == "KeyError"
    assert "REPORT" in failed.stderr


def test_functions_are_shown_and_deleted(there: Callable[..., Result]) -> None:
    write("greet/app.py")
    for name in ("one", "two", "three"):
        assert there("deploy", "greet", "--name", name).exit_code == 0
    there("invoke", "two")
    lines = {line.split()[0]: line for line in there("functions").stdout.splitlines()[1:]}
    assert list(lines) == ["one", "three", "two"]
    assert "1 idle" in lines["two"]
    assert "none" in lines["one"]
    assert "Active" in lines["one"]

    unasked = there("delete", "one")
    assert unasked.exit_code == 2
    assert "say --yes" in unasked.stderr
    missing = there("delete", "one", "nobody", "--yes")
    assert missing.exit_code == 4
    assert len(document(there("functions", "--json"))) == 3
    deleted = there("delete", "one", "two", "--yes", "--json")
    assert document(deleted) == [f"{ARN}one", f"{ARN}two"]
    assert [item["FunctionName"] for item in document(there("functions", "--json"))] == ["three"]


@pytest.mark.parametrize("command", [("invoke",), ("bench", "--cold", "0", "--concurrency", "2")])
def test_ctrl_c_ends_a_command_with_130(
    start: Start,
    tmp_path: Path,
    cli_environment: dict[str, str],
    command: tuple[str, ...],
) -> None:
    code = str(tmp_path / "nap")
    write(f"{code}/app.py", "import time\ndef handler(event, context):\n    time.sleep(600)\n")
    engine = start()
    told = ("--endpoint-url", engine.endpoint)
    deployed = CliRunner().invoke(main, ["deploy", code, "--timeout", "900", *told])
    assert deployed.exit_code == 0, deployed.output
    caller = Prepared(
        prepared_command(*command, "nap", *told),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=cli_environment,
    )
    try:
        wait_for_busy_context(engine.endpoint)
        caller.send_signal(signal.SIGINT)
        out, said = caller.communicate(timeout=PATIENCE)
    finally:
        caller.kill()
        caller.communicate()
    assert (caller.returncode, out) == (130, ""), said
    assert said == "samovar: interrupted\n"


def test_a_script_reads_the_port_from_the_ready_line(
    cli_environment: dict[str, str], tmp_path: Path
) -> None:
    command = cli_command("start", "--json", "--port", "0", "--data-dir", str(tmp_path / "data"))
    engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cli_environment)
    try:
        assert engine.stdout is not None
        ready = json.loads(engine.stdout.readline())
        assert (ready["pid"], ready["data_dir"]) == (engine.pid, str(tmp_path / "data"))
        assert RUNTIME in ready["interpreters"]
        listed = CliRunner().invoke(
            main, ["functions", "--json", "--endpoint-url", ready["endpoint"]]
        )
        assert document(listed) == []
        engine.send_signal(signal.SIGTERM)
        rest, _ = engine.communicate(timeout=PATIENCE)
        assert (engine.returncode, rest) == (0, "")
    finally:
        engine.kill()
        engine.communicate()
