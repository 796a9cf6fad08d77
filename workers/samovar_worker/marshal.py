"""JSON in and out, as AWS's Python runtime does it."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable
from json.encoder import (  # type: ignore[attr-defined]
    c_encode_basestring,
    c_encode_basestring_ascii,
    c_make_encoder,
)
from marshal import dumps
from typing import Any

from samovar_worker.handler import Fault

# Jackson's StreamReadConstraints: AWS refuses documents nested deeper than this.
_MAX_DEPTH = 1000
# Possessive: a repetition that may be taken back remembers every step (120 B per byte of event).
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?')
_ENSURE_ASCII = sys.version_info < (3, 12)  # AWS: non-ASCII goes out as it is on python3.12+
_TOKENS = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'"

# Where the runtime's simplejson is; set at boot.
runtime_paths: list[str] = []


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
    if len(payload) <= _MAX_DEPTH:  # too short to be too deep: nearly every event
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
    if len(payload) > _MAX_DEPTH and _too_deep(payload):
        raise InvalidEvent(
            f"Document nesting depth ({_MAX_DEPTH + 1}) exceeds the maximum allowed ({_MAX_DEPTH}, "
            "from `StreamReadConstraints.getMaxNestingDepth()`)" + _where(1, 1)
        )
    limit = sys.getrecursionlimit()
    try:
        # To 3.11 the scanner's depth counts as Python's, and the function may have left less.
        sys.setrecursionlimit(max(limit, 3 * _MAX_DEPTH))
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


def _too_deep(payload: bytes) -> bool:
    if payload.count(b"[") + payload.count(b"{") <= _MAX_DEPTH:
        return False
    depth = 0
    for byte in _STRING.sub(b"", payload):
        if byte in b"[{":
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif byte in b"]}":
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


def _default(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _make_encode() -> Callable[[object], str]:
    encoder = json.JSONEncoder(ensure_ascii=_ENSURE_ASCII, default=_default)
    if c_make_encoder is None or (_ENSURE_ASCII is False and c_encode_basestring is None):
        return encoder.encode
    # What `encode` makes anew for every result, half of its cost for a small one. The dictionary
    # is its guard against cycles, and clean again after every result that went well.
    text = c_encode_basestring_ascii if _ENSURE_ASCII else c_encode_basestring
    chunks = c_make_encoder({}, _default, text, None, ": ", ", ", False, False, True)
    return lambda result: "".join(chunks(result, 0))


_encode = _make_encode()


def dump_result(result: object) -> bytes:
    """The JSON of a handler's result; bytes go out unmodified. Raises Fault.

    AWS's runtime writes it with simplejson. The encoder here is faster and writes the same, but
    for what it can't write at all and for named tuples, which are objects there.
    """
    global _encode  # noqa: PLW0603  # made anew when a result spoils it
    if isinstance(result, bytes):
        return result
    try:
        text = _encode(result)
        if "[" not in text or not _has_named_tuple(result):
            return text.encode()
    except RecursionError as error:
        _encode = _make_encode()
        raise _unmarshallable(error) from None
    except BaseException as error:
        _encode = _make_encode()
        if not isinstance(error, Exception):
            raise
    try:
        return _encode_as_aws(result).encode()
    except Exception as error:
        raise _unmarshallable(error) from None


def _unmarshallable(error: Exception) -> Fault:
    return Fault("Runtime.MarshalError", f"Unable to marshal response: {error}")


def _has_named_tuple(result: object) -> bool:
    """Only for what has been encoded: there are no circles in it."""
    try:
        dumps(result)  # type: ignore[arg-type]  # takes exact types only, and looks at them at the speed of C
    except ValueError:
        pass
    else:
        return False
    # Level by level, because the types of a whole level are found at the speed of C.
    level: list[object] = [result]
    while any(issubclass(kind, (dict, list, tuple)) for kind in set(map(type, level))):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, (list, tuple)):
                if hasattr(item, "_asdict"):
                    return True
                below += item
        level = below
    return False


def _encode_as_aws(result: object) -> str:
    import decimal

    simplejson = _simplejson()

    def default(value: object) -> object:
        # simplejson's own way with a Decimal would write -NaN, which nobody can read.
        if isinstance(value, decimal.Decimal):
            return float("nan") if value.is_nan() else simplejson.RawJSON(str(value))
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    text: str = simplejson.dumps(
        result, use_decimal=False, ensure_ascii=_ENSURE_ASCII, allow_nan=True, default=default
    )
    return text


_loaded: list[Any] = []


def _simplejson() -> Any:
    """The runtime's simplejson; the function may have another one, or something else of the name,
    and neither gets in the way of the other."""
    if not _loaded:
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec("simplejson", runtime_paths)
        if spec is None or spec.loader is None:
            raise ImportError("simplejson is missing from the runtime")
        theirs = sys.modules.get("simplejson")
        found = getattr(theirs, "__spec__", None) if theirs else PathFinder.find_spec("simplejson")
        if found is not None and found.origin == spec.origin:
            # The function's is the runtime's. Its C extension knows one copy only: the latest.
            _loaded.append(importlib.import_module("simplejson"))
        else:
            _loaded.append(_load_aside(spec))
    return _loaded[0]


def _load_aside(spec: Any) -> Any:
    from importlib.util import module_from_spec

    theirs = _take_out("simplejson")
    try:
        module = sys.modules["simplejson"] = module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        _take_out("simplejson")
        sys.modules.update(theirs)
    return module


def _take_out(package: str) -> dict[str, Any]:
    names = [name for name in sys.modules if name.partition(".")[0] == package]
    return {name: sys.modules.pop(name) for name in names}
