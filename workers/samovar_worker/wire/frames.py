"""Frames: how bytes on a pipe are cut. Sans-io: bytes in, frames out.

A frame is a fixed header, then msgpack metadata, then a payload that nobody between door and
handler parses. The header is 20 bytes, little endian:

    kind u8 | flags u8 | version u16 | metadata length u32 | payload length u32 | invocation u64

The invocation's number is drawn anew for each run, so that no reply can be meant for another one,
or be there before it; the request id that people know travels in the metadata.

With `IN_MEMORY` set the payload is not behind the metadata but in the context's shared memory
(see `samovar_worker.wire.memory`); its length still stands in the header.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VERSION = 1
HEADER = struct.Struct("<BBHIIQ")
NO_INVOCATION = 0

IN_MEMORY = 0x01

# Bounds that hold whatever a peer writes. Metadata is an environment (4 KB by AWS's limit), paths,
# a client context (3,583 B) or an ARN; inline payloads end where shared memory starts.
MAX_METADATA = 256 * 1024
MAX_INLINE_PAYLOAD = 64 * 1024


_HEADER_SIZE = HEADER.size
_unpack = HEADER.unpack_from
_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost


class ProtocolError(Exception):
    """The peer wrote something that no frame or message can be."""


class Frame(NamedTuple):
    """One message as it travels. `kind` is a `samovar_worker.wire.messages.Kind`."""

    kind: int
    flags: int
    invocation: int
    metadata: bytes
    payload: bytes
    payload_length: int


def encode(
    kind: int, invocation: int, metadata: bytes, payload: bytes = b"", in_memory: int = 0
) -> bytes:
    """The bytes of a frame. `in_memory` is the length of a payload that lies in shared memory."""
    if in_memory:
        return (
            HEADER.pack(kind, IN_MEMORY, VERSION, len(metadata), in_memory, invocation) + metadata
        )
    return (
        HEADER.pack(kind, 0, VERSION, len(metadata), len(payload), invocation) + metadata + payload
    )


class Decoder:
    """Collects bytes and hands out whole frames. Raises ProtocolError.

    `held`: the beginning of a frame, at most what was fed last and one frame of the longest. It
    grows in place: a peer that writes byte by byte costs what its bytes do, not their square.
    """

    __slots__ = ("_memory_size", "held")

    def __init__(self, memory_size: int) -> None:
        """`memory_size`: the largest payload that shared memory can hold, in bytes."""
        self.held = bytearray()
        self._memory_size = memory_size

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that `data` completes; usually one."""
        if not self.held and len(data) >= _HEADER_SIZE:
            # Nearly always `data` is exactly one small frame.
            kind, flags, version, metadata, payload, invocation = _unpack(data)
            middle = _HEADER_SIZE + metadata
            if (
                middle + payload == len(data)
                and not flags
                and version == VERSION
                and metadata <= MAX_METADATA
                and payload <= MAX_INLINE_PAYLOAD
            ):
                whole = (kind, 0, invocation, data[_HEADER_SIZE:middle], data[middle:], payload)
                return [_new(Frame, whole)]
        held = self.held
        held += data
        frames: list[Frame] = []
        start = 0
        size = len(held)
        while size - start >= HEADER.size:
            kind, flags, version, metadata, payload, invocation = HEADER.unpack_from(held, start)
            if version != VERSION:
                raise ProtocolError(f"frame version {version}, expected {VERSION}")
            if flags & ~IN_MEMORY:
                raise ProtocolError(f"frame flags {flags:#04x}: not known here")
            if metadata > MAX_METADATA:
                raise ProtocolError(f"{metadata} bytes of metadata, at most {MAX_METADATA}")
            in_memory = flags & IN_MEMORY
            limit = self._memory_size if in_memory else MAX_INLINE_PAYLOAD
            if payload > limit:
                raise ProtocolError(f"{payload} bytes of payload, at most {limit}")
            body = start + HEADER.size
            middle = body + metadata
            end = middle if in_memory else middle + payload
            if end > size:
                break
            parts = bytes(held[body:middle]), bytes(held[middle:end])
            frames.append(Frame(kind, flags, invocation, *parts, payload))
            start = end
        del held[:start]
        return frames
