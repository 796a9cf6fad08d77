"""What there is of an engine that rests."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from tests.leaks import cgroups

from samovar.engine import Engine


@dataclass(frozen=True, slots=True)
class Rest:
    """Counts of what is the engine's; `memory`: KB of its process that are resident, and `paths`
    what is in its data directory. `mounts` are those of all its mount namespaces together."""

    processes: int
    descriptors: int
    mounts: int
    cgroups: int
    paths: int
    contexts: int
    memory: int

    @classmethod
    def of(cls, engine: Engine, data: Path) -> Rest:
        me = psutil.Process()
        below = me.children(recursive=True)
        return cls(
            processes=len(below),
            descriptors=len(os.listdir("/proc/self/fd")),
            mounts=sum(_mounts(namespace) for namespace in _namespaces([me, *below]).values()),
            cgroups=sum(len(list(Path(group).glob("**/"))) for group in cgroups()),
            paths=sum(len(folders) + len(files) for _, folders, files in os.walk(data)),
            contexts=len(engine.contexts()),
            memory=me.memory_info().rss >> 10,
        )

    def grown(self, since: Rest) -> dict[str, int]:
        """What is more than it was, but for memory, which goes up and down."""
        return {
            field.name: getattr(self, field.name) - getattr(since, field.name)
            for field in fields(self)
            if field.name != "memory" and getattr(self, field.name) > getattr(since, field.name)
        }


def _namespaces(processes: list[psutil.Process]) -> dict[str, int]:
    """A process of each mount namespace."""
    found = {}
    for process in processes:
        try:
            found[os.readlink(f"/proc/{process.pid}/ns/mnt")] = process.pid
        except OSError:
            continue  # it has just ended
    return found


def _mounts(pid: int) -> int:
    try:
        return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    except OSError:
        return 0
