"""Which limits the kernel would hold for a group of processes, tried with a group of our own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from samovar.context.control_groups import Group, own_groups
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
