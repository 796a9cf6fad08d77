"""Which limits the kernel would hold for a group of processes, tried with a group of our own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samovar.doors.cli.doctor.facts import Fact, Verdict

# The file that holds the limit, and a value that limits nothing: versions 1 and 2.
_LIMITS = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "pids": ("pids.max", "pids.max"),
    "cpu": ("cpu.cfs_quota_us", "cpu.max"),
}
_MEANING = {"memory": "MemorySize", "pids": "a number of processes", "cpu": "a share of the CPUs"}
_ADVICE = (
    "run as root, or have control groups delegated (systemd: Delegate=yes; containers: a writable "
    "/sys/fs/cgroup)"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Our own control group for one controller. `version` is 1 or 2."""

    version: int
    directory: Path


def look() -> list[Fact]:
    """A fact for each controller. Samovar sets none of these limits yet: they say what could be."""
    try:
        groups = own_groups(
            Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
        )
    except OSError as error:
        return [_refused(name, f"/proc: {error.strerror}") for name in _LIMITS]
    return [_look(name, groups.get(name), try_limit) for name in _LIMITS]


def _look(name: str, group: Group | None, attempt: Callable[[str, Group], None]) -> Fact:
    if group is None:
        return _refused(name, "no control group has it")
    try:
        attempt(name, group)
    except OSError as error:
        reason = "not passed on to groups below" if error.errno == errno.ENOENT else error.strerror
        return _refused(name, f"version {group.version}, {group.directory}: {reason}")
    return Fact(f"limits: {name}", f"can be set (version {group.version}); not used yet")


def _refused(name: str, reason: str) -> Fact:
    finding = f"{_MEANING[name]} can't be enforced: {reason}"
    return Fact(f"limits: {name}", finding, Verdict.WARNING, _ADVICE)


def own_groups(groups: str, mounts: str) -> dict[str, Group]:
    """Our own group by controller, from the texts of /proc/self/cgroup and mountinfo."""
    places: dict[str, tuple[str, str]] = {}  # by controller, «» for version 2: mount point, root
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            places.setdefault("", (fields[4], fields[3]))
        elif kind[0] == "cgroup":
            for option in kind[2].split(","):
                places.setdefault(option, (fields[4], fields[3]))
    found: dict[str, Group] = {}
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller not in places or (controller and controller not in _LIMITS):
                continue
            directory = _within(*places[controller], path)
            if controller:
                found[controller] = Group(1, directory)
            else:  # version 2: all that version 1 has not taken
                for name in _LIMITS:
                    found.setdefault(name, Group(2, directory))
    return found


def _within(point: str, root: str, path: str) -> Path:
    """Where the group `path` is: a container may have only a part of the tree, mounted from
    `root` on."""
    inner = path.removeprefix(root) if root != "/" else path
    directory = Path(point) / inner.strip("/")
    return directory if directory.is_dir() else Path(point)


def try_limit(name: str, group: Group) -> None:
    """Make a group below ours, set a limit that it has anyway, and remove it. Raises OSError."""
    made = group.directory / f"samovar-doctor-{os.getpid()}"
    made.mkdir()
    try:
        limit = made / _LIMITS[name][group.version - 1]
        now = limit.read_text()
        limit.write_text(now)
    finally:
        made.rmdir()
