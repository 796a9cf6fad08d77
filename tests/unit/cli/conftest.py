"""The command line as its users start it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.prepared import Prepared
from tests.process.programs import near_interpreters

Cli = Callable[..., subprocess.CompletedProcess[str]]
PATIENCE = 60  # seconds after which a command has hung


def cli_command(*arguments: str) -> list[str]:
    """A command as an interpreter of its own runs it."""
    return [sys.executable, *prepared_command(*arguments)]


def prepared_command(*arguments: str) -> list[str]:
    """The same for a `Prepared` process."""
    return ["-m", "samovar.doors.cli", *arguments]


@pytest.fixture(scope="session", autouse=True)
def _prepared(prepared: None) -> None:
    """Most commands are forked from a process that has done their imports."""


@pytest.fixture(scope="session")
def cli_environment(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands inherit: nothing that a developer may have set or kept for an engine."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SAMOVAR_", "AWS_"))
    }
    path = os.pathsep.join(str(checkout / top) for top in ("engine", "workers"))
    no_keys: dict[str, str] = dict.fromkeys(
        ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"), os.devnull
    )
    data = str(tmp_path_factory.mktemp("data"))
    own = {"PYTHONPATH": path, "COLUMNS": "120", "XDG_DATA_HOME": data}
    return {**inherited, **no_keys, **own}


@pytest.fixture
def cli(cli_environment: dict[str, str], tmp_path: Path) -> Cli:
    """Run a command to its end; `environment` adds variables."""

    def run(
        *arguments: str, environment: dict[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        command = prepared_command(*arguments)
        with Prepared(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**cli_environment, **(environment or {})},
        ) as process:
            try:
                out, err = process.communicate(stdin, PATIENCE)
            finally:
                process.kill()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    return run


@contextmanager
def going_on(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is told to end; killed at the end of the block.

    Prepared, unless `command` begins with a program.
    """
    begin = Prepared if command[0] == "-m" else subprocess.Popen
    process = begin(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True, slots=True)
class Started:
    """A running `samovar start`."""

    process: subprocess.Popen[str]
    endpoint: str
    data_dir: Path
    lines: list[str]


@pytest.fixture
def start(cli_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts engines on free ports; those that still run at the end of the test are killed.

    Takes further flags, and `environment` for further variables.
    """
    running: list[subprocess.Popen[str]] = []

    def begin(*flags: str, environment: dict[str, str] | None = None) -> Started:
        data_dir = tmp_path / f"data-{len(running)}"
        process = Prepared(
            prepared_command("start", "--port", "0", "--data-dir", str(data_dir), *flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**near_interpreters(cli_environment), **(environment or {})},
        )
        running.append(process)
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        assert "listens on" in lines[0], process.communicate()
        while "walls" not in lines[-1]:
            lines.append(process.stdout.readline())
        return Started(process, lines[0].split()[-1], data_dir, lines)

    yield begin
    for process in running:
        process.kill()
        process.communicate()
