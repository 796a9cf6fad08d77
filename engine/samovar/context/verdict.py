"""What AWS says of an invocation that did not answer by itself, and how its log says it. Pure."""

from __future__ import annotations

import json
from typing import NamedTuple

OUT_OF_MEMORY = "Runtime.OutOfMemory"
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


class Exit(NamedTuple):
    """How a process ended; `out_of_memory`: it was killed because it had more than it may have."""

    code: int | None
    signal: int | None
    out_of_memory: bool = False


def exited(request_id: str, ended: Exit) -> PlatformError:
    """The process ended before it answered. That the message of one that ran out of memory is the
    same as of any that was killed is unconfirmed."""
    code, signal, out_of_memory = ended
    if signal is not None:
        how = f"exited with error: signal: {_SIGNALS.get(signal, f'signal {signal}')}"
    elif code:
        how = f"exited with error: exit status {code}"
    else:
        how = "exited without providing a reason"
    error_type = OUT_OF_MEMORY if out_of_memory else "Runtime.ExitError"
    return PlatformError(error_type, f"RequestId: {request_id} Error: Runtime {how}")


def of_exit(request_id: str, ended: Exit, timeout: float | None) -> PlatformError:
    """What a run is told whose process has ended; `timeout`: the time that it had, if that was
    up."""
    if timeout is not None:
        return timed_out(request_id, timeout)
    return exited(request_id, ended)


def status(error_type: str | None, out_of_time: bool, broken: str | None) -> str:
    """How an invocation ended, as `platform.report` says it: a function's error is an error."""
    if broken is not None:
        return "failure"
    if out_of_time:
        return "timeout"
    return "success" if error_type is None else "error"
