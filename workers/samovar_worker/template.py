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
from fcntl import F_GETFL, fcntl

from samovar_worker import compact, walls
from samovar_worker.holder import hold_namespace
from samovar_worker.pipes import MEMORY, OUTPUT, REPLY, REQUEST, TEMPLATE

# What steward and template say to each other. ASK: the context's number; four descriptors as a Fork
# has them come with it, and for a revival those of its user and mount namespaces. ANSWER: the
# context's number, the worker's pid (or minus an errno) and the holder's (or 0).
ASK = struct.Struct("<q")
ANSWER = struct.Struct("<qii")
_PIDS = struct.Struct("<ii")
_RIGHTS = socket.CMSG_SPACE(6 * 4)
_SOL_SOCKET, _SCM_RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)
_TMP = "/tmp"  # noqa: S108
_COPY = 1 << 20
_HOLDER = ["/bin/sleep", "infinity"]
_QUIETLY = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
    (os.POSIX_SPAWN_DUP2, 0, 1),
    (os.POSIX_SPAWN_DUP2, 0, 2),
]


class Template:
    """Made when the init is over. `serve` returns in each worker that is forked, and only there."""

    def __init__(self, walled: bool, spawns: bool, tmp_size: int) -> None:
        """`spawns`: a small program can be pid 1; `tmp_size`: MB of each context's /tmp."""
        self._walled = walled
        self._spawns = spawns
        self._tmp_size = tmp_size
        self._between = 0
        self._streams = _same_as(OUTPUT)
        self._files = _files_below(_TMP) if walled else []
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
        own: tuple[int, ...] = ()
        try:
            own = report, told = os.pipe2(os.O_CLOEXEC)
            pid = os.fork()
        except OSError as error:
            for fd in (*own, *fds):
                os.close(fd)
            self._socket.send(ANSWER.pack(context, -(error.errno or errno.EIO), 0))
            return False
        if pid == 0:
            try:
                self._socket.close()
                os.close(report)
                self._be_between(fds, told)
                self._be_born(told)
            except BaseException:
                os._exit(70)
            return True
        for fd in (told, *fds):
            os.close(fd)
        try:
            os.waitpid(pid, 0)
        except OSError:
            pass  # a handler of the function's was first
        data = os.read(report, _PIDS.size)
        os.close(report)
        worker, holder = _PIDS.unpack(data) if len(data) == _PIDS.size else (-errno.ECHILD, 0)
        self._socket.send(ANSWER.pack(context, worker, holder))
        return False

    def _be_between(self, fds: list[int], told: int) -> None:
        """M's life; returns in its child, the worker."""
        holder = 0
        try:
            self._take(fds[:4])
            if self._walled:
                if len(fds) > 4:
                    enter_again(*fds[4:])
                else:
                    enter_walls(self._tmp_size, self._files)
                holder = self._start_holder()
            self._between = os.getpid()
            pid = os.fork()
        except OSError as error:
            os.write(told, _PIDS.pack(-(error.errno or errno.EIO), 0))
            if holder:
                os.kill(holder, signal.SIGKILL)
            os._exit(1)
        if pid:
            os.write(told, _PIDS.pack(pid, holder))
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
        else:
            _wait_for_the_end_of(self._between)
            walls.die_with_parent()


def enter_walls(tmp_size: int, files: list[tuple[int, str]] | None = None) -> None:
    """Into new user, mount and pid namespaces, with a /tmp of `tmp_size` MB that has what the old
    one has. Raises OSError where any of it is refused."""
    uid, gid = os.getuid(), os.getgid()
    old = os.open(_TMP, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    walls.unshare(walls.CLONE_NEWUSER | walls.CLONE_NEWNS)
    walls.map_user(uid, uid, gid)
    flags = walls.MS_NOSUID | walls.MS_NODEV
    walls.mount("tmp", _TMP, "tmpfs", flags, f"size={tmp_size}m,mode=1777")
    _copy(old, _TMP)
    os.close(old)
    for fd, path in files or ():
        _open_again(fd, path)
    here = os.getcwd()
    if f"{here}/".startswith(f"{_TMP}/"):
        os.chdir(here)
    walls.unshare(walls.CLONE_NEWPID)


def enter_again(users: int, mounts: int) -> None:
    """Into the namespaces of a context whose process has ended, and a new pid namespace."""
    walls.setns(users, walls.CLONE_NEWUSER)
    walls.setns(mounts, walls.CLONE_NEWNS)
    os.close(users)
    os.close(mounts)
    walls.unshare(walls.CLONE_NEWPID)


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


def _files_below(directory: str) -> list[tuple[int, str]]:
    """Open regular files below `directory`, with their paths."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except OSError:
            continue  # the listing's own
        if regular and path.startswith(f"{directory}/"):
            found.append((fd, path))
    return found


def _open_again(fd: int, path: str) -> None:
    """The context's own copy in the place of the template's file; one without a name stays."""
    try:
        flags = fcntl(fd, F_GETFL) & (os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK)
        new = os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return
    os.lseek(new, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET)
    os.dup2(new, fd, os.get_inheritable(fd))
    os.close(new)


def copy_directory(source: str, target: str) -> None:
    """Copy what is in one directory to another, which is empty."""
    fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _copy(fd, target)
    os.close(fd)


def _copy(source: int, target: str) -> None:
    """All that is in the directory `source` (a descriptor) but for sockets, pipes and devices."""
    with os.scandir(source) as entries:
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            path = f"{target}/{entry.name}"
            if stat.S_ISLNK(info.st_mode):
                os.symlink(os.readlink(entry.name, dir_fd=source), path)
                continue
            if stat.S_ISDIR(info.st_mode):
                os.mkdir(path)
                fd = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=source)
                _copy(fd, path)
            elif stat.S_ISREG(info.st_mode):
                fd = os.open(entry.name, os.O_RDONLY, dir_fd=source)
                _copy_file(fd, path)
            else:
                continue
            os.close(fd)
            os.chmod(path, stat.S_IMODE(info.st_mode))
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def _copy_file(source: int, path: str) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while os.sendfile(target, source, None, _COPY):
        pass
    os.close(target)


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
