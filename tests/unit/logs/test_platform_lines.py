"""The platform's lines, as text and as JSON, word for word (reference 1.3)."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from samovar.logs.platform_lines import iso, lines
from samovar.logs.stream import (
    Closed,
    Dropped,
    Ended,
    InitEnded,
    InitStarted,
    Level,
    LogStream,
    PlatformEvent,
    RestoreEnded,
    RestoreStarted,
    Started,
    process_over,
)

ID = "8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"
NOW = 1_769_903_999.1239
TIME = "2026-01-31T23:59:59.123Z"
TEXT = LogStream("/aws/lambda/f", "s", "f", "7", "python:3.12.v56", "arn:r")
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f:7"


def one(event: PlatformEvent) -> str:
    (line,) = lines(TEXT, NOW, ID, event)
    return line


def ended(duration_ms: float, init_ms: float | None = None, **given: Any) -> Ended:
    init = None if init_ms is None else init_ms / 1000
    fields: dict[str, Any] = {"memory_size": 128, "memory_used": 36} | given
    return Ended(duration_ms / 1000, init=init, **fields)


def report(duration_ms: float, init_ms: float | None = None, **given: Any) -> str:
    end, line = lines(TEXT, NOW, ID, ended(duration_ms, init_ms, **given))
    assert end == f"END RequestId: {ID}"
    return line


def test_the_lines_before_and_after() -> None:
    assert one(InitStarted()) == (
        "INIT_START Runtime Version: python:3.12.v56\tRuntime Version ARN: arn:r"
    )
    assert one(Started(ARN)) == f"START RequestId: {ID} Version: 7"
    assert one(Dropped(3, 200, "why")) == "LOGS_DROPPED Records: 3\tBytes: 200\tReason: why\t"
    assert lines(TEXT, NOW, ID, InitEnded(0.1)) == []
    assert lines(TEXT, NOW, ID, Closed()) == []


def test_an_error_of_the_function_is_not_in_the_report() -> None:
    assert report(1, error_type="ValueError", status="error") == report(1)


def test_the_report_of_a_cold_start() -> None:
    assert report(3.01, 110.10) == (
        f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t"
    )


def test_the_report_of_a_warm_start() -> None:
    assert report(3.0149, memory_size=10240, memory_used=9000) == (
        f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 4 ms\t"
        "Memory Size: 10240 MB\tMax Memory Used: 9000 MB\t"
    )


def test_the_report_of_a_timeout() -> None:
    assert report(5000, error_type="Sandbox.Timedout", by_platform=True, status="timeout") == (
        f"REPORT RequestId: {ID}\tDuration: 5000.00 ms\tBilled Duration: 5000 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout\t"
    )


def test_the_report_of_an_error_of_the_platform() -> None:
    assert report(12.34, 100, error_type="Runtime.ExitError", by_platform=True, status="error") == (
        f"REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 113 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 100.00 ms\t"
        "Status: error\tError Type: Runtime.ExitError\t"
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
    assert one(InitEnded(1.67077, phase, "error", "Runtime.ImportModuleError")) == (
        f"INIT_REPORT Init Duration: 1670.77 ms\tPhase: {phase}\tStatus: error\t"
        "Error Type: Runtime.ImportModuleError\t"
    )
    assert one(InitEnded(10, phase, "timeout")) == (
        f"INIT_REPORT Init Duration: 10000.00 ms\tPhase: {phase}\tStatus: timeout\t"
    )


def in_json(level: Level, event: PlatformEvent) -> list[Any]:
    stream = LogStream("g", "s", "f", "7", "python:3.12.v56", "arn:r", json=True, level=level)
    found = []
    for line in lines(stream, NOW, ID, event):
        assert "\n" not in line
        document = json.loads(line)
        assert list(document) == ["time", "type", "record"]
        assert document["time"] == TIME
        found.append((document["type"].removeprefix("platform."), document["record"]))
    return found


METRICS = {
    "durationMs": 3.01,
    "billedDurationMs": 114,
    "memorySizeMB": 128,
    "maxMemoryUsedMB": 36,
    "initDurationMs": 110.1,
}
INIT = {"initializationType": "on-demand", "phase": "init"}


def test_json_at_debug() -> None:
    level = Level.DEBUG
    begun = {
        **INIT,
        "runtimeVersion": "python:3.12.v56",
        "runtimeVersionArn": "arn:r",
        "functionName": "f",
        "functionVersion": "7",
    }
    assert in_json(level, InitStarted()) == [("initStart", begun)]
    good = {**INIT, "status": "success"}
    assert in_json(level, InitEnded(0.5)) == [
        ("initRuntimeDone", good),
        ("initReport", {**good, "metrics": {"durationMs": 500.0}}),
    ]
    start = {"requestId": ID, "functionArn": ARN, "version": "7"}
    assert in_json(level, Started(ARN)) == [("start", start)]
    assert in_json(level, ended(3.01, 110.10)) == [
        ("runtimeDone", {"requestId": ID, "status": "success", "metrics": {"durationMs": 3.01}}),
        ("report", {"requestId": ID, "metrics": METRICS, "status": "success"}),
    ]
    assert in_json(level, Closed()) == []


GOOD = [InitStarted(), InitEnded(0.1), Started(ARN), ended(1)]
BAD = [
    InitEnded(0.1, "init", "error", "Runtime.ExitError"),
    ended(1, status="error", error_type="ValueError"),
    ended(1, status="timeout", error_type="Sandbox.Timedout", by_platform=True),
    Dropped(1, 2, "why"),
]
FAILED = ["initRuntimeDone", "initReport", "runtimeDone", "report", "runtimeDone", "report"]


@pytest.mark.parametrize(
    ("level", "good"),
    [
        (
            Level.DEBUG,
            ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"],
        ),
        (Level.INFO, ["start", "report"]),
        (Level.WARN, []),
    ],
    ids=["DEBUG", "INFO", "WARN"],
)
def test_what_a_level_shows(level: Level, good: list[str]) -> None:
    assert [kind for event in GOOD for kind, _ in in_json(level, event)] == good
    shown = [kind for event in BAD for kind, _ in in_json(level, event)]
    assert shown == [*FAILED, "logsDropped"]


def test_json_of_failures() -> None:
    _, (_, record) = in_json(Level.WARN, ended(1, status="error", error_type="ValueError"))
    assert (record["status"], record["errorType"]) == ("error", "ValueError")
    (dropped,) = in_json(Level.WARN, Dropped(3, 200, "why"))
    assert dropped == (
        "logsDropped",
        {"droppedRecords": 3, "droppedBytes": 200, "reason": "why"},
    )


@given(st.floats(0, 4e9))
def test_times(now: float) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", iso(now))


def test_the_lines_of_a_restore() -> None:
    assert one(RestoreStarted()) == (
        "RESTORE_START Runtime Version: python:3.12.v56\tRuntime Version ARN: arn:r"
    )
    assert one(RestoreEnded(0.00205)) == "RESTORE_REPORT Restore Duration: 2.05 ms\t"
    assert one(RestoreEnded(10, "timeout")) == (
        "RESTORE_REPORT Restore Duration: 10000.00 ms\tStatus: timeout\t"
    )
    failed = RestoreEnded(0.1, "error", "Runtime.AfterRestoreError")
    assert one(failed) == (
        "RESTORE_REPORT Restore Duration: 100.00 ms\tStatus: error\t"
        "Error Type: Runtime.AfterRestoreError\t"
    )
    assert [process_over(event) for event in (RestoreEnded(1), failed)] == [False, True]


def test_a_restore_is_billed_by_itself() -> None:
    """Both parts are rounded up, as in the report of AWS's announcement (6.09 ms, 175 ms: 182)."""
    assert report(6.09, restore=0.48561, billed_restore=175) == (
        f"REPORT RequestId: {ID}\tDuration: 6.09 ms\tBilled Duration: 182 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\tRestore Duration: 485.61 ms\t"
        "Billed Restore Duration: 175 ms\t"
    )


def test_json_of_a_restore() -> None:
    stream = LogStream(
        *("g", "s", "f", "7", "python:3.12.v56", "arn:r"),
        json=True,
        level=Level.DEBUG,
        initialization="snap-start",
    )
    events = [RestoreStarted(), RestoreEnded(0.002), ended(1, restore=0.002, billed_restore=1)]
    told = [json.loads(line) for event in events for line in lines(stream, NOW, ID, event)]
    assert [line["type"].removeprefix("platform.") for line in told] == [
        *("restoreStart", "restoreRuntimeDone", "restoreReport", "runtimeDone", "report"),
    ]
    assert told[0]["record"] == {
        "runtimeVersion": "python:3.12.v56",
        "runtimeVersionArn": "arn:r",
        "functionName": "f",
        "functionVersion": "7",
    }
    assert told[2]["record"] == {"status": "success", "metrics": {"durationMs": 2.0}}
    metrics = told[4]["record"]["metrics"]
    assert (metrics["restoreDurationMs"], metrics["billedRestoreDurationMs"]) == (2.0, 1)
    assert "initDurationMs" not in metrics
    quiet = LogStream("g", "s", "f", json=True, level=Level.WARN)
    failed = RestoreEnded(1, "error", "Runtime.ExitError")
    assert len(lines(quiet, NOW, ID, failed)) == 2
