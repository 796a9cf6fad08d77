"""The floor under hot reload: an inotify event, a fork, and the module run in the child."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inotify_simple import INotify, flags

from benchmarks.reload_subject import fill, save
from benchmarks.subject import BlockingSubject


class SavedFork(BlockingSubject):
    """Reacts to the first event at once: no burst is waited for, nothing is copied or walled in."""

    def __init__(self, files: int = 1) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="saved-fork-"))
        fill(self._directory, files - 1)
        save(self._directory, 0)
        self._saved = 0
        self._watch = INotify()
        for directory, _, _ in os.walk(self._directory):
            self._watch.add_watch(directory, flags.MOVED_TO)

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return {"saves": self.saves}

    def saves(self, count: int) -> dict[str, Any]:
        latencies = []
        started = time.perf_counter_ns()
        for _ in range(count):
            self._saved += 1
            before = time.perf_counter_ns()
            save(self._directory, self._saved)
            self._watch.read()
            if self._run() != str(self._saved).encode():
                raise RuntimeError("the child ran something else")
            latencies.append(time.perf_counter_ns() - before)
        return {"elapsed": (time.perf_counter_ns() - started) / 1e9, "latencies": latencies}

    def _run(self) -> bytes:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            path = self._directory / "saved.py"
            names: dict[str, Any] = {}
            exec(compile(path.read_bytes(), str(path), "exec"), names)
            os.write(writing, str(names["handler"]({})).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        return said

    def stop(self) -> None:
        self._watch.close()
        shutil.rmtree(self._directory)
