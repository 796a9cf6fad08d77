"""A contender's process as the harness sees it: started, asked, stopped.

One JSON line out, one JSON line back, over a socket pair. The process leads a session of its own
(Ctrl-C reaches the harness alone, which then stops it in order) and stops by itself when the other
end of the pair closes, so not even a killed harness leaves one behind.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks import processes

CHECKOUT = Path(__file__).resolve().parent.parent
_STOP_SECONDS = 30.0  # 1,000 contexts take a while to go


class UnavailableError(Exception):
    """A contender can't take part here; the message says what is missing."""


class ContenderError(Exception):
    """A contender broke down; the message ends with what it wrote."""


class Remote:
    """A subject (`benchmarks.subject`) in a process of its own; a context manager."""

    def __init__(self, subject: str, options: Mapping[str, Any]) -> None:
        """`subject`: module:Class; `options`: its keyword arguments, JSON-able."""
        self._subject = subject
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile("a+b")  # noqa: SIM115  # closed by stop
        command = [sys.executable, "-m", "benchmarks.run_subject", str(theirs.fileno())]
        command += [subject, json.dumps(dict(options))]
        with theirs:
            self._process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        self._socket = ours
        self._file = ours.makefile("rb")
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.facts = self._read()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process that does the scheduling: the subject itself unless it says otherwise."""
        return int(self.facts.get("pid", self._process.pid))

    def engine(self) -> list[int]:
        """The processes whose CPU time counts as the engine's; a server of several counts whole."""
        return processes.tree(self.pid) if self.facts.get("whole") else [self.pid]

    @property
    def port(self) -> int:
        return int(self.facts["port"])

    def tree(self) -> list[int]:
        return processes.tree(self._process.pid)

    def ask(self, command: str, **arguments: Any) -> Any:
        """Raises ContenderError if the process dies or answers with an error."""
        try:
            self._socket.sendall(json.dumps([command, arguments]).encode() + b"\n")
        except OSError as error:
            raise ContenderError(f"{self._subject} is gone: {error}\n{self.wrote()}") from error
        return self._read()

    def _read(self) -> Any:
        try:
            line = self._file.readline()
        except ConnectionResetError:  # it died with a command unread
            line = b""
        if not line:
            raise ContenderError(f"{self._subject} ended without an answer\n{self.wrote()}")
        kind, value = json.loads(line)
        if kind == "unavailable":
            raise UnavailableError(value)
        if kind == "error":
            raise ContenderError(f"{self._subject}: {value}\n{self.wrote()}")
        return value

    def wrote(self) -> str:
        """The end of what the process wrote to its standard output and error."""
        self._log.seek(0)
        return self._log.read()[-4000:].decode(errors="replace")

    def stop(self) -> None:
        """End the process and what it started; kills the session if it does not go by itself."""
        self._file.close()
        self._socket.close()
        family = self.tree()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(
                f"{self._subject} did not stop within {_STOP_SECONDS:g} s: killed", file=sys.stderr
            )
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._process.wait()
        self._log.close()
