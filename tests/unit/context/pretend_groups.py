"""Version 2 of control groups in directories: the kernels that we test on have not its controllers.

Rules as in the kernel's «Control Group v2»: a group has a controller's files if the one above
passes it on; a group with processes passes on none; a process is in one group.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from samovar.context.group_files import GroupFiles

CONTROLLERS = ("cpu", "memory", "pids")
_FILES = {
    "cpu": {"cpu.weight": "100\n", "cpu.max": "max 100000\n"},
    "memory": {
        "memory.max": "max\n",
        "memory.swap.max": "max\n",
        "memory.oom.group": "0\n",
        "memory.current": "0\n",
        "memory.stat": "anon 0\nfile 0\n",
        "memory.events": "oom 0\noom_kill 0\n",
    },
    "pids": {"pids.max": "max\n"},
}


class PretendGroups(GroupFiles):
    """Below `top`, which has `controllers` to pass on."""

    def __init__(self, top: Path, controllers: tuple[str, ...] = CONTROLLERS) -> None:
        self._top = top
        top.mkdir()
        self._fill(top, controllers)

    def make(self, group: Path) -> None:
        if not group.exists():
            self.make(group.parent)
            super().make(group)
            self._fill(group, self._passed_on(group.parent))

    def remove(self, group: Path) -> None:
        if self._inside(group) or any(path.is_dir() for path in group.iterdir()):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        for file in group.iterdir():
            file.unlink()
        group.rmdir()

    def write(self, file: Path, text: str) -> None:
        if file.name == "cgroup.subtree_control":
            self._pass_on(file.parent, text)
        elif file.name == "cgroup.procs":
            self._move(file.parent, text)
        else:
            super().write(file, "")
            file.write_text(text + "\n")

    def _fill(self, group: Path, controllers: tuple[str, ...]) -> None:
        (group / "cgroup.procs").write_text("")
        (group / "cgroup.controllers").write_text(" ".join(controllers))
        (group / "cgroup.subtree_control").write_text("")
        for controller in controllers:
            self._add(group, controller)

    @staticmethod
    def _add(group: Path, controller: str) -> None:
        for name, text in _FILES[controller].items():
            (group / name).write_text(text)

    @staticmethod
    def _passed_on(group: Path) -> tuple[str, ...]:
        return tuple((group / "cgroup.subtree_control").read_text().split())

    @staticmethod
    def _inside(group: Path) -> list[str]:
        return (group / "cgroup.procs").read_text().split()

    def _pass_on(self, group: Path, change: str) -> None:
        passed, name = list(self._passed_on(group)), change[1:]
        if change[0] == "-":
            passed = [one for one in passed if one != name]
        elif name not in (group / "cgroup.controllers").read_text().split():
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        elif self._inside(group):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        elif name not in passed:
            passed.append(name)
            for below in (path for path in group.iterdir() if path.is_dir()):
                held = (below / "cgroup.controllers").read_text().split()
                (below / "cgroup.controllers").write_text(" ".join([*held, name]))
                self._add(below, name)
        (group / "cgroup.subtree_control").write_text(" ".join(passed))

    def _move(self, group: Path, pid: str) -> None:
        if self._passed_on(group):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        for other in [self._top, *(path for path in self._top.rglob("*") if path.is_dir())]:
            (other / "cgroup.procs").write_text(
                "".join(f"{one}\n" for one in self._inside(other) if one != pid)
            )
        with (group / "cgroup.procs").open("a") as file:
            file.write(f"{pid}\n")
