"""Request ids: random UUIDs (version 4), one per reply, cheap enough for the invoke path."""

from __future__ import annotations

import os
import re

_BATCH = 256  # ids per read of the kernel's generator: the system call is most of an id's cost
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VARIANT = "89ab" * 4  # by the hex digit's low bits: RFC 9562's variant is the two bits «10»


class RequestIds:
    """Makes request ids. For one thread, and for a process that doesn't fork."""

    __slots__ = ("_at", "_hex")

    def __init__(self) -> None:
        self._hex = ""
        self._at = 0

    def next(self) -> str:
        """A new UUID in lower case."""
        at = self._at
        if at >= len(self._hex):
            self._hex = os.urandom(16 * _BATCH).hex()
            at = 0
        self._at = at + 32
        h = self._hex[at : at + 32]
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[int(h[16], 16)]}{h[17:20]}-{h[20:]}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual spelling, of any version."""
    return _UUID.fullmatch(text) is not None
