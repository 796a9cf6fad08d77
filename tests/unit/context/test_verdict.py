"""The platform's errors and the lines of its log, word for word (reference 1.2 and 1.3)."""

from __future__ import annotations

import json
import math
import re
import signal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from samovar.context import verdict

ID = "8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"


def report(duration_ms: float, init_ms: float | None = None, **given: Any) -> str:
    return verdict.report_line(
        ID,
        duration=duration_ms / 1000,
        init=None if init_ms is None else init_ms / 1000,
        **({"memory_size": 128, "memory_used": 36, "error_type": None} | given),
    )


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
    error = verdict.exited(ID, code, None if number is None else int(number))
    assert error.error_type == "Runtime.ExitError"
    assert error.to_json().decode() == (
        f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {ID} Error: Runtime {how}"}}'
    )
    assert list(json.loads(error.to_json())) == ["errorType", "errorMessage"]


def test_the_report_of_a_cold_start() -> None:
    assert report(3.01, 110.10) == (
        f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n"
    )


def test_the_report_of_a_warm_start() -> None:
    assert report(3.0149, memory_size=10240, memory_used=9000) == (
        f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 4 ms\t"
        "Memory Size: 10240 MB\tMax Memory Used: 9000 MB\t\n"
    )


def test_the_report_of_a_timeout() -> None:
    assert report(5000, error_type="Sandbox.Timedout") == (
        f"REPORT RequestId: {ID}\tDuration: 5000.00 ms\tBilled Duration: 5000 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout\t\n"
    )


def test_the_report_of_an_error_of_the_platform() -> None:
    assert report(12.34, 100, error_type="Runtime.ExitError") == (
        f"REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 113 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 100.00 ms\t"
        "Status: error\tError Type: Runtime.ExitError\t\n"
    )


@pytest.mark.parametrize(
    ("duration", "init", "billed"),
    [
        (133.61, 80.00, 214),  # the two that AWS gives
        (1233.96, 463.512, 1698),
        (1.0, None, 1),
        (1.01, None, 2),
        (0.02, None, 1),
        (5000.0, None, 5000),
        (900_000.0, 10_000.0, 910_000),
        (0.99, 0.01, 1),
        (0.57, 0.43, 1),
        (8.41, 1.59, 10),
    ],
)
def test_what_is_billed(duration: float, init: float | None, billed: int) -> None:
    assert f"\tBilled Duration: {billed} ms\t" in report(duration, init)


hundredths = st.integers(1, 90_000_000).map(lambda number: number / 100)
times = hundredths | st.floats(0.01, 900_000)


@given(times, st.none() | times)
@example(1.004, None)
@example(1.006, 0.996)
def test_what_is_billed_agrees_with_what_is_shown(duration: float, init: float | None) -> None:
    """Nobody who adds up the line gets another number."""
    line = report(duration, init)
    shown = sum(Decimal(text) for text in re.findall(r"\t(?:Init )?Duration: ([\d.]+) ms", line))
    (billed,) = re.findall(r"Billed Duration: (\d+) ms", line)
    assert int(billed) == math.ceil(shown)


@pytest.mark.parametrize("phase", ["init", "invoke"])
def test_the_report_of_a_failed_init(phase: str) -> None:
    assert verdict.init_report_line(1.67077, phase, "Runtime.ImportModuleError") == (
        f"INIT_REPORT Init Duration: 1670.77 ms\tPhase: {phase}\tStatus: error\t"
        "Error Type: Runtime.ImportModuleError\t\n"
    )
    assert verdict.init_report_line(10, phase, None) == (
        f"INIT_REPORT Init Duration: 10000.00 ms\tPhase: {phase}\tStatus: timeout\t\n"
    )


def test_the_name_of_every_failure() -> None:
    assert verdict.UNHANDLED == "Unhandled"
