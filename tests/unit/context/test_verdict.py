"""The platform's errors, word for word (reference 1.2)."""

from __future__ import annotations

import json
import signal

import pytest

from samovar.context import verdict

ID = "8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"


@pytest.mark.parametrize(
    ("timeout", "shown"), [(1, "1.00"), (3, "3.00"), (900, "900.00"), (0.5, "0.50")]
)
def test_a_timeout(timeout: float, shown: str) -> None:
    error = verdict.timed_out(ID, timeout)
    assert error.error_type == "Sandbox.Timedout"
    assert error.to_json().decode() == (
        '{"errorType":"Sandbox.Timedout","errorMessage":'
        f'"RequestId: {ID} Error: Task timed out after {shown} seconds"}}'
    )


@pytest.mark.parametrize(
    ("code", "number", "how"),
    [
        (0, None, "exited without providing a reason"),
        (1, None, "exited with error: exit status 1"),
        (127, None, "exited with error: exit status 127"),
        (255, None, "exited with error: exit status 255"),
        (None, signal.SIGKILL, "exited with error: signal: killed"),
        (None, signal.SIGSEGV, "exited with error: signal: segmentation fault"),
        (None, signal.SIGABRT, "exited with error: signal: aborted"),
        (None, signal.SIGHUP, "exited with error: signal: hangup"),
        (None, signal.SIGINT, "exited with error: signal: interrupt"),
        (None, signal.SIGQUIT, "exited with error: signal: quit"),
        (None, signal.SIGILL, "exited with error: signal: illegal instruction"),
        (None, signal.SIGTRAP, "exited with error: signal: trace/breakpoint trap"),
        (None, signal.SIGBUS, "exited with error: signal: bus error"),
        (None, signal.SIGFPE, "exited with error: signal: floating point exception"),
        (None, signal.SIGUSR1, "exited with error: signal: user defined signal 1"),
        (None, signal.SIGUSR2, "exited with error: signal: user defined signal 2"),
        (None, signal.SIGPIPE, "exited with error: signal: broken pipe"),
        (None, signal.SIGALRM, "exited with error: signal: alarm clock"),
        (None, signal.SIGTERM, "exited with error: signal: terminated"),
        (None, signal.SIGXCPU, "exited with error: signal: signal 24"),
        (None, 64, "exited with error: signal: signal 64"),
    ],
)
def test_an_exit(code: int | None, number: int | None, how: str) -> None:
    error = verdict.exited(ID, verdict.Exit(code, None if number is None else int(number)))
    assert error.error_type == "Runtime.ExitError"
    assert error.to_json().decode() == (
        f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {ID} Error: Runtime {how}"}}'
    )
    assert list(json.loads(error.to_json())) == ["errorType", "errorMessage"]


def test_an_exit_for_want_of_memory() -> None:
    error = verdict.exited(ID, verdict.Exit(None, 9, out_of_memory=True))
    assert error.error_type == "Runtime.OutOfMemory"
    assert error.message == f"RequestId: {ID} Error: Runtime exited with error: signal: killed"


@pytest.mark.parametrize(
    ("error_type", "out_of_time", "broken", "status"),
    [
        (None, False, None, "success"),
        ("ValueError", False, None, "error"),
        ("Runtime.ExitError", False, None, "error"),
        ("Sandbox.Timedout", True, None, "timeout"),
        (None, False, "the zygote died", "failure"),
    ],
)
def test_how_it_ended(
    error_type: str | None, out_of_time: bool, broken: str | None, status: str
) -> None:
    assert verdict.status(error_type, out_of_time, broken) == status


def test_the_name_of_every_failure() -> None:
    assert verdict.UNHANDLED == "Unhandled"
