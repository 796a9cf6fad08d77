"""What AWS says of an invocation that did not answer by itself, and the lines of its log. Pure."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

UNHANDLED = "Unhandled"  # X-Amz-Function-Error of every failure of a Python function

# How Go, in which AWS's platform reports these, names signals.
_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    5: "trace/breakpoint trap",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    10: "user defined signal 1",
    11: "segmentation fault",
    12: "user defined signal 2",
    13: "broken pipe",
    14: "alarm clock",
    15: "terminated",
}


class PlatformError(NamedTuple):
    """An error that the platform reports: keys in AWS's order, `errorType` first."""

    error_type: str
    message: str

    def to_json(self) -> bytes:
        body = {"errorType": self.error_type, "errorMessage": self.message}
        return json.dumps(body, separators=(",", ":")).encode()


def timed_out(request_id: str, timeout: float) -> PlatformError:
    """The function's time was up."""
    return PlatformError(
        "Sandbox.Timedout",
        f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds",
    )


def exited(request_id: str, code: int | None, signal: int | None) -> PlatformError:
    """The process ended before it answered."""
    if signal is not None:
        how = f"exited with error: signal: {_SIGNALS.get(signal, f'signal {signal}')}"
    elif code:
        how = f"exited with error: exit status {code}"
    else:
        how = "exited without providing a reason"
    return PlatformError("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime {how}")


def report_line(
    request_id: str,
    *,
    duration: float,
    memory_size: int,
    memory_used: int,
    init: float | None,
    error_type: str | None,
) -> str:
    """REPORT, tab separated with a trailing tab; times in seconds, memory in MB.

    The init of a cold start is billed (AWS since 2025-08-01): Billed = ceil(Duration + Init).
    `error_type` only for errors that the platform reports.
    """
    milliseconds = duration * 1000
    init_ms = init * 1000 if init is not None else 0.0
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {milliseconds:.2f} ms",
        f"Billed Duration: {math.ceil(round(milliseconds, 2) + round(init_ms, 2))} ms",
        f"Memory Size: {memory_size} MB",
        f"Max Memory Used: {memory_used} MB",
    ]
    if init is not None:
        parts.append(f"Init Duration: {init_ms:.2f} ms")
    if error_type == "Sandbox.Timedout":
        parts.append("Status: timeout")
    elif error_type is not None:
        parts.append(f"Status: error\tError Type: {error_type}")
    return "\t".join(parts) + "\t\n"


def init_report_line(init: float, phase: str, error_type: str | None) -> str:
    """INIT_REPORT of an init that failed; `error_type` None means that it took too long."""
    status = f"Status: error\tError Type: {error_type}" if error_type else "Status: timeout"
    return f"INIT_REPORT Init Duration: {init * 1000:.2f} ms\tPhase: {phase}\t{status}\t\n"
