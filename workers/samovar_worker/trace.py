"""`_X_AMZN_TRACE_ID`: set for each invocation, gone where there is none."""

from __future__ import annotations

import os

_NAME = b"_X_AMZN_TRACE_ID"
# What `os.environ` wraps. Setting through the wrapper encodes, checks and stores twice over: 1.5 us
# of an invocation's 20; `os.environ[...]` itself serves where there is no such attribute.
_data: dict[bytes, bytes] | None = getattr(os.environ, "_data", None)


def set_trace(trace: str | None) -> None:
    """Make `trace` the trace header of the invocation that begins."""
    if trace is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    elif _data is None:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    else:
        value = trace.encode("utf-8", "surrogateescape")
        os.putenv(_NAME, value)
        _data[_NAME] = value
