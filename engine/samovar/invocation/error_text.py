"""What a function's error says, for people and dead letters: no other payload is ever read."""

from __future__ import annotations

import json

MOST = 1024  # bytes of a text that are kept: a dead letter has no more (developer guide: 1 KB)
_READ = 1 << 20  # bytes of an error that are read as JSON: its objects may take 25 times that


def error_of(payload: bytes, error_type: str | None) -> tuple[str, str]:
    """The type and the message of an error's payload, as its runtime or the platform made it."""
    try:
        document = json.loads(payload) if len(payload) <= _READ else None
        if isinstance(document, dict):
            kind = document.get("errorType") or error_type or ""
            return str(kind), str(document.get("errorMessage", ""))
    except (ValueError, RecursionError):
        pass
    return error_type or "", payload[: MOST + 1].decode(errors="replace")


def shortened(text: str) -> str:
    """The first 1 KB of a text, of what UTF-8 can hold: the name of a file in it need not be."""
    return text[:MOST].encode(errors="replace")[:MOST].decode(errors="ignore")
