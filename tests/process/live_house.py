"""What the tests of hot reload share: saves, and waiting for what they lead to."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.process.conftest import RunEngine
from tests.process.house import eventually

from samovar.engine import Engine
from samovar.model.function import FunctionVersion

SAYS = "def handler(event, context):\n    return {!r}\n"


def save(directory: Path, word: str, name: str = "app.py") -> None:
    """As most editors do: beside it, then over it."""
    fresh = directory / f".{name}.new"
    fresh.write_text(SAYS.format(word))
    fresh.chmod(0o600)
    fresh.rename(directory / name)


def put_back(directory: Path, word: str) -> None:
    """The directory anew, whatever stands in its place."""
    if directory.is_file():
        directory.unlink()
    directory.mkdir(parents=True, exist_ok=True)
    save(directory, word)


async def make(engine: Engine, code: Path, name: str = "f", **configuration: Any) -> None:
    given = {"handler": "app.handler", "watch": True, **configuration}
    await engine.create_function(name, code=code, **given)


def shown(engine: Engine, name: str = "f") -> FunctionVersion:
    return engine.registry.get(name)


async def until(engine: Engine, wanted: Any, name: str = "f") -> None:
    """Invoke until the function says `wanted`."""
    said = None
    try:
        async with asyncio.timeout(20):
            while said != wanted:
                said = json.loads((await engine.invoke(name)).payload)
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within 20 s: it says {wanted!r}; it says {said!r}") from None


async def reloaded(engine: Engine, since: FunctionVersion) -> FunctionVersion:
    """The version of the next reload."""
    await eventually(lambda: shown(engine).generation > since.generation, "it is reloaded")
    return shown(engine)


def copies(run_engine: RunEngine) -> list[str]:
    return [path.name for path in (run_engine.data_dir / "code/tree").glob("live-*")]


def facts(directory: Path) -> list[tuple[int, int, int]]:
    """What writing, linking and opening up would change."""
    found = directory.stat(), (directory / "app.py").stat()
    return [(item.st_mode, item.st_nlink, item.st_mtime_ns * (item is found[1])) for item in found]


def watches() -> int:
    """How many inotify descriptors this process has."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += "inotify" in os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found
