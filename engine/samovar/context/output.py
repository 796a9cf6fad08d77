"""What a context writes: collected for LogResult, passed on to the log, kept in order.

stdout, stderr and log records share one pipe. A worker writes its reply after its output, so that
when the reply is here, all of that output can be read without waiting.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import Protocol

TAIL = 4096  # bytes of log in LogResult (AWS)
_CHUNK = 65536
_MAX_DRAIN = 16 * _CHUNK  # a pipe holds 64 KB, 1 MB at most: more means that somebody still writes


class LogSink(Protocol):
    """Where function logs go. Called on the loop; must not block."""

    def write(self, function: str, stream: str, data: bytes) -> None:
        """`stream` is the log stream's name: one per context."""


class Output:
    """The reading end of one context's output pipe. `listening`: somebody reads the log."""

    __slots__ = ("_fd", "_function", "_sink", "_stream", "_tail")

    def __init__(self, fd: int, sink: LogSink | None) -> None:
        self._fd = fd
        self._sink = sink
        self._function = ""
        self._stream = ""
        self._tail: bytearray | None = None

    def name(self, function: str, stream: str) -> None:
        """Whose log this is; before any of the function's code runs."""
        self._function = function
        self._stream = stream

    @property
    def listening(self) -> bool:
        """Whether anybody would see a line: lines for nobody are not even formatted."""
        return self._sink is not None or self._tail is not None

    def begin(self, tail: bool) -> None:
        """An invocation starts; `tail` when LogResult was asked for."""
        if tail:
            self.drain()  # what came before belongs to nobody's tail
            self._tail = bytearray()

    def end(self) -> bytes:
        """The invocation's last 4 KB of log (empty unless asked for)."""
        tail, self._tail = self._tail, None
        return bytes(tail[-TAIL:]) if tail is not None else b""

    def line(self, text: str) -> None:
        """Add a line of the platform's own (START, END, REPORT …)."""
        self.add(text.encode())

    def add(self, data: bytes) -> None:
        tail = self._tail
        if tail is not None:
            tail += data
            if len(tail) > 4 * TAIL:
                del tail[:-TAIL]
        if self._sink is not None:
            self._sink.write(self._function, self._stream, data)

    def on_readable(self) -> bool:
        """Read what is there, once; False when the pipe has ended."""
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return True
        if data:
            self.add(data)
        return bool(data)

    def drain(self) -> None:
        """Read everything that has been written so far."""
        drained = 0
        while drained < _MAX_DRAIN:
            waiting = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))[0]
            if not waiting:
                return
            data = os.read(self._fd, min(waiting, _CHUNK))
            if not data:
                return
            drained += len(data)
            self.add(data)
