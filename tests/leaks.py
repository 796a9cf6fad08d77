"""What a test leaves behind, by name: processes, descriptors, threads, mounts, cgroups, files.

`Traces.now()` is taken before and after; `left_behind` says what came and did not go. What ends by
itself a moment later (a killed process, a closing socket, a thread on its way out) is awaited with
a deadline. What others make at the same time (another checkout's tests, an engine that somebody
runs) is theirs: it lies below another run's directory, or a process outside of this run uses it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import stat
import tempfile
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil
from tests import prepared

CGROUP_ROOT = Path("/sys/fs/cgroup")
# Places where things are kept past the end of a process; looked at for our own names only, because
# other programs use them too. The session's own TMPDIR is looked at for everything.
SHARED_PLACES = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"))
OUR_NAME = "samovar"
_OF_PYTEST = "pytest-of-"  # the directory with every tmp_path of every session is named so

_PR_SET_CHILD_SUBREAPER = 36
_STEP = 0.02  # seconds between two looks while something is still on its way out


@dataclass(frozen=True, slots=True)
class Traces:
    """What exists now; each value's key is what tells it from a namesake, the value its name."""

    processes: dict[tuple[int, float], str]
    descriptors: dict[tuple[int, str], str]
    threads: dict[int, str]
    mounts: dict[str, str]
    cgroups: dict[str, str]
    files: dict[str, str]

    @classmethod
    def now(cls) -> Traces:
        return cls(processes(), descriptors(), threads(), mounts(), cgroups(), files())

    def left_behind(self, before: Traces) -> list[str]:
        """A line for each thing that was not there `before`."""
        kinds = ("processes", "descriptors", "threads", "mounts", "cgroups", "files")
        left = [
            (kind, key, name)
            for kind in kinds
            for key, name in getattr(self, kind).items()
            if key not in getattr(before, kind)
        ]
        strangers: set[int] | None = None
        found = []
        for kind, key, name in left:
            if kind in ("cgroups", "files"):
                if strangers is None:
                    strangers = _strangers()
                if any(_uses(pid, key) for pid in strangers):
                    continue
            found.append(name)
        return found


def of_this_run() -> set[int]:
    """The processes of this test run: with pytest-xdist its other halves, too."""
    first = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return {first, *_below(first)}


def _strangers() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()} - of_this_run()


def _uses(pid: int, path: str) -> bool:
    """Whether a process has `path`, or something below it, open or among its arguments, works in
    there, or has given it its own number as a name."""
    if path.endswith(f"-{pid}"):
        return True
    process = f"/proc/{pid}"
    try:
        arguments = Path(process, "cmdline").read_bytes().decode(errors="replace").split("\0")
        links = [
            f"{process}/cwd",
            *(f"{process}/fd/{name}" for name in os.listdir(f"{process}/fd")),
        ]
        used = [*arguments, *map(_target, links)]
    except OSError:
        return False  # it has just ended
    return any(item == path or item.startswith(f"{path}/") for item in used)


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def adopt_orphans() -> None:
    """Make this process the parent of orphans below it: no child gets away by losing its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def processes() -> dict[tuple[int, float], str]:
    """All processes below this one. Dead adopted ones are reaped on the way, as init would do."""
    found = {}
    for pid in _below(os.getpid()):
        try:
            process = psutil.Process(pid)
            status = process.status()
            command = " ".join(process.cmdline()) or process.name()
            if f"-m {prepared.__name__}" in command:
                command = prepared.commands.get(pid, command)
            created = process.create_time()
        except psutil.ZombieProcess:  # before its base class
            status, command, created = psutil.STATUS_ZOMBIE, "", process.create_time()
        except psutil.NoSuchProcess:
            continue
        if status == psutil.STATUS_ZOMBIE and _reap(process.pid):
            continue
        found[process.pid, created] = f"process {process.pid} ({status}): {command[:200]}"
    return found


def _below(pid: int) -> list[int]:
    """All descendants. Asked of the kernel for each, because a look at all the processes of the
    machine, twice a test, would take a minute of the suite."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except OSError:
        return found  # it has just ended: what it had is somebody else's, maybe ours, by now
    return [*found, *(other for child in found for other in _below(child))]


def _reap(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False  # somebody else's zombie: it has a parent who does not reap it
    return True


def descriptors() -> dict[tuple[int, str], str]:
    """This process's open files by number and target."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            kind = os.fstat(int(name)).st_mode
        except OSError:
            continue  # the descriptor of the listing itself
        if stat.S_ISCHR(kind) and target == "/dev/null":
            continue  # harmless, and kept by libraries that silence something once
        found[int(name), target] = f"descriptor {name}: {target}"
    return found


def threads() -> dict[int, str]:
    """Python's threads. Native ones are left alone: libuv keeps a pool for the whole process."""
    return {
        thread.ident or 0: f"thread {thread.name!r}"
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    }


def mounts() -> dict[str, str]:
    """This mount namespace's mounts by id, but for those in directories of other test processes."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return dict(_mounts(file.read(), Path(tempfile.gettempdir()).parent))


@lru_cache(maxsize=2)  # asked for twice a test, and hardly ever another
def _mounts(mountinfo: str, own: Path) -> dict[str, str]:
    found = {}
    for line in mountinfo.splitlines():
        number, _, _, _, point = line.split()[:5]
        if own in Path(point).parents or not _is_of_pytest(point):
            found[number] = f"mount at {point}"
    return found


def _is_of_pytest(point: str) -> bool:
    return any(part.startswith(_OF_PYTEST) for part in Path(point).parts)


def cgroups(root: Path = CGROUP_ROOT) -> dict[str, str]:
    """Control groups of ours, in every hierarchy: but for an engine's that is not below this
    process, or was killed. What that leaves, the next engine that starts removes."""
    found = {
        directory: f"cgroup {directory}"
        for directory in _directories(str(root))
        if OUR_NAME in os.path.basename(directory)
    }
    if not found:
        return found
    ours = {str(pid) for pid in (os.getpid(), *_below(os.getpid()))}
    return {directory: name for directory, name in found.items() if _owner(directory) in ours}


def _owner(group: str) -> str:
    """The pid of the engine that a group is named after; this process's if it is after none."""
    last = group.rpartition("-")[2]
    return last if last.isdecimal() else str(os.getpid())


def _directories(top: str) -> list[str]:
    """`top` and all directories below it. One with two links, its name and its own dot, has none
    in it: most groups need not be listed, nor the dozens of files in each."""
    found = [top]
    try:
        if os.lstat(top).st_nlink == 2:
            return found
        with os.scandir(top) as entries:
            below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return found  # it has just gone
    return [*found, *(one for directory in below for one in _directories(directory))]


def files() -> dict[str, str]:
    """Whatever stands in the session's TMPDIR, and things of our name in the shared places."""
    found = {path: f"file {path}" for path in _entries(tempfile.gettempdir(), "")}
    for place in SHARED_PLACES:
        found.update((path, f"file {path}") for path in _entries(str(place), OUR_NAME))
    return found


def _entries(directory: str, part: str) -> list[str]:
    """What has `part` in its name there."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return [
        f"{directory}/{name}" for name in names if part in name and not name.startswith(_OF_PYTEST)
    ]


def settle(before: Traces, deadline: float) -> list[str]:
    """What is left behind after at most `deadline` seconds; at once empty where nothing is."""
    left = Traces.now().left_behind(before)
    if not left:
        return left
    gc.collect()  # boto3's clients and their sockets end in cycles
    pause = threading.Event()
    for _ in range(max(1, int(deadline / _STEP))):
        left = Traces.now().left_behind(before)
        if not left:
            break
        pause.wait(_STEP)
    return left


def end_processes(before: Traces) -> None:
    """Kill what a test left running, so that the tests after it start from clean ground."""
    for pid, created in processes().keys() - before.processes.keys():
        try:
            process = psutil.Process(pid)
            if process.create_time() == created:
                process.kill()
        except psutil.Error:
            continue
