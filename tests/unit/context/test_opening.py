"""Why an opening failed, in the words of a version's state and of an invocation's refusal."""

from __future__ import annotations

import json

import pytest

from samovar.context.opening import Failure, failure_of, restore_error
from samovar.context.verdict import Exit
from samovar.errors import AWS

ERROR = json.dumps({"errorMessage": "not today", "errorType": "ValueError"}).encode()
LATE = "The init did not end in its time."
CASES: list[tuple[Failure, str, str]] = [
    (
        failure_of((ERROR, "ValueError"), False, Exit(1, None)),
        "FunctionError",
        "ValueError: not today",
    ),
    (
        failure_of(None, False, Exit(4, None)),
        "FunctionError.RuntimeInitError",
        "Runtime.ExitError: Runtime exited with error: exit status 4",
    ),
    (
        failure_of(None, False, Exit(None, 9)),
        "FunctionError.RuntimeInitError",
        "Runtime.ExitError: Runtime exited with error: signal: killed",
    ),
    (failure_of(None, True, Exit(None, 9)), "FunctionError.InitTimeout", LATE),
    (
        failure_of(None, False, Exit(None, 9, out_of_memory=True)),
        "FunctionError.InitResourceExhausted",
        "Runtime.OutOfMemory: Runtime exited with error: signal: killed",
    ),
    # What the worker says may be anything.
    (failure_of((b"[1]", "X"), False, Exit(1, None)), "FunctionError", "X"),
    (failure_of((b"\xff", "X"), False, Exit(1, None)), "FunctionError", "X"),
    (Failure("InternalError", b"", False), "InternalError", "InternalError"),
]


@pytest.mark.parametrize(("failure", "code", "reason"), CASES)
def test_state_reasons(failure: Failure, code: str, reason: str) -> None:
    assert (failure.state_code, failure.reason) == (code, reason)


def test_refusals() -> None:
    late = restore_error(failure_of(None, True, Exit(None, 9)))
    assert (late.error, late.error.status) == (AWS.SNAP_START_TIMEOUT, 408)
    broken = restore_error(failure_of((ERROR, "ValueError"), False, Exit(1, None)))
    assert (broken.error, broken.error.status) == (AWS.SNAP_START, 400)
