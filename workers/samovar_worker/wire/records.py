"""How log records are told from raw output on the pipe that they share.

A function's prints, its children's output and its log records go through one pipe, in order. A
record is one event whatever newlines it holds; everything else is one event a line. A record
travels in pieces, each behind a header:

    marker 4 bytes | origin u32 | length u16, big endian | more u8

No UTF-8 text holds the marker. A piece is no longer than PIPE_BUF, so that the kernel never mixes
it with what others write; the pieces of one long record may stand between others' output, and
`origin`, a number of the record's own, tells them from another one's. A function may write the same
bytes: what it forges is its own log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MARKER = b"\xff\xa5\x5a\xfe"
HEADER = struct.Struct(">4sIHB")
PIECE = 4096 - HEADER.size  # PIPE_BUF on Linux (pipe(7)), which POSIX guarantees to be atomic
MAX_RECORD = 1024 * 1024  # the longest event of CloudWatch Logs; what is longer becomes several
_MAX_OPEN = 256  # so many long records at once; beyond it their pieces are events

_pack = HEADER.pack
_SIZE = HEADER.size


def encode(record: bytes, origin: int) -> Iterator[bytes]:
    """The pieces of a record, each to be written in one call."""
    for start in range(0, len(record), PIECE):
        piece = record[start : start + PIECE]
        more = start + PIECE < len(record)
        yield _pack(MARKER, origin, len(piece), more) + piece


class Deframer:
    """Turns the bytes of one pipe into raw output and whole records. Sans-io.

    Whatever is written to the pipe, nothing is lost but markers and headers, and no more than
    `MAX_RECORD` and a piece is kept.
    """

    __slots__ = ("_held", "_kept", "_open")

    def __init__(self) -> None:
        self._held = b""  # what may be the beginning of a header or of a piece
        self._open: dict[int, bytearray] = {}  # records of which there is more to come
        self._kept = 0  # bytes of them

    def feed(self, data: bytes) -> list[tuple[bool, bytes]]:
        """What `data` brings, in order: (True, a whole record) or (False, raw output)."""
        if not self._held and MARKER[0] not in data:  # the usual case
            return [(False, data)]
        found: list[tuple[bool, bytes]] = []
        data = self._held + data
        at = seen = 0  # how far it is told, and how far there is no header
        while True:
            start = data.find(MARKER, seen)
            if start < 0:
                start = len(data) - _beginning(data, seen)
                break
            if len(data) - start < _SIZE:
                break
            _, origin, length, more = HEADER.unpack_from(data, start)
            if not 0 < length <= PIECE or more > 1:  # not a header of ours
                seen = start + 1
                continue
            end = start + _SIZE + length
            if end > len(data):
                break
            if start > at:
                found.append((False, data[at:start]))
            record = self._piece(origin, data[start + _SIZE : end], bool(more))
            if record:
                found.append((True, record))
            at = seen = end
        if start > at:
            found.append((False, data[at:start]))
        self._held = data[start:]
        return found

    @property
    def begun(self) -> bool:
        """Whether there is a long record of which more is to come."""
        return bool(self._open)

    def flush(self, *, records: bool = True) -> list[tuple[bool, bytes]]:
        """What is incomplete, as far as it came: nobody writes the rest of it. Without `records`
        long ones are left: a thread may be in the middle of one when its invocation ends."""
        found: list[tuple[bool, bytes]] = []
        if records:
            found += [(True, bytes(part)) for part in self._open.values()]
            self._open.clear()
            self._kept = 0
        held, self._held = self._held, b""
        if held:
            found.append((False, held))
        return found

    def _piece(self, origin: int, piece: bytes, more: bool) -> bytes:
        """The record that `piece` completes, else nothing."""
        if origin not in self._open and (not more or len(self._open) >= _MAX_OPEN):
            return piece
        part = self._open.setdefault(origin, bytearray())
        part += piece
        self._kept += len(piece)
        if more and len(part) + PIECE <= MAX_RECORD and self._kept < MAX_RECORD:
            return b""
        end = between_characters(part, len(part)) if more else len(part)
        self._kept -= end
        if end < len(part):  # the rest belongs to what is to come
            self._open[origin] = part[end:]
        else:
            del self._open[origin]
        return bytes(part[:end])


def between_characters(data: bytes | bytearray, end: int) -> int:
    """Where to cut `data`, at `end` or up to three bytes before it, so that no character of UTF-8
    is cut in two."""
    for start in range(end - 1, max(0, end - 4), -1):
        first = data[start]
        if first & 0xC0 != 0x80:  # where the last character begins
            width = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return end if end - start >= width else start
    return end


def _beginning(data: bytes, at: int) -> int:
    """How many of the last bytes of `data[at:]` may be the beginning of a marker."""
    for size in range(min(len(MARKER) - 1, len(data) - at), 0, -1):
        if data.endswith(MARKER[:size]):
            return size
    return 0
