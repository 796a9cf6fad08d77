"""What a context writes: collected for LogResult, passed on to the log, kept in order.

stdout, stderr and log records share one pipe. A worker writes its reply after its output, so that
when the reply is here, all of that output can be read without waiting.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from collections.abc import Callable

from samovar.logs.platform_lines import lines
from samovar.logs.stream import Closed, Journal, LogStream, PlatformEvent, process_over
from samovar.model.limits import LOG_TAIL_SIZE as TAIL
from samovar_worker.wire.records import Deframer

_ioctl, _WAITING, _NOTHING = fcntl.ioctl, termios.FIONREAD, b"\0\0\0\0"
_CHUNK = 65536
_MAX_DRAIN = 16 * _CHUNK  # a pipe holds 64 KB, 1 MB at most: more means that somebody still writes


class _Tail:
    """The last 4 KB of what one invocation logs, as people read it."""

    __slots__ = ("_frames", "_kept")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._frames = Deframer()

    def add(self, data: bytes) -> None:
        self._keep(self._frames.feed(data))

    def add_lines(self, texts: list[str], *, process_over: bool) -> None:
        self._keep(self._frames.flush(records=process_over))
        self._keep([(True, f"{text}\n".encode()) for text in texts])

    def end(self) -> bytes:
        return bytes(self._kept[-TAIL:])

    def _keep(self, parts: list[tuple[bool, bytes]]) -> None:
        kept = self._kept
        for _, data in parts:
            kept += data
            if len(kept) > 4 * TAIL:
                del kept[:-TAIL]


class Output:
    """The reading end of one context's output pipe. `listening`: somebody reads the log."""

    __slots__ = ("_fd", "_journal", "_request", "_stream", "_tail", "_wall")

    def __init__(self, fd: int, journal: Journal | None, wall: Callable[[], float]) -> None:
        self._fd = fd
        self._journal = journal
        self._wall = wall
        self._request = ""
        self._stream: LogStream | None = None
        self._tail: _Tail | None = None

    def name(self, stream: LogStream) -> None:
        """Whose log this is; before any of the function's code runs."""
        self._stream = stream

    @property
    def listening(self) -> bool:
        """Whether anybody would see a line: lines for nobody are not even formatted."""
        return self._journal is not None or self._tail is not None

    def begin(self, tail: bool, request_id: str) -> None:
        """An invocation starts; `tail` when LogResult was asked for."""
        if tail:
            self.drain()  # what came before belongs to nobody's tail
            self._tail = _Tail()
        self._request = request_id

    def end(self) -> bytes:
        """The invocation's last 4 KB of log (empty unless asked for)."""
        self._request = ""
        tail, self._tail = self._tail, None
        return tail.end() if tail is not None else b""

    def platform(self, event: PlatformEvent) -> None:
        """What the platform has to say (START, END, REPORT …)."""
        stream = self._stream
        assert stream is not None
        now = self._wall()
        if self._tail is not None:
            said = lines(stream, now, self._request, event)
            self._tail.add_lines(said, process_over=process_over(event))
        if self._journal is not None:
            self._journal.put(stream, now, self._request, event)

    def add(self, data: bytes) -> None:
        if self._tail is not None:
            self._tail.add(data)
        if self._journal is not None and self._stream is not None:
            self._journal.put(self._stream, self._wall(), self._request, data)

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
            waiting = _ioctl(self._fd, _WAITING, _NOTHING)
            if waiting == _NOTHING:
                return
            try:
                data = os.read(self._fd, min(int.from_bytes(waiting, sys.byteorder), _CHUNK))
            except BlockingIOError:  # the function reads its own output, and was faster
                return
            if not data:
                return
            drained += len(data)
            self.add(data)

    def close(self) -> None:
        """The process is gone: take its last words."""
        if self._journal is not None and self._stream is not None:
            self.drain()
            self._journal.put(self._stream, self._wall(), self._request, Closed())
