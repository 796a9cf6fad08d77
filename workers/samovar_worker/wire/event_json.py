"""An event's JSON, read as AWS's front end does: with its limits, and its words for what is wrong.

Both sides need it: a worker reads the event of each invocation, and the engine asks what is wrong
with one that can't be accepted to be run later.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

# Jackson's StreamReadConstraints: AWS refuses documents nested deeper than this.
MAX_DEPTH = 1000
# Possessive: a repetition that may be taken back remembers every step (120 B per byte of event).
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?')
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TOKENS = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'"


class InvalidEvent(Exception):
    """The payload is not JSON; the message is what AWS's front end would say."""


def _no_constant(name: str) -> object:
    raise json.JSONDecodeError(f"Unrecognized token '{name}'", name, 0)


_decoder = json.JSONDecoder(parse_constant=_no_constant)
_scan: Callable[[str, int], tuple[object, int]] = _decoder.scan_once  # type: ignore[attr-defined]


def load_event(payload: bytes) -> object:
    """The event of an invocation; no payload is `{}`. Raises InvalidEvent."""
    if not payload:
        return {}
    if len(payload) <= MAX_DEPTH:  # too short to be too deep: nearly every event
        try:
            text = payload.decode()
            value, end = _scan(text, 0)
        except (ValueError, StopIteration, RecursionError):
            pass  # blanks in front, or no JSON, or little stack left: the long way knows which
        else:
            if end == len(text):
                return value
    return _load_carefully(payload)


def _load_carefully(payload: bytes) -> object:
    broken: UnicodeDecodeError | None = None
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        broken = error
        text = payload.decode(errors="surrogateescape")
    if len(payload) > MAX_DEPTH and too_deep(payload):
        raise InvalidEvent(
            f"Document nesting depth ({MAX_DEPTH + 1}) exceeds the maximum allowed ({MAX_DEPTH}, "
            "from `StreamReadConstraints.getMaxNestingDepth()`)" + _where(1, 1)
        )
    limit = sys.getrecursionlimit()
    try:
        # To 3.11 the scanner's depth counts as Python's, and the function may have left less.
        sys.setrecursionlimit(max(limit, 3 * MAX_DEPTH))
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        # An unterminated string ends with the document.
        at = len(text) if error.msg.startswith("Unterminated string") else error.pos
        if broken is None or at < len(payload[: broken.start].decode()):
            raise InvalidEvent(_explain(text, error.msg, at)) from None
    except (ValueError, RecursionError) as error:  # an integer of more than 4,300 digits
        raise InvalidEvent(str(error) + _where(1, 1)) from None
    finally:
        sys.setrecursionlimit(limit)
    if broken is not None:
        raise InvalidEvent(_explain_utf8(payload, broken))
    return value


def too_deep(payload: bytes) -> bool:
    """Whether JSON is nested deeper than AWS takes it."""
    if payload.count(b"[") + payload.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for byte in _STRING.sub(b"", payload).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        else:
            depth -= 1
    return False


def _explain(text: str, complaint: str, at: int) -> str:
    if complaint.startswith("Unrecognized token"):
        return f"{complaint}: was expecting ({_TOKENS})" + _where(1, 1)
    before = text[:at]
    line, start = before.count("\n") + 1, before.rfind("\n") + 1
    # Jackson stands behind what it has read, and counts bytes.
    column = len(text[start : at + 1].encode()) + 1
    if at >= len(text):
        return "Unexpected end-of-input" + _where(line, column)
    what = f"Unexpected character ({_describe(text[at])}): expected a valid value ({_TOKENS})"
    return what + _where(line, column)


def _describe(character: str) -> str:
    code = ord(character)
    if code < 32 or 127 <= code < 160:
        return f"(CTRL-CHAR, code {code})"
    return f"'{character}' (code {code}" + (f" / 0x{code:x})" if code > 255 else ")")


def _explain_utf8(payload: bytes, error: UnicodeDecodeError) -> str:
    at = error.start
    if error.reason == "unexpected end of data":
        what, at = "Unexpected end-of-input", len(payload) - 1
    elif error.reason == "invalid continuation byte":
        at = error.end
        what = f"Invalid UTF-8 middle byte {payload[at]:#04x}"
    else:
        what = f"Invalid UTF-8 start byte {payload[at]:#04x}"
    before = payload[:at]
    return what + _where(before.count(b"\n") + 1, at - before.rfind(b"\n") + 1)


def _where(line: int, column: int) -> str:
    return (
        "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
        f"line: {line}, column: {column}]"
    )
