"""The worker's ends of the wires, and blocking reads and writes on them.

Descriptors stand at the top of the range that a function may open (AWS: 1,024), out of the way of
code that closes or replaces 0 to 2 and of daemonising libraries that close «the first hundred».
"""

from __future__ import annotations

import errno
import os
import select
from _thread import get_native_id
from itertools import count

from samovar_worker.wire import frames, memory, records

TEMPLATE = 1019  # a template's to its steward
OUTPUT = 1020
REQUEST = 1021
REPLY = 1022
MEMORY = 1023

_count = count()
_encode, _INLINE_LIMIT = frames.encode, memory.INLINE_LIMIT


class Wires:
    """One frame in, one frame out. A closed request pipe means that the engine is done with us."""

    __slots__ = ("_decoder", "_forked")

    def __init__(self) -> None:
        self._decoder = frames.Decoder(memory.MAX_REQUEST)
        self._forked = False

    def tell_forks(self) -> None:
        """From here on, what this process forks is known by it: asking for the pid every time
        would be a system call."""
        os.register_at_fork(after_in_child=self._note_fork)

    def _note_fork(self) -> None:
        self._forked = True

    def renew(self) -> None:
        """In what is forked from a template: it is the worker, and nothing was read yet."""
        self._forked = False
        self._decoder = frames.Decoder(memory.MAX_REQUEST)

    def read(self) -> frames.Frame:
        """The next frame; ends the process when there will be none."""
        while True:
            try:
                data = os.read(REQUEST, 65536)
            except OSError as error:
                if error.errno == errno.EBADF:  # the function closed our end
                    os._exit(1)
                continue
            except Exception:  # noqa: S112  # a signal handler that the function left behind raised
                continue
            if not data:
                os._exit(0)
            whole = self._decoder.feed(data)
            if whole:
                return whole[0]

    def payload(self, frame: frames.Frame) -> bytes:
        """The frame's payload, wherever it lies."""
        if frame.flags & frames.IN_MEMORY:
            return memory.read_exactly(MEMORY, frame.payload_length, 0)
        return frame.payload

    def write(self, kind: int, metadata: bytes, payload: bytes = b"", invocation: int = 0) -> None:
        """Write a frame whole. A child that the function forked never gets here alive."""
        self.exit_if_forked()
        if len(payload) > _INLINE_LIMIT:
            memory.write_all(MEMORY, payload, memory.RESPONSE_OFFSET)
            data = frames.encode(kind, invocation, metadata, in_memory=len(payload))
        else:
            data = _encode(kind, invocation, metadata, payload)
        self.send(data)

    def send(self, data: bytes) -> None:
        """Write the bytes of a frame whole."""
        written = os.write(REPLY, data)
        while written < len(data):
            written += os.write(REPLY, data[written:])

    def exit_if_forked(self, code: int = 0) -> None:
        """End a process that is not the worker: os.fork() in a handler returns here twice."""
        if self._forked:
            os._exit(code)


def write_output(data: bytes) -> None:
    """Write raw bytes to the context's output, whatever became of descriptors 1 and 2."""
    try:
        while data:
            try:
                data = data[os.write(OUTPUT, data) :]
            except BlockingIOError:  # a child of the function's has set the pipe so
                select.select([], [OUTPUT], [])
    except OSError:
        pass  # the function closed it: its log is lost, its result is not


def write_record(data: bytes) -> None:
    """Write a log record, which is one event whatever newlines it holds."""
    # Long ones of other threads, and of a signal that arrives in the middle, travel meanwhile.
    origin = (get_native_id() << 10 | next(_count) & 0x3FF) & 0xFFFFFFFF
    for piece in records.encode(data, origin):
        write_output(piece)
