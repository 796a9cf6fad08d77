"""A template: a worker whose init is done, and that forks contexts instead of serving.

For each it forks a process in between (M in the comments), which makes the walls, forks the worker
and ends, so that the worker becomes the steward's child. A template has no rights any more; what M
needs for the walls it has in a user namespace of its own, and the worker drops it again. All of
this is `os.fork`: what libraries have to do at a fork (OpenBLAS, gRPC, `random`) is done.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import stat
import struct
from array import array

from samovar_worker import compact, tmp_copy, walls
from samovar_worker.between import PIDS, Between
from samovar_worker.confines import MOST_PROCESSES, Confines
from samovar_worker.holder import hold_namespace
from samovar_worker.pipes import MEMORY, OUTPUT, REPLY, REQUEST, TEMPLATE

# What steward and template say to each other. ASK: the context's number; four descriptors as a Fork
# has them come with it, and for a revival those of its user and mount namespaces. ANSWER: the
# context's number, the worker's pid (or minus an errno) and the holder's (or 0).
ASK = struct.Struct("<q")
ANSWER = struct.Struct("<qii")
_RIGHTS = socket.CMSG_SPACE(6 * 4)
_SOL_SOCKET, _SCM_RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)
_FRESH = 4  # descriptors of a context that has no namespaces yet
_TMP = "/tmp"  # noqa: S108
_HOLDER = ["/bin/sleep", "infinity"]
_QUIETLY = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
    (os.POSIX_SPAWN_DUP2, 0, 1),
    (os.POSIX_SPAWN_DUP2, 0, 2),
]


class Template:
    """Made when the init is over. `serve` returns in each worker that is forked, and only there."""

    def __init__(self, walled: bool, spawns: bool, tmp_size: int, confines: Confines) -> None:
        """`spawns`: a small program can be pid 1; `tmp_size`: MB of each context's /tmp."""
        self._walled = walled
        self._spawns = spawns
        self._tmp_size = tmp_size
        self._confines = confines
        self._between = 0
        self._waiting: Between | None = None
        self._streams = _same_as(OUTPUT)
        self._files = tmp_copy.files_below(_TMP) if walled else []
        self._socket = socket.socket(fileno=TEMPLATE)
        gc.collect()
        compact.fill_holes()
        gc.freeze()  # contexts share what is frozen: a collection of theirs would write to it

    def serve(self) -> None:
        """Fork whenever the steward asks; ends the process when it asks no more."""
        while True:
            try:
                asked = self._hear()
            except OSError as error:
                if error.errno == errno.EBADF:  # the function has closed it
                    os._exit(1)
                continue
            except Exception:  # noqa: S112  # a signal handler that the function left behind raised
                continue
            if asked is None:
                os._exit(0)
            if self._fork(*asked):
                return

    def _hear(self) -> tuple[int, list[int]] | None:
        data, ancillary, _, _ = self._socket.recvmsg(ASK.size, _RIGHTS)
        if not data:
            return None
        fds = array("i")
        for level, kind, rights in ancillary:
            if (level, kind) == (_SOL_SOCKET, _SCM_RIGHTS):
                fds.frombytes(rights)
        return ASK.unpack(data)[0], list(fds)

    def _fork(self, context: int, fds: list[int]) -> bool:
        """True in the worker."""
        worker, holder = -errno.EIO, 0
        try:
            between, again = self._waiting, len(fds) > _FRESH
            if not again:
                self._waiting = None
            if between is None or again or not between.hand_over(fds):
                between = self._fork_between(fds)
                if between is None:
                    return True
        except OSError as error:
            worker = -(error.errno or errno.EIO)
            between = None
        for fd in fds:
            os.close(fd)
        if between is not None:
            # While it works, on another processor.
            if self._waiting is None and self._prepare(between):
                return True
            worker, holder = between.end()
        self._socket.send(ANSWER.pack(context, worker, holder))
        return False

    def _prepare(self, busy: Between) -> bool:
        """Have the next one wait; True in its worker."""
        try:
            self._waiting = self._fork_between(None, busy)
        except OSError:
            return False  # who is asked for next is forked then
        return self._waiting is None

    def _fork_between(self, fds: list[int] | None, busy: Between | None = None) -> Between | None:
        """M, for these descriptors or for those that it is still to be handed; None in the worker.
        Raises OSError."""
        report, told = os.pipe2(os.O_CLOEXEC)
        ours = theirs = None
        try:
            if fds is None:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
        except OSError:
            _close(report, told, ours, theirs)
            raise
        if pid:
            _close(told, theirs)
            return Between(pid, report, ours)
        try:
            _close(report, ours, self._socket)
            for other in (self._waiting, busy):
                if other is not None:
                    _close(other.report, other.socket)
            self._waiting = None
            self._be_between(fds, theirs, told)
            self._be_born(told)
        except BaseException:
            os._exit(70)
        return None

    def _be_between(self, fds: list[int] | None, orders: socket.socket | None, told: int) -> None:
        """M's life; returns in its child, the worker."""
        holder = 0
        try:
            old = -1
            if self._walled:
                if self._confines.limited:
                    walls.lift_own_limit()
                if fds is not None and len(fds) > _FRESH:
                    users, mounts = fds[_FRESH:]
                    enter_again(users, mounts, self._confines.namespaces)
                else:
                    old = enter_walls(self._tmp_size, self._confines.namespaces)
                holder = self._start_holder()
            if fds is None:
                assert orders is not None
                _, fds, _, _ = socket.recv_fds(orders, 1, _FRESH)
                orders.close()
                if len(fds) != _FRESH:  # nobody needs it any more
                    raise OSError(errno.ECANCELED, "no descriptors")
            self._take(fds[:_FRESH])
            if old >= 0:
                _fill_tmp(old, self._files)
            self._between = os.getpid()
            pid = os.fork()
        except OSError as error:
            if holder:
                os.kill(holder, signal.SIGKILL)
            os.write(told, PIDS.pack(-(error.errno or errno.EIO), 0))
            os._exit(1)
        if pid:
            os.write(told, PIDS.pack(pid, holder))
            os._exit(0)

    def _take(self, fds: list[int]) -> None:
        """The context's wires in the place of the template's."""
        request, reply, output, memory = fds
        os.dup2(request, REQUEST, False)
        os.dup2(reply, REPLY, False)
        os.dup2(memory, MEMORY, False)
        for fd in self._streams:
            os.dup2(output, fd, fd < 3)
        for fd in fds:
            os.close(fd)

    def _start_holder(self) -> int:
        """pid 1 of the context; it ends with the namespace around it, so that it need not watch."""
        if self._spawns:
            # What is ignored stays ignored past an exec; M has no children that it would miss.
            former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            try:
                return os.posix_spawn(_HOLDER[0], _HOLDER, {}, file_actions=_QUIETLY)
            finally:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL if former is None else former)
        pid = os.fork()
        if pid == 0:
            hold_namespace()
        return pid

    def _be_born(self, told: int) -> None:
        """In the worker: what is left of the walls."""
        os.close(told)
        os.setsid()
        if self._walled:
            walls.mount_proc()
            walls.drop_capabilities()
            if self._confines.counted:
                walls.limit_processes(MOST_PROCESSES)
            self._confines.refuse_calls()
        else:
            _wait_for_the_end_of(self._between)
            walls.die_with_parent()
            walls.become_subreaper()


def _close(*ends: int | socket.socket | None) -> None:
    for end in ends:
        if isinstance(end, int):
            os.close(end)
        elif end is not None:
            end.close()


def enter_walls(tmp_size: int, more: int) -> int:
    """Into new user, mount and pid namespaces, and `more`, with a /tmp of `tmp_size` MB; a
    descriptor of the old one. Raises OSError where any of it is refused."""
    uid, gid = os.getuid(), os.getgid()
    old = os.open(_TMP, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    walls.unshare(walls.CLONE_NEWUSER | walls.CLONE_NEWNS | more)
    walls.map_user(uid, uid, gid)
    _raise_loopback(more)
    flags = walls.MS_NOSUID | walls.MS_NODEV
    walls.mount("tmp", _TMP, "tmpfs", flags, f"size={tmp_size}m,mode=1777")
    walls.unshare(walls.CLONE_NEWPID)
    return old


def _fill_tmp(old: int, files: list[tuple[int, str]]) -> None:
    tmp_copy.copy(old, _TMP)
    os.close(old)
    for fd, path in files:
        tmp_copy.open_again(fd, path)
    here = os.getcwd()
    if f"{here}/".startswith(f"{_TMP}/"):
        os.chdir(here)


def enter_again(users: int, mounts: int, more: int) -> None:
    """Into the namespaces of a context whose process has ended, a new pid namespace, and `more`."""
    walls.setns(users, walls.CLONE_NEWUSER)
    walls.setns(mounts, walls.CLONE_NEWNS)
    os.close(users)
    os.close(mounts)
    walls.unshare(walls.CLONE_NEWPID | more)
    _raise_loopback(more)


def _raise_loopback(namespaces: int) -> None:
    # pid 1 is born after this, in the same network: unlike a zygote's it need not be hidden.
    if namespaces & walls.CLONE_NEWNET:
        walls.raise_loopback()


def _same_as(wanted: int) -> list[int]:
    """The descriptors of the same open pipe as `wanted`, which is among them."""
    found = [wanted]
    try:
        inode = os.fstat(wanted).st_ino
    except OSError:
        return found  # the function closed it
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            status = os.fstat(fd)
        except OSError:
            continue  # the listing's own
        if fd != wanted and stat.S_ISFIFO(status.st_mode) and status.st_ino == inode:
            found.append(fd)
    return found


def _wait_for_the_end_of(parent: int) -> None:
    """So that the next parent is the one that PDEATHSIG is about."""
    try:
        pidfd = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    if os.getppid() == parent:
        poll.poll()
    os.close(pidfd)
