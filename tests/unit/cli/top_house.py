"""Documents of engines that there never were, and terminals that nobody sits at."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.prepared import Prepared
from tests.unit.cli.conftest import PATIENCE

from samovar.model.census import Document, FunctionEntry, VersionEntry, unused

HOME = "\x1b[H"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


def version(number: str = "$LATEST", **given: Any) -> VersionEntry:
    found: VersionEntry = {**unused(number), **given}  # type: ignore[typeddict-item]
    return found


def function(name: str, *versions: VersionEntry, reserved: int | None = None) -> FunctionEntry:
    return {
        "name": name,
        "function": ARN + name,
        "in_flight": sum(one["in_flight"] for one in versions),
        "reserved_concurrency": reserved,
        "versions": list(versions),
    }


def document(*functions: FunctionEntry, uptime: float = 100.0, **totals: Any) -> Document:
    plain: dict[str, Any] = {
        "contexts": {},
        "waiting": 0,
        "in_flight": 0,
        "memory_mb": 0.0,
        "invocations": {},
        "errors": 0,
        "cold_starts": {},
        "throttles": {},
        "claimed_concurrency": 0,
    }
    return {
        "schema": 1,
        "time": "2026-01-31T12:34:56.789Z",
        "uptime_seconds": uptime,
        "limits": {"contexts": 1000, "account_concurrency": 500},
        "host": {"memory_mb": 8000, "memory_available_mb": 5120, "room_mb": 4096},
        "totals": {**plain, **totals},  # type: ignore[typeddict-item]
        "functions": list(functions),
        "contexts": [],
    }


class Terminal:
    """A command on a terminal of its own: what it wrote so far, and keys to press."""

    def __init__(self, command: list[str], environment: Mapping[str, str], size: tuple[int, int]):
        self._ours, theirs = os.openpty()
        self.resize(*size)
        self.as_found = termios.tcgetattr(self._ours)
        self.process = Prepared(
            command, stdin=theirs, stdout=theirs, stderr=theirs, text=True, env=dict(environment)
        )
        self._theirs = theirs  # stays open: what was written can be read after the end
        self.written = ""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def frame(self, fits: Callable[[str], object]) -> str:
        """Read on until a whole picture, from one way home to the next, is as it is to be; it."""
        deadline = time.monotonic() + PATIENCE
        unread = ""
        while True:
            *whole, unread = unread.split(HOME)
            for frame in whole:
                if fits(frame):
                    return frame
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], unread[-2000:]
            new = os.read(self._ours, 65536).decode(errors="replace")
            self.written += new
            unread += new

    def rest(self) -> str:
        """What was written up to the end of the command, which has come."""
        while select.select([self._ours], [], [], 0)[0]:
            self.written += os.read(self._ours, 65536).decode(errors="replace")
        return self.written

    def attributes(self) -> list[Any]:
        found: list[Any] = termios.tcgetattr(self._ours)
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@contextmanager
def terminal(
    command: list[str], environment: Mapping[str, str], size: tuple[int, int] = (100, 20)
) -> Iterator[Terminal]:
    """A command on a terminal of `size` columns and lines; killed at the end of the block."""
    kept = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
    found = Terminal(command, {**kept, "TERM": "xterm-256color"}, size)
    try:
        yield found
    finally:
        found.close()
