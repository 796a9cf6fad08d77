"""Whether this host lets the engine have control groups, and where: tried, not guessed.

Version 1 has a hierarchy for each controller, in which a group may hold processes and groups at
the same time. In version 2 a group that passes controllers on may hold none itself, so that the
engine first moves into a group of its own; it does so only if it is alone in the one that it was
started in, as in a unit with Delegate=yes: other programs are not ours to move.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from samovar.context.control_groups import CONTROLLERS, Group, own_groups
from samovar.context.group_files import GroupFiles
from samovar.context.group_tree import GroupTree
from samovar.settings import ControlGroups

_ENGINE = "samovar-engine"
_PREFIX = "samovar-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# The kernel may have a process in its group for a moment after its parent was told of its end.
_STEP, _LOOKS = 0.01, 100
_ADVICE = "run as root, or have control groups delegated (systemd: Delegate=yes)"


# The file that holds a controller's limit, in versions 1 and 2.
_LIMIT_FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "pids": ("pids.max", "pids.max"),
    "cpu": ("cpu.shares", "cpu.weight"),
}


@dataclass(slots=True)
class Delegation:
    """The groups that can be had, and why others can't, by controller."""

    tree: GroupTree
    files: GroupFiles
    missing: dict[str, str] = field(default_factory=dict)
    # Version 2: where we were, and the group that this process has moved into.
    moved: tuple[Path, Path] | None = None
    # Of our groups: whoever can lock one knows that its engine is gone.
    locks: dict[Path, int] = field(default_factory=dict)

    def close(self) -> None:
        """Remove all groups, and go back to where we were; idempotent. Blocking; what is not
        removed (somebody is in it) the next start removes."""
        for _ in range(_LOOKS):
            if self.tree.remove_tops():
                break
            time.sleep(_STEP)
        for lock in self.locks.values():
            os.close(lock)
        self.locks.clear()
        if self.moved is not None:
            home, own = self.moved
            try:
                for controller in CONTROLLERS:
                    self.files.write(home / "cgroup.subtree_control", f"-{controller}")
                self.files.write(home / "cgroup.procs", str(os.getpid()))
                self.files.remove(own)
            except OSError:
                pass  # somebody else has groups there, too
            self.moved = None


def ask(wanted: ControlGroups, name: str) -> Delegation:
    """Have groups called `name` (see `tops_name`) below our own. Blocking."""
    files = GroupFiles()
    if wanted is ControlGroups.OFF:
        missing = dict.fromkeys(CONTROLLERS, "the setting cgroups is off")
        return Delegation(GroupTree({}, files), files, missing)
    try:
        texts = [Path(f"/proc/self/{file}").read_text() for file in ("cgroup", "mountinfo")]
    except OSError as error:
        missing = dict.fromkeys(CONTROLLERS, f"/proc: {error.strerror}")
        return Delegation(GroupTree({}, files), files, missing)
    return ask_for(own_groups(texts[0], texts[1]), wanted, name, files)


def ask_for(
    groups: Mapping[str, Group], wanted: ControlGroups, name: str, files: GroupFiles
) -> Delegation:
    """As `ask`, where our own groups are known by controller."""
    delegation = Delegation(GroupTree({}, files), files)
    had: dict[str, Group] = {}
    for controller in CONTROLLERS:
        own = groups.get(controller)
        if own is None:
            delegation.missing[controller] = "no control group has it"
        elif wanted not in (ControlGroups.AUTO, f"v{own.version}"):
            reason = f"it is of version {own.version}, and the setting cgroups is {wanted.value}"
            delegation.missing[controller] = reason
        else:
            top = Group(own.version, own.directory / name, own.top)
            try:
                _have(controller, own, top, delegation)
            except OSError as error:
                if all(top.directory != other.directory for other in had.values()):
                    files.remove_tree(top.directory)
                reason = f"{own.directory}: {error.strerror}; {_ADVICE}"
                delegation.missing[controller] = reason
            else:
                had[controller] = top
    delegation.tree = GroupTree(had, files)
    return delegation


def tops_name(marker: str) -> str:
    """The name of this engine's groups: an engine finds those of dead ones by their pids."""
    return f"{marker}-{os.getpid()}"


def _have(controller: str, own: Group, top: Group, delegation: Delegation) -> None:
    """Have groups below `top` that this controller limits, and try one. Raises OSError."""
    files = delegation.files
    _remove_those_of_the_dead(own.directory, files)
    if own.version != 1:
        _pass_on(own.directory, controller, delegation)
    GroupTree({controller: top}, files).make_tops()
    if top.directory not in delegation.locks:
        delegation.locks[top.directory] = lock = os.open(top.directory, _DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    made = top.directory / "try"
    files.make(made)
    try:
        limit = made / _LIMIT_FILES[controller][top.version - 1]
        files.write(limit, files.read(limit).decode().strip())
    finally:
        files.remove(made)


def _remove_those_of_the_dead(directory: Path, files: GroupFiles) -> None:
    """Groups of engines that were killed: in them there is nobody any more. One whose pid we don't
    know may live in another pid namespace: it has a lock then."""
    for path in directory.glob(f"{_PREFIX}*"):
        pid = path.name.rpartition("-")[2]
        if not pid.isdecimal() or psutil.pid_exists(int(pid)):
            continue
        try:
            lock = os.open(path, _DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            files.remove_tree(path)
        except OSError:
            continue
        finally:
            os.close(lock)


def _pass_on(own: Path, controller: str, delegation: Delegation) -> None:
    """Have groups below `own` limited by `controller` (version 2). Raises OSError."""
    files, change = delegation.files, f"+{controller}"
    if controller not in files.read(own / "cgroup.controllers").decode().split():
        raise OSError(errno.ENOENT, "the controller is not passed on to this group")
    try:
        files.write(own / "cgroup.subtree_control", change)
    except OSError as error:
        if error.errno != errno.EBUSY or delegation.moved is not None:
            raise
        inside = map(int, files.read(own / "cgroup.procs").decode().split())
        others = sorted(set(inside) - {os.getpid()})
        if others:
            reason = f"other processes are in this group, {others[0]} for one"
            raise OSError(errno.EBUSY, reason) from error
        leaf = own / f"{_ENGINE}-{os.getpid()}"
        files.make(leaf)
        files.write(leaf / "cgroup.procs", str(os.getpid()))
        delegation.moved = (own, leaf)
        files.write(own / "cgroup.subtree_control", change)
