"""The control groups of an engine's contexts: a directory for each context in each hierarchy.

Every method writes to the kernel's files and may wait there for milliseconds (the first process to
join a group after a quiet moment waits 6-13 ms for the kernel): never on the loop's thread. They
raise OSError.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.context.control_groups import (
    MEMORY_LIMIT,
    MEMORY_USAGE,
    Group,
    number_of,
    own_groups,
)
from samovar.context.group_files import GroupFiles
from samovar.context.limits import PERIOD, PROCESSES, Limits, of_all
from samovar.context.memory_use import below

_PROCESSES = "cgroup.procs"


@dataclass(frozen=True, slots=True)
class _Memory:
    """The name of a version's field in a file, and of a file that only we read."""

    anonymous: bytes  # of all groups below, in memory.stat
    killed: str  # the file that counts whom the kernel killed for the limit


_MEMORY = {
    1: _Memory(b"total_rss", "memory.oom_control"),
    2: _Memory(b"anon", "memory.events"),
}


class GroupTree:
    """Groups below `tops`, which are this engine's own."""

    def __init__(self, tops: Mapping[str, Group], files: GroupFiles) -> None:
        """`tops`: by controller, those of CONTROLLERS that can be had."""
        self._tops = dict(tops)
        self._files = files

    @property
    def controllers(self) -> list[str]:
        """Those that there are."""
        return list(self._tops)

    @property
    def notifies(self) -> bool:
        """Whether the kernel tells when memory in use comes to a number of bytes (version 1)."""
        top = self._tops.get("memory")
        return top is not None and (top.directory / "cgroup.event_control").exists()

    def make_tops(self) -> None:
        """The engine's own groups, in which no process is."""
        for controller, top in self._tops.items():
            self._files.make(top.directory)
            if top.version != 1:
                self._files.write(top.directory / "cgroup.subtree_control", f"+{controller}")
            if controller == "cpu":
                self._weigh(top, top.directory, of_all(os.cpu_count() or 1))

    def add(self, number: int) -> None:
        """A context's groups, which hold nothing but the number of processes yet; again, if they
        are there."""
        for directory in self._directories(number):
            self._files.make(directory)
        if "pids" in self._tops:
            self._files.write(self._of("pids", number) / "pids.max", str(PROCESSES))

    def join(self, number: int, pid: int) -> None:
        """Have a process in them, and all that it has started meanwhile: what they start then is
        born there. One that has ended is nobody's concern."""
        directories = self._directories(number)
        joined, outside = set[int](), [pid]
        while outside:  # whoever was asked for after its parent had joined is in there already
            for one in outside:
                for directory in directories:
                    try:
                        self._files.write(directory / _PROCESSES, str(one))
                    except ProcessLookupError:
                        break
            joined.update(outside)
            outside = [one for one in below(pid) if one not in joined]

    def try_join(self, pid: int) -> None:
        """Have a process in a group of a context's kind, and back where it was."""
        homes = own_groups(
            Path(f"/proc/{pid}/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
        )
        self.add(0)
        try:
            for controller in self._tops:
                self._files.write(self._of(controller, 0) / _PROCESSES, str(pid))
        finally:
            for controller in self._tops:
                self._files.write(homes[controller].directory / _PROCESSES, str(pid))
            try:
                self.remove(0)
            except OSError:
                pass  # the kernel has not got over it yet: it goes with the others

    def limit(self, number: int, limits: Limits) -> None:
        """Whose context it is is known. What is used already may be more than a limit: the kernel
        refuses one of version 1 that it can't hold (EBUSY)."""
        if "cpu" in self._tops:
            self._weigh(self._tops["cpu"], self._of("cpu", number), limits)
        if "memory" not in self._tops:
            return
        top, directory = self._tops["memory"], self._of("memory", number)
        self._files.write(directory / MEMORY_LIMIT[top.version], str(limits.most))
        # A host's swap is not for us: what would have to go there is over the limit.
        if top.version == 1:
            self._files.write_if_there(directory / "memory.memsw.limit_in_bytes", str(limits.most))
        else:
            self._files.write_if_there(directory / "memory.swap.max", "0")
            self._files.write_if_there(directory / "memory.oom.group", "1")

    def throttle(self, number: int, limits: Limits | None) -> None:
        """Give it no more CPU time than its share, even if nobody else wants it; None: as much as
        there is."""
        if "cpu" not in self._tops:
            return
        directory = self._of("cpu", number)
        if self._tops["cpu"].version == 1:
            quota = -1 if limits is None else limits.quota
            self._files.write(directory / "cpu.cfs_period_us", str(PERIOD))
            self._files.write(directory / "cpu.cfs_quota_us", str(quota))
        else:
            most = "max" if limits is None else str(limits.quota)
            self._files.write(directory / "cpu.max", f"{most} {PERIOD}")

    def notify(self, number: int, eventfd: int, usage: int) -> None:
        """Have the kernel write to `eventfd` whenever the memory in use comes to `usage` bytes, in
        either direction; only where it `notifies`."""
        directory = self._of("memory", number)
        watched = os.open(directory / MEMORY_USAGE[1], os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._files.write(directory / "cgroup.event_control", f"{eventfd} {watched} {usage}")
        finally:
            os.close(watched)

    def usage(self, number: int) -> tuple[int, int]:
        """Bytes in use of all kinds, and of them anonymous memory."""
        used = self.used(number)
        field = _MEMORY[self._tops["memory"].version].anonymous
        return used, number_of(self._files.read(self._of("memory", number) / "memory.stat"), field)

    def used(self, number: int) -> int:
        """Bytes in use of all kinds: a tenth of the cost of telling them apart."""
        file = MEMORY_USAGE[self._tops["memory"].version]
        return int(self._files.read(self._of("memory", number) / file))

    def killed(self, number: int) -> int:
        """How many of its processes the kernel has killed for the hard limit."""
        if "memory" not in self._tops:
            return 0
        file = _MEMORY[self._tops["memory"].version].killed
        return number_of(self._files.read(self._of("memory", number) / file), b"oom_kill")

    def remove(self, number: int) -> None:
        """Nothing of the context's is left; EBUSY: there is, for a moment maybe."""
        for directory in self._directories(number):
            try:
                self._files.remove(directory)
            except FileNotFoundError:
                continue

    def remove_tops(self) -> bool:
        """And whatever groups of contexts are still in there; whether all are gone."""
        tops = dict.fromkeys(top.directory for top in self._tops.values())
        gone = [self._files.remove_tree(top) for top in tops]
        return all(gone)

    def give_up(self) -> None:
        """Do without all of them."""
        self.remove_tops()
        self._tops.clear()

    def _of(self, controller: str, number: int) -> Path:
        return self._tops[controller].directory / str(number)

    def _directories(self, number: int) -> list[Path]:
        """One for all controllers of version 2, one for each of version 1."""
        tops = dict.fromkeys(top.directory for top in self._tops.values())
        return [top / str(number) for top in tops]

    def _weigh(self, top: Group, directory: Path, limits: Limits) -> None:
        if top.version == 1:
            self._files.write(directory / "cpu.shares", str(limits.shares))
        else:
            self._files.write(directory / "cpu.weight", str(limits.weight))
