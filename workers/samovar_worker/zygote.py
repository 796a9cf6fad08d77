"""The zygote: one thread that forks on request, reaps and reports. The only module that forks.

Contexts forked here come in pairs where there are namespaces: pid 1 of
the context's pid namespace, which does nothing but hold the namespace and reap orphans, and the
worker. Both are children of the zygote, so that it gets the worker's real exit status; when the
worker ends, pid 1 is killed and the kernel ends everything else in there.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from samovar_worker import boot, walls
from samovar_worker.wire import control

# pid 1 of a context: a small program that waits for its input to end and lets the kernel reap. Not
# a fork of the zygote where it can be helped: an idle Python process un-shares half a megabyte by
# merely having been forked.
_HOLDER = ["/usr/bin/env", "--ignore-signal=CHLD", "cat"]
_MAX_REQUEST = 256  # bytes of a Fork or a Discard
_DESCRIPTOR = struct.Struct("i")
_DESCRIPTORS = struct.Struct("4i")  # those of a Fork
_DESCRIPTORS_SPACE = socket.CMSG_SPACE(_DESCRIPTORS.size)
_SOL_SOCKET, _SCM_RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)
_TMP_SIZE_MB = 512  # AWS's default; a function with more gets its /tmp remounted


class Child:
    """One context as its zygote knows it."""

    __slots__ = ("discarded", "holder", "mounts", "output", "peak_kb", "status", "worker")

    def __init__(self) -> None:
        self.worker = 0  # pid, 0 once reaped
        self.holder = 0  # pid of the context's pid 1, 0 without namespaces or once reaped
        self.mounts = -1  # descriptor of the mount namespace, held between two processes
        self.status: int | None = None
        self.peak_kb = 0
        self.output = 0  # inode of the output pipe: finds strays where there is no pid namespace
        self.discarded = False


class Zygote:
    """Serves one engine over `connection` until either of them ends."""

    def __init__(self, connection: socket.socket, walled: bool, worker: boot.Boot) -> None:
        """`worker`: what its children live."""
        self._connection = connection
        self._walled = walled
        self._worker = worker
        self._children: dict[int, Child] = {}
        self._context_of: dict[int, int] = {}  # pid -> context
        self._pidfd = os.pidfd_open(os.getpid())
        self._mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Holders read from here; nobody writes, and the zygote's end is their end.
        read_end, self._holders = os.pipe2(os.O_CLOEXEC)
        self._holder_input = [(os.POSIX_SPAWN_DUP2, read_end, 0)]
        self._spawns = walled and _knows_holder()

    def serve(self, engine: int) -> None:
        """Answer packets and reap until the engine (a pidfd) is gone, then kill everything."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        wakes = self._wake_read
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(wakes, select.POLLIN)
        poll.register(engine, select.POLLIN)
        try:
            while True:
                for fd, _ in poll.poll():
                    if fd == wakes:
                        os.read(wakes, 64)
                        self._reap()
                    elif fd == engine or not self._read_packet():
                        return
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._end_everything()

    def _read_packet(self) -> bool:
        # Not through socket.recv_fds: what the zygote runs between two forks, it copies too.
        data, ancillary, _, _ = self._connection.recvmsg(_MAX_REQUEST, _DESCRIPTORS_SPACE)
        if not data:
            return False
        packet = control.unpack(data)
        if type(packet) is control.Fork:
            rights = ancillary[0][2] if ancillary else b""
            if len(rights) == _DESCRIPTORS.size:
                self._fork(packet, _DESCRIPTORS.unpack(rights))
            else:  # the kernel hands over what there is room for
                self._close(fd for (fd,) in _DESCRIPTOR.iter_unpack(rights))
                self._refuse(packet.context, "the zygote has too many open files")
        elif type(packet) is control.Discard:
            self._discard(packet.context)
        return True

    def _fork(self, packet: control.Fork, fds: tuple[int, ...]) -> None:
        child = self._children.get(packet.context) if packet.revive else Child()
        if child is None:
            self._refuse(packet.context, "its mounts are gone")
            self._close(fds)
            return
        child.status = None
        child.output = os.fstat(fds[2]).st_ino
        try:
            self._fork_processes(child, packet, fds)
            pidfd = os.pidfd_open(child.worker)
        except OSError as error:
            if child.holder:
                os.kill(child.holder, signal.SIGKILL)
                os.waitpid(child.holder, 0)
                child.holder = 0
            self._refuse(packet.context, str(error))
            if child.mounts < 0:
                self._children.pop(packet.context, None)
            return
        finally:
            self._close(fds)
        self._children[packet.context] = child
        self._context_of[child.worker] = packet.context
        if child.holder:
            self._context_of[child.holder] = packet.context
        if child.mounts >= 0:  # the new processes hold the namespace now
            os.close(child.mounts)
            child.mounts = -1
        forked = control.pack(control.Forked(packet.context))
        rights = (_SOL_SOCKET, _SCM_RIGHTS, _DESCRIPTOR.pack(pidfd))
        self._connection.sendmsg([forked], [rights])
        os.close(pidfd)

    def _fork_processes(self, child: Child, packet: control.Fork, fds: tuple[int, ...]) -> None:
        if not self._walled:
            child.worker = self._fork_worker(fds, packet.spare)
            return
        # The zygote itself steps into the new mounts, so that both children are born in them
        # without having to wait for each other, and then steps back.
        try:
            if packet.revive:
                walls.setns(child.mounts, walls.CLONE_NEWNS)
            else:
                walls.unshare(walls.CLONE_NEWNS)
                flags = walls.MS_NOSUID | walls.MS_NODEV
                options = f"size={_TMP_SIZE_MB}m,mode=1777"
                walls.mount("tmp", "/tmp", "tmpfs", flags, options)  # noqa: S108
            walls.unshare(walls.CLONE_NEWPID)
            child.holder = self._start_holder()
            child.worker = self._fork_worker(fds, packet.spare)
        finally:
            walls.setns(self._pids, walls.CLONE_NEWPID)
            walls.setns(self._mounts, walls.CLONE_NEWNS)

    def _start_holder(self) -> int:
        if self._spawns:
            return os.posix_spawn(_HOLDER[0], _HOLDER, {}, file_actions=self._holder_input)
        pid = os.fork()
        if pid == 0:
            _end_with(boot.hold_namespace, self._pidfd)
        return pid

    def _fork_worker(self, fds: tuple[int, ...], spare: bool) -> int:
        pid = os.fork()
        if pid == 0:
            _end_with(self._worker.run, fds, self._pidfd, spare)
        return pid

    def _discard(self, context: int) -> None:
        child = self._children.get(context)
        if child is None:
            return
        child.discarded = True
        if child.worker:
            os.kill(child.worker, signal.SIGKILL)
        elif not child.holder:  # else it is on its way out, and forgotten when it is reaped
            self._forget(context, child)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            context = self._context_of.pop(pid, None)
            if context is None:
                continue
            child = self._children[context]
            if pid == child.worker:
                child.worker = 0
                child.status = status
                child.peak_kb = usage.ru_maxrss
                if child.holder:
                    self._keep_mounts(child)
                    os.kill(child.holder, signal.SIGKILL)
                elif not self._walled:
                    self._kill_strays(pid, child.output)
            else:
                child.holder = 0
            if not child.worker and not child.holder:
                self._report_exit(context, child)

    def _keep_mounts(self, child: Child) -> None:
        if child.discarded:
            return
        try:
            path = f"/proc/{child.holder}/ns/mnt"
            child.mounts = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            child.mounts = -1  # pid 1 was killed from outside: /tmp is lost with it

    def _report_exit(self, context: int, child: Child) -> None:
        status = child.status if child.status is not None else 0
        kept = child.mounts >= 0 or not self._walled
        exited = control.Exited(
            context,
            os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            child.peak_kb,
            kept and not child.discarded,
        )
        if child.discarded or not kept:
            self._forget(context, child)
        self._connection.send(control.pack(exited))

    def _forget(self, context: int, child: Child) -> None:
        if child.mounts >= 0:
            os.close(child.mounts)
        self._children.pop(context, None)

    def _refuse(self, context: int, reason: str) -> None:
        self._connection.send(control.pack(control.Refusal(context, reason)))

    def _kill_strays(self, session: int, output: int) -> None:
        """Without a pid namespace: kill what a dead worker started and left to us.

        Found are processes of its session and those that hold its output pipe. One that left both
        behind is not found: `samovar doctor` says so.
        """
        while True:
            strays = [pid for pid in self._adopted() if _sid(pid) == session or _holds(pid, output)]
            if not strays:
                return
            for pid in strays:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _adopted(self) -> list[int]:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [pid for pid in map(int, file.read().split()) if pid not in self._context_of]

    def _end_everything(self) -> None:
        signal.set_wakeup_fd(-1)
        while True:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                pids = [int(pid) for pid in file.read().split()]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            if not pids:
                return
            # Whoever comes: a pid 1 ends only after the workers of its namespace are reaped.
            for _ in pids:
                os.waitpid(-1, 0)

    @staticmethod
    def _close(fds: Iterable[int]) -> None:
        for fd in fds:
            os.close(fd)


def _end_with(life: Callable[..., None], *arguments: object) -> NoReturn:
    """Live a child's life in it; nothing of a child ever returns into the zygote's own code."""
    try:
        life(*arguments)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # to the context's output
    finally:
        os._exit(70)


def _knows_holder() -> bool:
    """Whether this host's `env` can ignore a signal (coreutils since 8.31; not busybox)."""
    try:
        pid = os.posix_spawn(_HOLDER[0], [*_HOLDER[:2], "true"], {})
    except OSError:
        return False
    return os.waitpid(pid, 0)[1] == 0


def _sid(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def _holds(pid: int, inode: int) -> bool:
    wanted = f"pipe:[{inode}]"
    try:
        return any(
            os.readlink(f"/proc/{pid}/fd/{fd}") == wanted for fd in os.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return False


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
        boot.mount_proc()
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


def try_walls(launch: control.Launch) -> None:
    """Fork a context's walls once and take them down again; raises OSError where they fail."""
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
                boot.mount_proc()
                boot.drop_rights(launch.uid, walled=True)
            except OSError as error:
                os.write(write_end, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    finally:
        walls.setns(pids, walls.CLONE_NEWPID)
        walls.setns(mounts, walls.CLONE_NEWNS)
        os.close(write_end)
        problem = os.read(read_end, 4096)
        for fd in (read_end, pids, mounts):
            os.close(fd)
    if problem:
        raise OSError(1, problem.decode())
