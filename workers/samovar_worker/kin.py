"""Looks at other processes, through /proc as it stands in this pid namespace."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from samovar_worker.pipes import OUTPUT

_EXITING = 0x4  # PF_EXITING in the flags of /proc/PID/stat


def sid(pid: int) -> int:
    """The session of a process; -1 if it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def children() -> list[int]:
    """This process's own."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return list(map(int, file.read().split()))


def is_ending(pid: int) -> bool:
    """Whether a process is dead, or so far on its way that it has closed its files."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *_, flags = file.read().rpartition(")")[2].split()[:7]
    except (OSError, ValueError):
        return False
    return state in "ZX" or bool(int(flags) & _EXITING)


def holds(pid: int, inode: int) -> bool:
    """Whether a process has this pipe open, at any descriptor."""
    wanted = f"pipe:[{inode}]"
    try:
        return any(
            os.readlink(f"/proc/{pid}/fd/{fd}") == wanted for fd in os.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return False


def holds_at(pid: int, fd: int, inode: int) -> bool:
    """Whether a process has this pipe open at descriptor `fd`."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}") == f"pipe:[{inode}]"
    except OSError:
        return False


def is_first_of_one_namespace(first: int, second: int) -> bool:
    """Whether two processes share a pid namespace that is not this process's own, and `first` is
    its pid 1."""
    try:
        names = [os.readlink(f"/proc/{who}/ns/pid") for who in ("self", first, second)]
        with open(f"/proc/{first}/status", encoding="utf-8", errors="replace") as file:
            numbers = next(line for line in file if line.startswith("NSpid:")).split()
    except (OSError, StopIteration):
        return False
    return names[0] != names[1] == names[2] and numbers[-1] == "1"


def are_born(new: list[int], worker: int, first: int, output: int) -> bool:
    """Whether a worker that holds this output pipe, and the pid 1 of its namespace (0: it has none
    of its own), are both among the `new` children of this process."""
    if worker not in new or not holds_at(worker, OUTPUT, output):
        return False
    return first == 0 or (first in new and is_first_of_one_namespace(first, worker))


def kill_adopted(adopted: Callable[[], list[int]], ours: Callable[[int], bool]) -> None:
    """Without a pid namespace: kill what a dead worker has left to this process, which adopts
    orphans, of those `adopted` that are `ours`, and so on with what these leave."""
    while strays := [pid for pid in adopted() if ours(pid)]:
        for pid in strays:
            os.kill(pid, signal.SIGKILL)
        for pid in strays:
            os.waitpid(pid, 0)
