"""The engine's ends of one worker process's pipes: non-blocking, framed, in order.

Callbacks only: on the way of an invocation there is no Task and no future in here. Writes normally
fit the empty pipe in one call; what does not waits for the pipe to drain (pipes are 64 KB, but 8 KB
for users who have many).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import termios
from collections.abc import Callable

from samovar_worker.wire import frames, memory, order
from samovar_worker.wire.frames import Frame, ProtocolError
from samovar_worker.wire.order import Turn

_CHUNK = 65536
# Looked up here, for every message; `order.after` and `after_reply` say what is wrong.
_TABLE, _REPLIES = order.TABLE, order.REPLIES


class Channel:
    """Owns both descriptors. `on_frame(frame)` for every legal frame; `on_broken(reason)` once when
    the peer sends what it may not. An end of the pipe proves nothing and is only no longer watched.
    """

    __slots__ = (
        "_broken",
        "_decoder",
        "_loop",
        "_lost",
        "_memory_fd",
        "_on_broken",
        "_on_frame",
        "_reply_fd",
        "_request_fd",
        "_unwritten",
        "turn",
    )

    def __init__(
        self,
        request_fd: int,
        reply_fd: int,
        memory_fd: int,
        on_frame: Callable[[Frame], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self.turn = Turn.FORKED
        self._request_fd = request_fd
        self._reply_fd = reply_fd
        self._memory_fd = memory_fd
        self._on_frame = on_frame
        self._on_broken = on_broken
        self._decoder = frames.Decoder(memory.MAX_RESPONSE)
        self._unwritten = b""
        self._lost = False  # whether something was written that nobody can read
        self._broken = False
        self._loop = asyncio.get_running_loop()
        os.set_blocking(request_fd, False)
        os.set_blocking(reply_fd, False)
        self._loop.add_reader(reply_fd, self.read)

    def send(self, kind: int, metadata: bytes, payload: bytes = b"", invocation: int = 0) -> None:
        """Write a frame; raises ProtocolError if it is not its turn."""
        self.turn = _TABLE.get((self.turn, kind)) or order.after(self.turn, kind)
        if len(payload) > memory.INLINE_LIMIT:
            memory.write_all(self._memory_fd, payload, 0)
            data = frames.encode(kind, invocation, metadata, in_memory=len(payload))
        else:
            data = frames.encode(kind, invocation, metadata, payload)
        if self._unwritten:
            self._unwritten += data
            return
        try:
            written = os.write(self._request_fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self._lost = True  # nobody reads any more: the exit report is on its way
            return
        if written < len(data):
            self._unwritten = data[written:]
            self._loop.add_writer(self._request_fd, self._write_more)

    def read(self) -> None:
        """Take what has arrived. Also called once more when the process is known to be dead."""
        if self._reply_fd < 0 or self._broken:
            return
        try:
            data = os.read(self._reply_fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._reply_fd)
            return
        before = self.turn
        try:
            found = self._decoder.feed(data)
            if found:
                # Whatever a worker has to say it says when it is asked. What comes along with an
                # answer would be taken for the next one, by whoever is told that it is free.
                if len(found) > 1 or self._decoder.held:
                    raise ProtocolError("more than the one answer that it was asked for")
                frame = found[0]
                kind = frame.kind
                self.turn = _REPLIES.get((before, kind)) or order.after_reply(before, kind)
                self._on_frame(frame)
        except ProtocolError as error:
            self.turn = before  # what was no answer leaves the question open
            self._broken = True  # nothing that follows it is believed
            self._loop.remove_reader(self._reply_fd)
            self._on_broken(str(error))

    def unheard(self) -> bool:
        """Whether the peer, which is dead, has left something unread of what it was told last."""
        if self._lost or self._unwritten:
            return True
        left = fcntl.ioctl(self._request_fd, termios.FIONREAD, bytes(4))
        return int.from_bytes(left, sys.byteorder) > 0

    def payload(self, frame: Frame) -> bytes:
        """The frame's payload, wherever it lies."""
        if frame.flags & frames.IN_MEMORY:
            return memory.read_exactly(
                self._memory_fd, frame.payload_length, memory.RESPONSE_OFFSET
            )
        return frame.payload

    def close(self) -> None:
        """Close both ends; idempotent."""
        if self._reply_fd < 0:
            return
        self._loop.remove_reader(self._reply_fd)
        self._loop.remove_writer(self._request_fd)
        os.close(self._reply_fd)
        os.close(self._request_fd)
        self._reply_fd = self._request_fd = -1

    def _write_more(self) -> None:
        try:
            written = os.write(self._request_fd, self._unwritten)
        except BlockingIOError:
            return
        except OSError:
            self._unwritten, self._lost = b"", True
        else:
            self._unwritten = self._unwritten[written:]
        if not self._unwritten:
            self._loop.remove_writer(self._request_fd)
