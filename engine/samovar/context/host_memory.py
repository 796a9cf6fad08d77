"""How much memory new contexts may take: asked of the kernel, in a few microseconds.

The least of what the host has available and of what is left below the limit of each memory control
group that the engine, and with it its zygotes and contexts, is in; less a reserve that stays free.
Swap does not count: the host is never to swap for us. A context's /tmp needs no sum of its own: a
tmpfs is memory, so that MemAvailable and the groups' usage tell of it by themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samovar.context.control_groups import (
    MEMORY_LIMIT,
    MEMORY_USAGE,
    Group,
    number_of,
    own_groups,
)
from samovar.errors import EngineError

_MB = 1 << 20
_ENOUGH = 16384  # bytes: /proc/meminfo has 1.5 KB, a group's memory.stat at most 4 KB
# Below this the engine itself and what contexts grow by between two looks would not be covered;
# above it memory would only lie idle on a large host.
_LEAST_RESERVE, _MOST_RESERVE = 64, 1024
_RESERVED_SHARE = 20  # between the two a twentieth
# MB: a few contexts. Looks are a tenth of a second apart and more, so that what one of them has
# given up mostly shows at the next.
_LITTLE = 64
# The names of the files that limit, and of the field in memory.stat, by version. In version 1 the
# fields without «total_» leave out the groups below.
_LIMITS = {1: (MEMORY_LIMIT[1],), 2: (MEMORY_LIMIT[2], "memory.high")}
_RECLAIMABLE = {1: b"total_inactive_file", 2: b"inactive_file"}


class MemoryGauge(Protocol):
    """Says what there is room for. Asked on the loop: at most tens of microseconds, no I/O that
    could wait."""

    def room(self) -> int:
        """MB that new contexts may take; negative where the reserve itself has been taken from."""


class YieldingGauge:
    """A gauge that has something given up when there is little room left: what stays in memory only
    to save time."""

    def __init__(self, gauge: MemoryGauge, give_up: Callable[[], None]) -> None:
        """`give_up` is called at a look that finds little room, once for each look."""
        self._gauge = gauge
        self._give_up = give_up

    def room(self) -> int:
        room = self._gauge.room()
        if room < _LITTLE:
            self._give_up()
        return room


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


@dataclass(frozen=True, slots=True)
class _Level:
    """One control group on the way up, with its files open. Limits may be changed at any time, so
    that all levels are asked each time."""

    directory: Path
    version: int
    limits: list[int]
    usage: int
    stat: int

    @classmethod
    def opened(cls, directory: Path, version: int) -> _Level:
        """Raises OSError for a group without limits, as the topmost one of version 2 is."""
        with ExitStack() as files:

            def fd(name: str) -> int:
                found = os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC)
                files.callback(os.close, found)
                return found

            limits = [fd(name) for name in _LIMITS[version]]
            level = cls(directory, version, limits, fd(MEMORY_USAGE[version]), fd("memory.stat"))
            files.pop_all()
            return level

    def limit(self, total: int) -> int | None:
        """The lowest limit in bytes; None without one. Raises OSError for a removed group."""
        found = [limit_bytes(os.pread(fd, 64, 0), total) for fd in self.limits]
        return min((limit for limit in found if limit is not None), default=None)

    def left(self, total: int) -> int | None:
        """Bytes below the lowest limit; None without one. Raises OSError for a removed group."""
        limit = self.limit(total)
        if limit is None:
            return None
        used = int(os.pread(self.usage, 64, 0))
        # The page cache that nobody has used lately: the kernel gives it back before it denies
        # anything.
        cache = number_of(os.pread(self.stat, _ENOUGH, 0), _RECLAIMABLE[self.version])
        return limit - max(0, used - cache)

    def close(self) -> None:
        for fd in (*self.limits, self.usage, self.stat):
            os.close(fd)


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
            self._meminfo = os.open(meminfo, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise EngineError(f"{meminfo}: {error.strerror}") from error
        text = os.pread(self._meminfo, _ENOUGH, 0)
        total = meminfo_bytes(text, b"MemTotal")
        if total is None or meminfo_bytes(text, b"MemAvailable") is None:
            os.close(self._meminfo)
            raise EngineError(f"{meminfo} does not say how much memory is available")
        self._total = total
        least = total
        for directory in [] if group is None else group.upwards():
            assert group is not None
            try:
                level = _Level.opened(directory, group.version)
            except OSError:
                continue
            self._levels.append(level)
            least = min(least, level.limit(total) or total)
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


def own_group() -> Group | None:
    """The memory control group that this process is in; None where there is none to be seen."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
        return own_groups(Path("/proc/self/cgroup").read_text(), mounts).get("memory")
    except OSError:
        return None
