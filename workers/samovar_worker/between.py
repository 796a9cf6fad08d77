"""The process between a template and a worker (M), as the template knows it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

PIDS = struct.Struct("<ii")  # what it says at its end: the worker's pid and the holder's


class Between(NamedTuple):
    """M as its parent knows it; with a `socket` it waits to be handed a context's descriptors."""

    pid: int
    report: int
    socket: socket.socket | None

    def hand_over(self, fds: list[int]) -> bool:
        """Whether it is there to take them; else it is reaped."""
        assert self.socket is not None
        try:
            socket.send_fds(self.socket, [b"x"], fds, socket.MSG_NOSIGNAL)
        except OSError:
            self.end()
            return False
        return True

    def end(self) -> tuple[int, int]:
        """Wait for its end, so that the worker is an orphan; the pids of the worker (or minus an
        errno) and of the holder."""
        if self.socket is not None:
            self.socket.close()
        try:
            os.waitpid(self.pid, 0)
        except OSError:
            pass  # a handler of the function's was first
        data = os.read(self.report, PIDS.size)
        os.close(self.report)
        worker, holder = PIDS.unpack(data) if len(data) == PIDS.size else (-errno.ECHILD, 0)
        return worker, holder
