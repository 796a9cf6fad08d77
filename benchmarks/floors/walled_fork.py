"""Asks the walled zygote for processes, and times each from the command to its first byte."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.remote import UnavailableError
from benchmarks.subject import BlockingSubject

_UID = 51051
_FUNCTIONS = Path(__file__).parents[1] / "functions"
_ZYGOTE = Path(__file__).with_name("walled_zygote.py")


class WalledFork(BlockingSubject):
    """The floor under cold starts and under idle contexts; needs root, as the walls do."""

    def __init__(self, library: str = "") -> None:
        """`library`: a module of `functions/` that the zygote imports, and whose handler each
        process runs before it says that it is there."""
        if os.geteuid() != 0:
            raise UnavailableError("the walled fork floor builds its walls as root; run as root")
        self._waiting = 0
        self._code = tempfile.TemporaryDirectory(prefix="walled-fork-")
        os.chmod(self._code.name, 0o755)
        command = [sys.executable, "-I", "-S", str(_ZYGOTE), str(_UID), self._code.name]
        if library:
            paths = [str(_FUNCTIONS), *(path for path in sys.path if "site-packages" in path)]
            command += [library, *paths]
        pipe = subprocess.PIPE
        self._zygote = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)

    def start(self) -> dict[str, Any]:
        self._expect(b"*")
        return {"pid": self._zygote.pid}

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return {"forks": self.forks, "burst": self.burst, "fill": self.fill, "empty": self.release}

    def _say(self, command: bytes, number: int = 0) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(command + number.to_bytes(4, "little"))

    def _expect(self, wanted: bytes) -> None:
        assert self._zygote.stdout is not None
        while wanted:
            got = self._zygote.stdout.read(len(wanted))
            if not got or not wanted.startswith(got):
                raise UnavailableError(f"the walled zygote said {got!r}: walls are refused here")
            wanted = wanted[len(got) :]

    def forks(self, count: int) -> dict[str, Any]:
        """One after the other."""
        latencies = []
        started = time.perf_counter_ns()
        for _ in range(count):
            before = time.perf_counter_ns()
            self._say(b"F", 1)
            self._expect(b"+")
            latencies.append(time.perf_counter_ns() - before)
            self.release()
        return {"elapsed": (time.perf_counter_ns() - started) / 1e9, "latencies": latencies}

    def burst(self, count: int) -> dict[str, Any]:
        """All at once, each sleeping for a second: seconds until the last one has answered."""
        before = time.perf_counter_ns()
        self._say(b"S", count)
        self._expect(b"+" * count)
        elapsed = time.perf_counter_ns() - before
        self.release()
        return {"elapsed": elapsed / 1e9}

    def fill(self, count: int) -> int:
        """Have `count` forked ones waiting; returns how many there are."""
        missing = count - self._waiting
        self._say(b"F", missing)
        self._expect(b"+" * missing)
        self._waiting = count
        return count

    def release(self) -> None:
        self._waiting = 0
        self._say(b"E")
        self._expect(b"=")

    def stop(self) -> None:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.close()
        # The zygote leaves, the gate closes with it, and its children go.
        self._zygote.wait()
        self._zygote.stdout.close()
        self._code.cleanup()
