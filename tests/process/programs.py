"""Engines in processes of their own, to be killed, interrupted and looked at from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import psutil
from botocore.client import BaseClient
from botocore.config import Config
from tests.prepared import Prepared

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds; only a program that hangs takes them


def environment() -> dict[str, str]:
    """What programs inherit: this checkout, and none of a developer's own settings."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SAMOVAR_", "AWS_"))
    }
    places = (CHECKOUT / "engine", CHECKOUT / "workers", CHECKOUT)
    return near_interpreters({**inherited, "PYTHONPATH": os.pathsep.join(map(str, places))})


def near_interpreters(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for engines that find the running interpreter and the system's alone: all that
    they find are asked who they are at each start. (`test_interpreters.py` is about the others.)"""
    kept = os.path.realpath(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")
    near = [
        place
        for place in environment.get("PATH", "").split(os.pathsep)
        if not Path(os.path.realpath(place)).is_relative_to(kept)
    ]
    nowhere = dict.fromkeys(("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"), os.devnull)
    return {**environment, **nowhere, "PATH": os.pathsep.join(near)}


def run(
    *command: str, through: Iterable[str] = (), patience: float = PATIENCE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of this interpreter to its end; `through`: a command that runs it (see
    `other_hosts`); `variables` go into its environment."""
    return subprocess.run(
        [*through, sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
        env=environment() | variables,
    )


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON that a program has printed, which must have ended well."""
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def told(*command: str, patience: float) -> dict[str, Any]:
    """The JSON document that a program of this interpreter, started as a `Program`, prints."""
    with Program(*command) as program:
        _, out, err = program.end(patience)
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return document


class Program:
    """A program of this interpreter that runs; killed at the end of the block if it still does.

    It is forked from one that has done its imports: tests of it use the fixture `prepared`.
    """

    def __init__(self, *command: str) -> None:
        self._process = Prepared(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def line(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, self._process.communicate()
        return said.rstrip("\n")

    def family(self) -> list[psutil.Process]:
        """All processes below it."""
        return psutil.Process(self.pid).children(recursive=True)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def tell(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def kill(self) -> None:
        """SIGKILL, and wait for it alone: others may hold its pipes; idempotent."""
        self._process.kill()
        self._process.wait(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def end(self, patience: float = PATIENCE) -> tuple[int, str, str]:
        """Wait for its end: the exit code, and the rest of what it said."""
        out, err = self._process.communicate(timeout=patience)
        return self._process.returncode, out, err


def serve(data_dir: Path, isolation: str, *flags: str) -> list[str]:
    """The command `samovar start` on a port of the system's choice."""
    return [
        *("-m", "samovar.doors.cli", "start", "--port", "0", "--spares", "1"),
        *("--data-dir", str(data_dir), "--isolation", isolation, *flags),
    ]


def create(aws: BaseClient, **configuration: Any) -> None:
    """Create the function `f`, and wait until it can be invoked."""
    role = "arn:aws:iam::000000000000:role/r"
    aws.create_function(FunctionName="f", Role=role, Timeout=60, **configuration)
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0})


def client(endpoint: str) -> BaseClient:
    """A boto3 client that asks once."""
    session = boto3.Session(
        region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    config = Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE)
    return session.client("lambda", endpoint_url=endpoint, config=config)
