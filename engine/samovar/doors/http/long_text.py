"""Code packages in JSON: megabytes of base64 in one string, taken out before the rest is parsed.

Python's JSON parser and its base64 decoder hold the interpreter's lock from the first byte to the
last: for 70 MB that is half a second in which no invocation is served, in whichever thread they
run. Here no call takes more than a piece at a time.
"""

from __future__ import annotations

import binascii
import json
import secrets
from collections.abc import Callable
from typing import Any

# Shorter strings stay where they are.
LONG = 256 * 1024
# How many bytes a call looks at or decodes, in well under a millisecond; a multiple of four, as
# base64 needs.
_PIECE = 256 * 1024
_QUOTE, _BACKSLASH = b'"', b"\\"


class LongText:
    """A JSON string that was taken out, without its quotes; it has no escapes."""

    __slots__ = ("_view",)

    def __init__(self, view: memoryview) -> None:
        self._view = view

    def text(self) -> str:
        """Raises ValueError for what may not stand in a string."""
        return str(json.loads(b'"%s"' % self._view))

    def decoded(self) -> bytes:
        """What it is the base64 of. Raises binascii.Error."""
        view = self._view
        pieces = []
        for at in range(0, len(view), _PIECE):
            piece = view[at : at + _PIECE]
            decoded = binascii.a2b_base64(piece, strict_mode=True)
            if len(piece) == _PIECE and len(decoded) != _PIECE // 4 * 3 and at + _PIECE < len(view):
                raise binascii.Error("Excess data after padding")
            pieces.append(decoded)
        return b"".join(pieces)


def parse_long(
    body: bytes | bytearray, parse: Callable[[bytes | bytearray], Any], rest: int
) -> Any:
    """What `parse` makes of `body`, with a LongText for each value that is a long string.

    Raises what `parse` raises; OverflowError if more than `rest` bytes are left without them.
    """
    found = _long_strings(body, rest)
    if not found:
        return parse(body)
    view = memoryview(body)
    names: dict[str, LongText] = {}
    kept = bytearray()
    at = 0
    for start, end in found:
        name = secrets.token_hex(16)  # that nobody can have put there
        names[name] = LongText(view[start:end])
        kept += view[at:start]
        kept += name.encode()
        at = end
    kept += view[at:]
    return _put_back(parse(kept), names)


def _long_strings(body: bytes | bytearray, rest: int) -> list[tuple[int, int]]:
    """Where the long strings without escapes are, the quotes not counted; raises OverflowError for
    more than `rest` bytes between them."""
    found: list[tuple[int, int]] = []
    at = taken = 0
    # Other encodings than UTF-8 have zeros in the first character, which is a bracket.
    while b"\0" not in body[:4] and (start := _find(body, _QUOTE, at)) >= 0:
        start += 1
        end = _find(body, _QUOTE, start)
        while end >= 0 and _is_escaped(body, end, start):
            end = _find(body, _QUOTE, end + 1)
        if end < 0:
            break  # JSON's parser says what is wrong
        if end - start >= LONG and _find(body, _BACKSLASH, start, end) < 0:
            found.append((start, end))
            taken += end - start
        at = end + 1
        if at - taken > rest:
            break
    if len(body) - taken > rest:
        raise OverflowError
    return found


def _find(body: bytes | bytearray, what: bytes, start: int, end: int | None = None) -> int:
    """As bytes.find, for one byte, but a piece at a time."""
    size = len(body) if end is None else end
    for at in range(start, size, _PIECE):
        found = body.find(what, at, min(at + _PIECE, size))
        if found >= 0:
            return found
    return -1


def _is_escaped(body: bytes | bytearray, quote: int, start: int) -> bool:
    at = quote
    while at > start and body[at - 1] == 0x5C:
        at -= 1
    return (quote - at) % 2 == 1


def _put_back(value: Any, names: dict[str, LongText]) -> Any:
    if isinstance(value, str):
        return names.get(value, value) if len(value) == 32 else value
    if isinstance(value, list):
        return [_put_back(item, names) for item in value]
    if isinstance(value, dict):
        return {
            names[key].text() if key in names else key: _put_back(item, names)
            for key, item in value.items()
        }
    return value
