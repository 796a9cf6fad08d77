"""Shared memory for large payloads: one sealed memfd per context, halved.

A megabyte costs 5.6 ms over a pipe and 0.3 ms through here (measured). The engine makes the memfd
and seals its size before the fork; both sides use pread and pwrite and never map it, so a worker
that rewrites or «truncates» it can spoil its own reply and nothing else.
"""

from __future__ import annotations

import os

# AWS: requests to 6 MB (6,291,456 B), responses to 6 MB + 100 B. A worker sends one byte more than
# the limit at most, so that the engine can name the overrun.
MAX_REQUEST = 6 * 1024 * 1024
MAX_RESPONSE = MAX_REQUEST + 100
RESPONSE_OFFSET = MAX_REQUEST
SIZE = MAX_REQUEST + MAX_RESPONSE

# Above this a payload goes through memory: half of the smallest usual pipe (64 KB).
INLINE_LIMIT = 32 * 1024


def write_all(fd: int, data: bytes, offset: int) -> None:
    """pwrite all of `data`; raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]


def read_exactly(fd: int, length: int, offset: int) -> bytes:
    """`length` bytes from `offset`; raises EOFError if the file ends before."""
    data = os.pread(fd, length, offset)
    while len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            raise EOFError(f"{len(data)} of {length} bytes")
        data += more
    return data
