"""Who is who among the processes below an engine's zygotes, found from outside."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from tests import leaks
from tests.process.house import family

from samovar.engine import Engine


def worker_of(engine: Engine, context: str) -> int:
    """The pid of a context's worker; 0 while there is none."""
    entry: dict[str, Any]
    (entry,) = [one for one in engine.contexts() if str(one["context"]) == context]
    return entry.get("pid") or 0


def holder_of(worker: int) -> int:
    """pid 1 of the pid namespace that `worker` lives in."""
    namespace = os.readlink(f"/proc/{worker}/ns/pid")
    parent = psutil.Process(worker).parent()
    assert parent is not None
    (holder,) = [
        child.pid
        for child in parent.children()
        if child.pid != worker and os.readlink(f"/proc/{child.pid}/ns/pid") == namespace
    ]
    return holder


def spares_of(engine: Engine) -> list[int]:
    """The pids of the workers that belong to no function yet."""
    taken = {context.get("pid") for context in engine.contexts()}
    return [
        pid
        for pid, process in family(engine).items()
        if pid not in taken and process.name() not in ("cat", "env")
    ]


def mounts_held(zygote: int) -> int:
    """How many mount namespaces a zygote holds beside its own."""
    held = {
        target
        for entry in Path(f"/proc/{zygote}/fd").iterdir()
        if (target := os.readlink(entry)).startswith("mnt:[")
    }
    return len(held - {os.readlink(f"/proc/{zygote}/ns/mnt")})


def ended(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of them lives any more. Dead orphans are reaped on the way, as init would."""
    leaks.processes()
    return not any(process.is_running() for process in processes)
