"""JSON in and out, as AWS's Python runtime does it."""

from __future__ import annotations

import importlib
import json
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

_ENSURE_ASCII = sys.version_info < (3, 12)  # AWS: non-ASCII goes out as it is on python3.12+

# Where the runtime's simplejson is; set at boot.
runtime_paths: list[str] = []


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
