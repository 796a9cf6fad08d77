"""The zygote: one thread that forks on request, reaps and reports.

Nothing but this, `trial`, and for templates `stewardship`, `steward` and `template`, forks.

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
from collections.abc import Callable, Iterable

from samovar_worker import boot, holder, kin, walls
from samovar_worker.child import Child, end_with
from samovar_worker.wire import control

_MAX_REQUEST = 256  # bytes of a Fork or a Discard
_DESCRIPTOR = struct.Struct("i")
_DESCRIPTORS = struct.Struct("4i")  # those of a Fork
_DESCRIPTORS_SPACE = socket.CMSG_SPACE(_DESCRIPTORS.size)
_SOL_SOCKET, _SCM_RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)
_FULL = "the zygote has too many open files"
_TMP_SIZE_MB = 512  # AWS's default; a function with more gets its /tmp remounted


class Zygote:
    """Serves one engine over `connection` until either of them ends."""

    def __init__(
        self,
        connection: socket.socket,
        walled: bool,
        worker: boot.Boot,
        steward: Callable[[int, int, bool, boot.Boot], None] | None = None,
    ) -> None:
        """`worker`: what its children live; `steward`: what those live that fork from a template
        (`samovar_worker.stewardship.live`)."""
        self._connection = connection
        self._walled = walled
        self._worker = worker
        self._steward = steward
        self._poll = select.poll()
        self._children: dict[int, Child] = {}
        self._context_of: dict[int, int] = {}  # pid -> context
        self._pidfd = os.pidfd_open(os.getpid())
        self._mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Holders read from here; nobody writes, and the zygote's end is their end.
        read_end, self._holders = os.pipe2(os.O_CLOEXEC)
        self._holder_input = [(os.POSIX_SPAWN_DUP2, read_end, 0)]

    def serve(self, engine: int) -> None:
        """Answer packets and reap until the engine (a pidfd) is gone, then kill everything."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        walls.hear_of_ends_only()
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        wakes, connection, poll = self._wake_read, self._connection.fileno(), self._poll
        for fd in (connection, wakes, engine):
            poll.register(fd, select.POLLIN)
        try:
            while True:
                for fd, _ in poll.poll(self._wait_ms()):
                    if fd == wakes:
                        os.read(wakes, 64)
                        self._reap()
                    elif fd == engine or (fd == connection and not self._read_packet()):
                        return
                    elif fd != connection:
                        self._hear(fd)
                self._look_at_the_time()
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._end_everything()

    def _wait_ms(self) -> float | None:
        """How long nothing needs to happen; None: for ever."""
        return None

    def _look_at_the_time(self) -> None:
        """What was heard is dealt with, or `_wait_ms` is over."""

    def _hear(self, fd: int) -> None:
        """There is something at another descriptor that is polled."""

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
                self._refuse(packet.context, _FULL)
        elif type(packet) is control.Discard:
            self._discard(packet.context)
        elif type(packet) is control.Steward:
            rights = ancillary[0][2] if ancillary else b""
            if len(rights) == _DESCRIPTOR.size:
                self._fork_steward(packet.context, *_DESCRIPTOR.unpack(rights))
            else:
                self._refuse(packet.context, _FULL)
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
        self._register(packet.context, child, pidfd)

    def _register(self, context: int, child: Child, pidfd: int) -> None:
        """Both processes are there: tell the engine."""
        self._children[context] = child
        self._context_of[child.worker] = context
        if child.holder:
            self._context_of[child.holder] = context
        child.close_namespaces()  # the new processes hold them now
        forked = control.pack(control.Forked(context))
        rights = (_SOL_SOCKET, _SCM_RIGHTS, _DESCRIPTOR.pack(pidfd))
        self._connection.sendmsg([forked], [rights])
        os.close(pidfd)

    def _fork_steward(self, context: int, connection: int) -> None:
        child = Child()
        try:
            child.worker = self._fork_walled_steward(connection)
            pidfd = os.pidfd_open(child.worker)
        except OSError as error:
            self._refuse(context, str(error))
            return
        finally:
            os.close(connection)
        self._register(context, child, pidfd)

    def _fork_walled_steward(self, connection: int) -> int:
        try:
            if self._walled:
                self._enter_new_mounts()
                walls.unshare(walls.CLONE_NEWPID)
            pid = os.fork()
            if pid == 0:
                assert self._steward is not None
                end_with(self._steward, connection, self._pidfd, self._walled, self._worker)
            return pid
        finally:
            if self._walled:
                self._step_back()

    @staticmethod
    def _enter_new_mounts() -> None:
        walls.unshare(walls.CLONE_NEWNS)
        flags = walls.MS_NOSUID | walls.MS_NODEV
        options = f"size={_TMP_SIZE_MB}m,mode=1777"
        walls.mount("tmp", "/tmp", "tmpfs", flags, options)  # noqa: S108

    def _step_back(self) -> None:
        walls.setns(self._pids, walls.CLONE_NEWPID)
        walls.setns(self._mounts, walls.CLONE_NEWNS)

    def _fork_processes(self, child: Child, packet: control.Fork, fds: tuple[int, ...]) -> None:
        if not self._walled:
            child.worker = self._fork_worker(fds, packet)
            return
        # The zygote itself steps into the new mounts, so that both children are born in them
        # without having to wait for each other, and then steps back.
        try:
            if packet.revive:
                walls.setns(child.mounts, walls.CLONE_NEWNS)
            else:
                self._enter_new_mounts()
            walls.unshare(walls.CLONE_NEWPID)
            child.holder = self._start_holder()
            child.worker = self._fork_worker(fds, packet)
        finally:
            self._step_back()

    def _start_holder(self) -> int:
        if self._worker.spawns:
            command = holder.COMMAND
            return os.posix_spawn(command[0], command, {}, file_actions=self._holder_input)
        pid = os.fork()
        if pid == 0:
            end_with(holder.hold_namespace, self._pidfd)
        return pid

    def _fork_worker(self, fds: tuple[int, ...], packet: control.Fork) -> int:
        pid = os.fork()
        if pid == 0:
            end_with(self._worker.run, fds, self._pidfd, packet.spare, packet.uid)
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
                self._reaped_stranger(pid, status)
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
                    self._end_strays(pid, child.output)
            else:
                child.holder = 0
            if not child.worker and not child.holder:
                self._report_exit(context, child)

    def _reaped_stranger(self, pid: int, status: int) -> None:
        """Somebody's orphan has ended."""

    def _end_strays(self, session: int, output: int) -> None:
        """Kill what a worker has left (its session, and the inode of its output pipe). A worker
        adopts the orphans below it: what was left to the zygote belongs to one that is dead."""
        kin.kill_adopted(self._adopted, lambda pid: True)

    def _keep_mounts(self, child: Child) -> None:
        child.keep_mounts()

    def _kept(self, child: Child) -> bool:
        """Whether another process can take the place of this context's last one."""
        return child.mounts >= 0 or not self._walled

    def _report_exit(self, context: int, child: Child) -> None:
        status = child.status if child.status is not None else 0
        kept = self._kept(child)
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
        child.close_namespaces()
        self._children.pop(context, None)

    def _refuse(self, context: int, reason: str) -> None:
        self._connection.send(control.pack(control.Refusal(context, reason)))

    def _adopted(self) -> list[int]:
        return [pid for pid in kin.children() if pid not in self._context_of]

    def _end_everything(self) -> None:
        signal.set_wakeup_fd(-1)
        while True:
            pids = kin.children()
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
