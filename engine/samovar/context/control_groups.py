"""Which control groups this process is in, by the kernel's own texts. Pure, but for a look whether
a directory is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("memory", "pids", "cpu")
# The files of a memory controller, by version: bytes that may be in use, and that are.
MEMORY_LIMIT = {1: "memory.limit_in_bytes", 2: "memory.max"}
MEMORY_USAGE = {1: "memory.usage_in_bytes", 2: "memory.current"}


@dataclass(frozen=True, slots=True)
class Group:
    """Our own control group for one controller, and where its hierarchy is mounted, as far as it
    can be seen from here. `version` is 1 or 2."""

    version: int
    directory: Path
    top: Path

    def upwards(self) -> list[Path]:
        """The group and all groups above it, up to the mount: each of them may hold a limit."""
        above = [self.directory, *self.directory.parents]
        return above[: above.index(self.top) + 1] if self.top in above else [self.directory]


def number_of(text: bytes, field: bytes) -> int:
    """What a flat file like memory.stat has beside `field`; 0 where it has no such line."""
    name = field + b" "
    at = 0 if text.startswith(name) else text.find(b"\n" + name) + 1
    if at == 0 and not text.startswith(name):
        return 0
    start = at + len(name)
    return int(text[start : text.index(b"\n", start)])


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
            if controller not in places or (controller and controller not in CONTROLLERS):
                continue
            point, root = places[controller]
            directory = _within(point, root, path)
            if controller:
                found[controller] = Group(1, directory, Path(point))
            else:  # version 2: all that version 1 has not taken
                for name in CONTROLLERS:
                    found.setdefault(name, Group(2, directory, Path(point)))
    return found


def _within(point: str, root: str, path: str) -> Path:
    """Where the group `path` is: a container may have only a part of the tree, mounted from
    `root` on."""
    inner = path.removeprefix(root) if root != "/" else path
    directory = Path(point) / inner.strip("/")
    return directory if directory.is_dir() else Path(point)
