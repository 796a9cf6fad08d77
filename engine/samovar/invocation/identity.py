"""Request ids and trace headers, as cheap as they can be: one of each per invocation."""

from __future__ import annotations

import os
import re

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# A batch shares its first digits; 48 random bits are each one's own. That two of the same 64 are
# equal happens once in 10^11 batches.
_OWN = 12  # hex digits
_BATCH = 64


class Identities:
    """Makes request ids and trace headers: unique, not secret. For one thread, and for a process
    that does not fork: a fork would hand out the same ones."""

    __slots__ = ("_at", "_digits", "_end", "_moment", "_parent", "_prefix", "_root", "_trace")

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0
        self._prefix = ""  # of a request id
        self._trace = ""  # of a trace's root, behind the time
        self._moment = -1
        self._root = ""  # Root=1-<moment>-<trace>
        self._parent = ""
        self._end = ""

    def request_id(self) -> str:
        """A UUID version 4, lower case; a tenth of the cost of `str(uuid.uuid4())`."""
        at = self._at
        own = self._digits[at : at + _OWN]
        if not own:
            self._renew()
            at = 0
            own = self._digits[:_OWN]
        self._at = at + _OWN
        return self._prefix + own

    def trace(self, now: float) -> str:
        """An X-Amzn-Trace-Id that is not sampled; `now` is epoch seconds."""
        at = self._at
        own = self._digits[at : at + _OWN]
        if not own:
            self._renew()
            at = 0
            own = self._digits[:_OWN]
        self._at = at + _OWN
        moment = int(now)
        if moment != self._moment:
            self._moment = moment
            self._root = f"Root=1-{moment:08x}-{self._trace}"
        return f"{self._root}{own}{self._parent}{own}{self._end}"

    def _renew(self) -> None:
        h = os.urandom(32 + _OWN * _BATCH // 2).hex()
        self._digits = h[64:]
        self._prefix = f"{h[:8]}-{h[8:12]}-4{h[12:15]}-{'89ab'[int(h[15], 16) % 4]}{h[16:19]}-"
        self._trace = h[20:32]
        self._moment = -1
        self._parent = f";Parent={h[32:36]}"
        self._end = f";Sampled=0;Lineage=1:{h[36:44]}:0"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual spelling, of any version."""
    return _UUID.fullmatch(text) is not None
