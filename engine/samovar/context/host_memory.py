"""How much memory new contexts may take: asked of the kernel, in a few microseconds.

The least of what the host has available and of what is left below the limit of each memory control
group that the engine, and with it its zygotes and contexts, is in; less a reserve that stays free.
Swap does not count: the host is never to swap for us. A context's /tmp needs no sum of its own: a
tmpfs is memory, so that MemAvailable and the groups' usage tell of it by themselves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from samovar.context.control_groups import Group, own_groups
from samovar.errors import EngineError

_MB = 1 << 20
_ENOUGH = 16384  # bytes: /proc/meminfo has 1.5 KB, a group's memory.stat at most 4 KB
# Below this the engine itself and what contexts grow by between two looks would not be covered;
# above it memory would only lie idle on a large host.
_LEAST_RESERVE, _MOST_RESERVE = 64, 1024
_RESERVED_SHARE = 20  # between the two a twentieth
# The names of the files and of the field in memory.stat, by version. In version 1 the fields
# without «total_» leave out the groups below.
_LIMITS = {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")}
_USAGE = {1: "memory.usage_in_bytes", 2: "memory.current"}
_RECLAIMABLE = {1: b"total_inactive_file ", 2: b"inactive_file "}


class MemoryGauge(Protocol):
    """Says what there is room for. Asked on the loop: at most tens of microseconds, no I/O that
    could wait."""

    def room(self) -> int:
        """MB that new contexts may take; negative where the reserve itself has been taken from."""


def default_reserve(total: int) -> int:
    """MB that stay free of `total` MB, where the settings do not say."""
    return min(_MOST_RESERVE, max(_LEAST_RESERVE, total // _RESERVED_SHARE))


def meminfo_bytes(text: bytes, name: bytes) -> int | None:
    """A field of /proc/meminfo, e.g. «MemAvailable»; None where the kernel has none."""
    at = 0 if text.startswith(name + b":") else text.find(b"\n" + name + b":") + 1
    if at == 0 and not text.startswith(name + b":"):
        return None
    start = at + len(name) + 1
    return int(text[start : text.index(b"kB", start)]) * 1024


def limit_bytes(text: bytes, total: int) -> int | None:
    """A group's limit; None where it is no limit on a host of `total` bytes («max» in version 2,
    a number beyond all memory in version 1)."""
    if text.startswith(b"max"):
        return None
    limit = int(text)
    return limit if limit < total else None


def reclaimable_bytes(stat: bytes, name: bytes) -> int:
    """What a group is charged for and the kernel gives back before it denies anything: the page
    cache that nobody has used lately. `name` is the field in memory.stat, with its blank."""
    at = 0 if stat.startswith(name) else stat.find(b"\n" + name) + 1
    if at == 0 and not stat.startswith(name):
        return 0
    start = at + len(name)
    return int(stat[start : stat.index(b"\n", start)])


@dataclass(slots=True)
class _Level:
    """One control group on the way up, with its files open. Limits may be changed at any time, so
    that all are asked; the rest is opened once a limit is there."""

    directory: Path
    version: int
    limits: list[int]
    _counted: list[int] = field(default_factory=list)  # usage, stat

    def left(self, total: int) -> int | None:
        """Bytes below the lowest limit; None without one. Raises OSError for a removed group."""
        found = (limit_bytes(os.pread(fd, 64, 0), total) for fd in self.limits)
        limits = [limit for limit in found if limit is not None]
        if not limits:
            return None
        for name in (_USAGE[self.version], "memory.stat")[len(self._counted) :]:
            self._counted.append(_open(self.directory / name))
        usage, stat = self._counted
        used = int(os.pread(usage, 64, 0))
        cache = reclaimable_bytes(os.pread(stat, _ENOUGH, 0), _RECLAIMABLE[self.version])
        return min(limits) - max(0, used - cache)

    def lowest(self, total: int) -> int:
        """The lowest limit, or all the memory."""
        found = (limit_bytes(os.pread(fd, 64, 0), total) for fd in self.limits)
        return min((limit for limit in found if limit is not None), default=total)

    def close(self) -> None:
        for fd in self.limits + self._counted:
            os.close(fd)
        self.limits, self._counted = [], []


class HostMemory:
    """The MemoryGauge of a real host. Its files stay open: to open one costs more than to read."""

    def __init__(
        self,
        reserve: int | None = None,
        *,
        meminfo: Path = Path("/proc/meminfo"),
        group: Group | None = None,
    ) -> None:
        """`reserve`: MB that stay free, by default `default_reserve`; `group`: the engine's own
        memory control group. Raises EngineError where the kernel does not say what is available.
        """
        self._levels: list[_Level] = []
        try:
            self._meminfo = _open(meminfo)
        except OSError as error:
            raise EngineError(f"{meminfo}: {error.strerror}") from error
        text = os.pread(self._meminfo, _ENOUGH, 0)
        total = meminfo_bytes(text, b"MemTotal")
        if total is None or meminfo_bytes(text, b"MemAvailable") is None:
            os.close(self._meminfo)
            raise EngineError(f"{meminfo} does not say how much memory is available")
        self._total = total
        for directory in [] if group is None else group.upwards():
            self._add(directory, group.version if group is not None else 2)
        least = min([total, *(level.lowest(total) for level in self._levels)])
        self.reserve = default_reserve(least // _MB) if reserve is None else reserve

    def room(self) -> int:
        """Part of MemoryGauge."""
        return self.look()[0]

    def look(self) -> tuple[int, str]:
        """The room, and what is shortest: «the host» or a control group's directory."""
        available = meminfo_bytes(os.pread(self._meminfo, _ENOUGH, 0), b"MemAvailable")
        least, where = available or 0, "the host"
        for level in self._levels:
            try:
                left = level.left(self._total)
            except OSError:
                continue  # the group was removed: it limits nobody
            if left is not None and left < least:
                least, where = left, f"{level.directory}"
        return least // _MB - self.reserve, where

    def close(self) -> None:
        """Let the files go; idempotent."""
        for level in self._levels:
            level.close()
        self._levels = []
        if self._meminfo >= 0:
            os.close(self._meminfo)
            self._meminfo = -1

    def _add(self, directory: Path, version: int) -> None:
        limits = []
        for name in _LIMITS[version]:
            try:
                limits.append(_open(directory / name))
            except OSError:
                continue  # the root of version 2 has none, nor has a group without the controller
        if limits:
            self._levels.append(_Level(directory, version, limits))


def own_group() -> Group | None:
    """The memory control group that this process is in; None where there is none to be seen."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
        return own_groups(Path("/proc/self/cgroup").read_text(), mounts).get("memory")
    except OSError:
        return None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
