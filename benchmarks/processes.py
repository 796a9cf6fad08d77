"""A process tree seen from outside: its CPU time, its memory, the cores it may run on.

All from /proc, so that a contender need not co-operate and pays nothing for being measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

_TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    try:
        root = psutil.Process(pid)
        return [pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def cpu(pids: Iterable[int], reaped: bool = True) -> float:
    """Seconds of user and system time of `pids`; with `reaped`, also of the children they reaped.

    Living threads count in nanoseconds (schedstat); /proc/pid/stat counts in ticks of 10 ms, good
    enough only for what is already dead. Processes that are gone count 0: their parent has them.
    """
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if reaped:
            total += (int(fields[13]) + int(fields[14])) / _TICK
        precise = [_schedstat(pid, thread) for thread in threads(pid)]
        if None in precise:
            total += (int(fields[11]) + int(fields[12])) / _TICK
        else:
            total += sum(value for value in precise if value is not None)
    return total


def _schedstat(pid: int, thread: int) -> float | None:
    try:
        return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return None


def confine(pids: Iterable[int], cores: set[int]) -> None:
    """Let every thread of `pids` run on `cores` only; what they fork later inherits it."""
    for pid in pids:
        for thread in threads(pid):
            try:
                os.sched_setaffinity(thread, cores)
            except ProcessLookupError:
                continue


def proportional_set_size(pids: Iterable[int]) -> int:
    """Bytes of PSS, shared pages counted by share; needs root for other users' processes."""
    return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids)


def page_tables(pids: Iterable[int]) -> int:
    """Bytes of page tables, which PSS leaves out."""
    return sum(_field(f"/proc/{pid}/status", "VmPTE:") for pid in pids)


def _field(path: str, name: str) -> int:
    try:
        for line in Path(path).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
