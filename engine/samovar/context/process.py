"""One worker process: its pipes, its output, its pidfd, and how much memory it used."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable

from samovar.context.channel import Channel
from samovar.context.memory_use import MEGABYTE, peak_resident_kb
from samovar.context.output import Output
from samovar.logs.stream import Journal
from samovar_worker.wire import memory
from samovar_worker.wire.frames import Frame

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MEMORY_CHECK = 1.0  # seconds between two looks at a worker whose own figure did not rise


class WorkerProcess:
    """Made with its pipes before there is a process; `close` when the process is reaped.

    `theirs` are the descriptors for the zygote to hand to the child (see `control.Fork`), open
    until `handed_over`.
    """

    __slots__ = (
        "_loop",
        "_memory_checked",
        "_output_fd",
        "_peak_kb",
        "_pidfd",
        "_shared_kb",
        "channel",
        "memory_used",
        "output",
        "pid",
        "theirs",
    )

    def __init__(
        self,
        memory_fd: int,
        journal: Journal | None,
        wall: Callable[[], float],
        on_frame: Callable[[Frame], None],
        on_broken: Callable[[str], None],
    ) -> None:
        """Raises OSError when descriptors run out."""
        self.pid = 0
        self.memory_used = 0  # MB, peak
        self._pidfd = -1
        self._peak_kb = 0
        self._shared_kb = 0  # file-backed and shared, when the kernel was last asked
        self._memory_checked = 0.0
        self._loop = asyncio.get_running_loop()
        pipes: list[int] = []
        try:
            for _ in range(3):
                pipes += os.pipe2(os.O_CLOEXEC)
        except OSError:
            for fd in pipes:
                os.close(fd)
            raise
        request_read, request_write, reply_read, reply_write, self._output_fd, output_write = pipes
        self.theirs = [request_read, reply_write, output_write, memory_fd]
        self.channel = Channel(request_write, reply_read, memory_fd, on_frame, on_broken)
        os.set_blocking(self._output_fd, False)
        self.output = Output(self._output_fd, journal, wall)
        self._loop.add_reader(self._output_fd, self._on_output)

    def handed_over(self) -> None:
        """The zygote has the child's ends."""
        for fd in self.theirs[:3]:
            os.close(fd)
        self.theirs = []

    def forked(self, pidfd: int) -> None:
        self._pidfd = pidfd
        self.pid = pid_of(pidfd)

    @property
    def pidfd(self) -> int:
        """Open until `close`; below 0 before there is a process."""
        return self._pidfd

    @property
    def is_forked(self) -> bool:
        """Whether there is, or was, a process."""
        return self._pidfd >= 0

    def kill(self) -> None:
        """SIGKILL, if it is there; the zygote reports the reaping."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # already dead: the report is on its way

    def note_memory(self, peak_kb: int, now: float) -> None:
        """Ask the kernel when the worker's own figure rose, and every second otherwise."""
        if peak_kb > self._peak_kb or now - self._memory_checked >= _MEMORY_CHECK:
            self._peak_kb = max(self._peak_kb, peak_kb)
            self.look_at_memory(now)

    def look_at_memory(self, now: float) -> None:
        """Ask the kernel."""
        self._memory_checked = now
        if not self.pid and self._pidfd >= 0:
            self.pid = pid_of(self._pidfd)
        resident = peak_resident_kb(self.pid) if self.pid else None
        if resident is not None:
            peak, self._shared_kb = resident
            self._note_peak(peak)

    def note_exit(self, peak_kb: int) -> None:
        """What the kernel said at the end of a process that may have grown since it was asked; of
        one that died before anybody asked it includes files."""
        self._note_peak(peak_kb)

    def _note_peak(self, peak_kb: int) -> None:
        anonymous = max(0, peak_kb - self._shared_kb)
        self.memory_used = max(self.memory_used, -(-anonymous // MEGABYTE))

    def close(self) -> None:
        self.channel.close()
        self._loop.remove_reader(self._output_fd)
        self.output.close()
        os.close(self._output_fd)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self.pid = 0

    def _on_output(self) -> None:
        if not self.output.on_readable():
            self._loop.remove_reader(self._output_fd)


def payload_memory() -> int:
    """A context's shared memory, of a size that nobody can change. Raises OSError."""
    fd = os.memfd_create("samovar-payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, memory.SIZE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


def pid_of(pidfd: int) -> int:
    """The process's pid as this process sees it, 0 if it is gone, or if there is no descriptor left
    to look it up with: a zygote without root's rights lives in a pid namespace of its own and knows
    another number."""
    try:
        with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("Pid:"):
                    return max(0, int(line.split()[1]))
    except OSError:
        pass
    return 0
