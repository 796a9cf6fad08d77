"""Samovar as a contender in a race from a save to the first result of what was saved."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.remote import UnavailableError
from benchmarks.subject import Subject

if TYPE_CHECKING:
    from samovar.engine import Engine

_PER_DIRECTORY = 50


class ReloadSubject(Subject):
    """An embedded engine and one function, hot-reloaded from a directory of `files` files."""

    def __init__(self, files: int = 1) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="samovar-benchmark-"))
        try:
            from samovar.engine import Engine
            from samovar.settings import Settings
        except ImportError as error:
            shutil.rmtree(self._directory)
            raise UnavailableError(f"the engine can't be imported: {error}") from error
        self._code = self._directory / "code"
        self._code.mkdir()
        fill(self._code, files - 1)
        self._saved = 0
        self._engine: Engine = Engine(Settings(data_dir=self._directory / "data"))

    async def start(self) -> dict[str, Any]:
        save(self._code, 0)
        await self._engine.start()
        await self._engine.create_function(
            "saved", code=self._code, handler="saved.handler", watch=True
        )
        await self._engine.invoke("saved")
        return {}

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"saves": self.saves}

    async def saves(self, count: int) -> dict[str, Any]:
        """One after the other: the nanoseconds from the rename to the first new result."""
        latencies = []
        started = time.perf_counter_ns()
        for _ in range(count):
            self._saved += 1
            wanted = str(self._saved).encode()
            before = time.perf_counter_ns()
            save(self._code, self._saved)
            # Asked again and again, as somebody who waits for it would: the old code answers until
            # then, and nothing is lost between the reload and the next question.
            while (await self._engine.invoke("saved")).payload != wanted:
                pass
            latencies.append(time.perf_counter_ns() - before)
        return {"elapsed": (time.perf_counter_ns() - started) / 1e9, "latencies": latencies}

    async def stop(self) -> None:
        try:
            await self._engine.stop()
        finally:
            shutil.rmtree(self._directory)


def save(directory: Path, number: int) -> None:
    """A module whose handler returns `number`, as editors save it."""
    fresh = directory / "saved.py~"
    fresh.write_text(f"def handler(event, context=None):\n    return {number}\n")
    os.replace(fresh, directory / "saved.py")


def fill(directory: Path, files: int) -> None:
    """Modules that nobody imports, as vendored libraries bring them by the thousand."""
    for number in range(files):
        package = directory / f"package{number // _PER_DIRECTORY}"
        package.mkdir(exist_ok=True)
        (package / f"module{number}.py").write_text(f"NUMBER = {number}\n" * 20)
