"""What is tried out before a zygote says that it is up: a context's walls, and a template's."""

from __future__ import annotations

import errno
import os
import platform
import select
import signal
from collections.abc import Callable
from functools import partial

import msgpack

from samovar_worker import boot, call_filter, template, walls
from samovar_worker.call_numbers import NUMBERS
from samovar_worker.confines import (
    CALLS,
    CAPABILITIES,
    IPC,
    NETWORK,
    PROCESSES,
    TEMPLATES,
    Confines,
)
from samovar_worker.wire import control

_REFUSED, _NOT_APART, _NOT_THERE = 1, 2, 3


def enter_own_pid_namespace(engine: int) -> None:
    """Go on as pid 1 of a pid namespace that belongs to the zygote's own user namespace.

    Stepping back from a context's pid namespace into one's own takes rights over one's own, which
    an unprivileged user has only over what was made in his user namespace. Nobody enters a pid
    namespace but by being born in it: the parent stays outside and waits. When the engine dies it
    kills the child, and when it is killed itself the child dies with it.
    """
    walls.unshare(walls.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        walls.die_with_parent()
        walls.mount_proc()
        return
    os.closerange(3, engine)
    os.closerange(engine + 1, 64)
    poll = select.poll()
    poll.register(engine, select.POLLIN)
    poll.register(os.pidfd_open(pid), select.POLLIN)
    poll.poll()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os._exit(0)


def try_walls(launch: control.Launch, filtered: bool) -> tuple[Confines, dict[str, str]]:
    """Fork a context's walls once and take them down again; raises OSError where they fail.

    Returns what contexts get of the walls that they can do without, and for those that are
    refused, templates among them, the reason.
    """
    pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    read_end, write_end = os.pipe()
    try:
        walls.unshare(walls.CLONE_NEWNS)
        walls.mount("tmp", "/tmp", "tmpfs", 0, "size=1m")  # noqa: S108
        walls.unshare(walls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write_end, msgpack.packb(_try_in_child(launch, filtered)))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    finally:
        walls.setns(pids, walls.CLONE_NEWPID)
        walls.setns(mounts, walls.CLONE_NEWNS)
        os.close(write_end)
        told = os.read(read_end, 65536)
        for fd in (read_end, pids, mounts):
            os.close(fd)
    if not told:
        raise OSError(errno.EIO, "the process that tried the walls has died")
    problem, confines, missing = msgpack.unpackb(told)
    if problem:
        raise OSError(errno.EPERM, problem)
    return Confines(*confines), missing


def _try_in_child(launch: control.Launch, filtered: bool) -> tuple[str, Confines, dict[str, str]]:
    """Why there can be no walls («» if there can), and what `try_walls` returns."""
    missing: dict[str, str] = {}
    confines = Confines(filtered=filtered)
    try:
        try:
            walls.unshare(walls.CLONE_NEWIPC)
            confines = confines._replace(namespaces=walls.CLONE_NEWIPC)
        except OSError as error:
            missing[IPC] = str(error)
        walls.mount_proc()
        try:
            offline = confines.go_offline()
        except OSError as error:
            missing[NETWORK] = str(error)
        else:
            confines = offline if launch.offline else confines
        uids = range(launch.first_uid, launch.last_uid + 1)
        _try_uids(uids)
        # In the upper half there is rarely a context, and in another engine's trial another one.
        uid = uids[-1] - launch.engine_pid % (len(uids) // 2 + 1)
        boot.drop_rights(uid, walled=True)
        walls.set_dumpable()
    except OSError as error:
        return str(error), confines, missing
    left = _capabilities_left()
    if left:
        missing[CAPABILITIES] = f"a context had some left: {left}"
    confines = confines._replace(limited=_in_a_fork(_counts_apart) == 0)
    if not confines.limited:
        missing[PROCESSES] = (
            f"a limit did not hold: others are uid {uid}, too"
            if uid
            else "a limit did not hold: the kernel is older than 5.14, or the engine's user is "
            "root outside of a user namespace"
        )
    try:
        confines = confines._replace(counted=_try_nesting(confines))
        if confines.limited and not confines.counted:
            missing[PROCESSES] = "it does not hold for contexts of templates: Linux is before 5.14"
    except OSError as error:
        missing[TEMPLATES] = str(error)
    return "", confines, missing


def _try_uids(uids: range) -> None:
    """Raises OSError where one of them is nobody in this user namespace."""
    for uid in (uids[0], uids[-1]):
        if uid and _in_a_fork(partial(_be, uid)):
            raise OSError(errno.EINVAL, f"nobody can become uid {uid} here")


def _be(uid: int) -> int:
    walls.become(uid)
    return 0


def _capabilities_left() -> str:
    """The sets of this process that are not empty, as the kernel shows them."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        sets = [line.split() for line in file if line.startswith("Cap")]
    return ", ".join(f"{name} {bits}" for name, bits in sets if int(bits, 16))


def try_filter() -> dict[str, str]:
    """Put the filters on this process and, in forks of it, those of workers, and call what they
    refuse. Returns why there are none, under the wall's name."""
    machine = platform.machine()
    if machine not in NUMBERS:
        return {CALLS: f"no numbers of system calls are known for {machine}"}
    try:
        walls.no_new_privileges()
        walls.Filter(call_filter.base(machine)).put_on()
    except OSError as error:
        return {CALLS: str(error)}
    for forks_contexts in (False, True):
        status = _in_a_fork(partial(_refuses, forks_contexts))
        if status:
            return {CALLS: "it can't be put on" if status == _REFUSED else "it refuses nothing"}
    return {}


def _refuses(forks_contexts: bool) -> int:
    """0 if a call is refused as the filter would, and not as the kernel does without it."""
    Confines(filtered=True).refuse_calls(forks_contexts)
    try:
        walls.setns(-1, walls.CLONE_NEWNET)
    except OSError as error:
        return 0 if error.errno == errno.EPERM else _NOT_THERE
    return _NOT_THERE


def _counts_apart() -> int:
    """In the second process of a user namespace: 0 if a limit of three lets there be a third but no
    fourth, however many others this user has."""
    walls.limit_processes(3)
    children: list[int] = []
    try:
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    except BlockingIOError:
        pass
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return 0 if len(children) == 1 else _NOT_APART


def _in_a_fork(what: Callable[[], int]) -> int:
    """What it returns, or _REFUSED if it raises."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = _REFUSED
    try:
        status = what()
    finally:
        os._exit(status)


def _try_nesting(confines: Confines) -> bool:
    """What a template does for each context, in a process without any rights left. Returns whether
    processes in there are counted apart; raises OSError where it is refused."""
    confines.refuse_calls(forks_contexts=True)
    template.enter_walls(1, confines.namespaces)
    status = _in_a_fork(partial(_be_nested, confines))
    if status not in (0, _NOT_APART):
        raise OSError(errno.EPERM, "mount of /proc in a user namespace of its own: refused")
    return status == 0


def _be_nested(confines: Confines) -> int:
    walls.mount_proc()
    walls.drop_capabilities()
    confines.refuse_calls()
    return _counts_apart()
