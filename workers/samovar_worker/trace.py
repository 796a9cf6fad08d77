"""`_X_AMZN_TRACE_ID`: set for each invocation, gone where there is none."""

from __future__ import annotations

import ctypes
import os

_NAME = b"_X_AMZN_TRACE_ID"
_PREFIX = _NAME + b"="
# The variable as C sees it. setenv would keep every value that it was ever given (glibc), a leak of
# a hundred bytes an invocation; of a string given to putenv POSIX says that it may be altered.
_line = ctypes.create_string_buffer(1024)
_putenv = ctypes.CDLL(None).putenv
# What `os.environ` wraps; where there is none, `os.environ[...]` itself serves.
_data: dict[bytes, bytes] | None = getattr(os.environ, "_data", None)


class _Shown:
    value: bytes | None = None  # what stands in `_line` and in `_data`, while nobody else writes


def set_trace(trace: str | None) -> None:
    """Make `trace` the trace header of the invocation that begins."""
    if trace is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
        _Shown.value = None
        return
    value = trace.encode("utf-8", "surrogateescape")
    if _data is None or len(value) > len(_line) - len(_PREFIX) - 1:
        os.environ["_X_AMZN_TRACE_ID"] = trace
        _Shown.value = None
        return
    _line.value = _PREFIX + value
    shown = _Shown.value
    if shown is None or _data.get(_NAME) is not shown:
        _putenv(_line)
    _data[_NAME] = _Shown.value = value
