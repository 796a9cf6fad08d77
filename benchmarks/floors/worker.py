"""The least that a worker can be: a forked loop over two pipes, JSON in, handler, JSON out.

A frame is a 12-byte header (length u32, id u64, little endian) and raw JSON.
"""

from __future__ import annotations

import gc
import json
import os
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

HEADER = struct.Struct("<IQ")


class Pipes(NamedTuple):
    """The parent's ends, and the child that has the others."""

    pid: int
    requests: int
    replies: int


def fork_worker(handler: Callable[[Any], Any], others: list[Pipes]) -> Pipes:
    """Fork a worker; call before any event loop exists. `others` are closed in the child."""
    request_read, request_write = os.pipe()
    reply_read, reply_write = os.pipe()
    gc.freeze()
    pid = os.fork()
    if pid:
        os.close(request_read)
        os.close(reply_write)
        return Pipes(pid, request_write, reply_read)
    try:
        os.close(request_write)
        os.close(reply_read)
        for other in others:
            os.close(other.requests)
            os.close(other.replies)
        serve(handler, request_read, reply_write)
    finally:
        os._exit(0)


def serve(handler: Callable[[Any], Any], requests: int, replies: int) -> None:
    """Answer until the request pipe closes."""
    data = b""
    header = HEADER.size
    while True:
        while len(data) < header or len(data) < header + HEADER.unpack_from(data)[0]:
            more = os.read(requests, 65536)
            if not more:
                return
            data += more
        length, number = HEADER.unpack_from(data)
        result = handler(json.loads(data[header : header + length]))
        data = data[header + length :]
        reply = json.dumps(result).encode()
        os.write(replies, HEADER.pack(len(reply), number) + reply)
