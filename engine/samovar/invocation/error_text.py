"""What a function's error says, for people and dead letters: no other payload is ever read."""

from __future__ import annotations

import json


def error_of(payload: bytes, error_type: str | None) -> tuple[str, str]:
    """The type and the message of an error's payload, as its runtime or the platform made it."""
    try:
        document = json.loads(payload)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return error_type or "", payload[:1024].decode(errors="replace")
    kind = document.get("errorType") or error_type or ""
    return str(kind), str(document.get("errorMessage", ""))
