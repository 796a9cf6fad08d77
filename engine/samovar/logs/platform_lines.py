"""The platform's lines: START, END, REPORT and so on, as text or as JSON. Pure.

Which lines a JSON log has at which SystemLogLevel: INFO has `platform.start` and `platform.report`,
DEBUG all, WARN only what went wrong (developer guide, «Log-level filtering»).
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

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
)


def lines(stream: LogStream, now: float, request_id: str, event: PlatformEvent) -> list[str]:
    """The lines that `event` makes in `stream`, without their newlines; may be none."""
    if not stream.json:
        return _text(stream, request_id, event)
    return [
        json.dumps(
            {"time": iso(now), "type": f"platform.{kind}", "record": record},
            separators=(",", ":"),
        )
        for kind, level, record in _records(stream, request_id, event)
        if level >= stream.level
    ]


def iso(now: float) -> str:
    """`2026-01-31T23:59:59.123Z`."""
    milliseconds = int(now * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"


def _text(stream: LogStream, request_id: str, event: PlatformEvent) -> list[str]:
    kind = type(event)
    if kind is Started:
        return [f"START RequestId: {request_id} Version: {stream.version}"]
    if isinstance(event, Ended):
        return [f"END RequestId: {request_id}", report_line(request_id, event)]
    if isinstance(event, InitStarted | InitEnded | RestoreStarted | RestoreEnded):
        return _opening_text(stream, event)
    if not isinstance(event, Dropped):
        return []
    # AWS has no text form of it.
    return [f"LOGS_DROPPED Records: {event.records}\tBytes: {event.size}\tReason: {event.reason}\t"]


def _opening_text(
    stream: LogStream, event: InitStarted | InitEnded | RestoreStarted | RestoreEnded
) -> list[str]:
    if isinstance(event, InitEnded):
        # Of an init on demand that succeeded, REPORT tells.
        told = event.status != "success" or stream.initialization != "on-demand"
        return [init_report_line(event)] if told else []
    if isinstance(event, RestoreEnded):
        return [restore_report_line(event)]
    kind = "INIT_START" if isinstance(event, InitStarted) else "RESTORE_START"
    return [f"{kind} Runtime Version: {stream.runtime}\tRuntime Version ARN: {stream.runtime_arn}"]


def billed(event: Ended) -> int:
    """Milliseconds: the init of a cold start is billed (AWS since 2025-08-01), rounded up
    together with the duration; of a restore the part that the runtime takes, by itself."""
    init = 0.0 if event.init is None else event.init
    own = math.ceil(round(event.duration * 1000, 2) + round(init * 1000, 2))
    return own + event.billed_restore


def report_line(request_id: str, event: Ended) -> str:
    """REPORT, tab separated with a trailing tab."""
    init = "" if event.init is None else f"Init Duration: {event.init * 1000:.2f} ms\t"
    if event.restore is not None:
        init = (
            f"Restore Duration: {event.restore * 1000:.2f} ms\t"
            f"Billed Restore Duration: {event.billed_restore} ms\t"
        )
    status = ""
    if event.status == "timeout":
        status = "Status: timeout\t"
    elif event.by_platform and event.error_type is not None:
        status = f"Status: error\tError Type: {event.error_type}\t"
    return (
        f"REPORT RequestId: {request_id}\tDuration: {event.duration * 1000:.2f} ms\t"
        f"Billed Duration: {billed(event)} ms\tMemory Size: {event.memory_size} MB\t"
        f"Max Memory Used: {event.memory_used} MB\t{init}{status}"
    )


def init_report_line(event: InitEnded) -> str:
    """INIT_REPORT of an init that failed, or that no invocation waited for."""
    took = f"{event.seconds * 1000:.2f} ms"
    return f"INIT_REPORT Init Duration: {took}\tPhase: {event.phase}\t{_status(event)}"


def restore_report_line(event: RestoreEnded) -> str:
    """RESTORE_REPORT; of one that succeeded there is no more to say."""
    status = "" if event.status == "success" else _status(event)
    return f"RESTORE_REPORT Restore Duration: {event.seconds * 1000:.2f} ms\t{status}"


def _status(event: InitEnded | RestoreEnded) -> str:
    kind = "" if event.error_type is None else f"Error Type: {event.error_type}\t"
    return f"Status: {event.status}\t{kind}"


def _records(
    stream: LogStream, request_id: str, event: PlatformEvent
) -> list[tuple[str, Level, dict[str, Any]]]:
    """Type, level and record of the JSON lines of `event`."""
    if isinstance(event, Started):
        start = {
            "requestId": request_id,
            "functionArn": event.function_arn,
            "version": stream.version,
        }
        return [("start", Level.INFO, start)]
    if isinstance(event, Ended):
        return _ended(request_id, event)
    if isinstance(event, InitStarted | InitEnded | RestoreStarted | RestoreEnded):
        return _opening_records(stream, event)
    if isinstance(event, Closed):
        return []
    dropped = {
        "droppedRecords": event.records,
        "droppedBytes": event.size,
        "reason": event.reason,
    }
    return [("logsDropped", Level.WARN, dropped)]


def _opening_records(
    stream: LogStream, event: InitStarted | InitEnded | RestoreStarted | RestoreEnded
) -> list[tuple[str, Level, dict[str, Any]]]:
    about: dict[str, Any] = {}
    if isinstance(event, InitStarted | InitEnded):
        about = {
            "initializationType": stream.initialization,
            "phase": event.phase if isinstance(event, InitEnded) else "init",
        }
    kind = "init" if about else "restore"
    if isinstance(event, InitStarted | RestoreStarted):
        begun = {
            **about,
            "runtimeVersion": stream.runtime,
            "runtimeVersionArn": stream.runtime_arn,
            "functionName": stream.function,
            "functionVersion": stream.version,
        }
        return [(f"{kind}Start", Level.DEBUG, begun)]
    level = Level.DEBUG if event.status == "success" else Level.WARN
    done = {**about, "status": event.status}
    if event.error_type is not None:
        done["errorType"] = event.error_type
    report = {**done, "metrics": {"durationMs": _ms(event.seconds)}}
    return [(f"{kind}RuntimeDone", level, done), (f"{kind}Report", level, report)]


def _ended(request_id: str, event: Ended) -> list[tuple[str, Level, dict[str, Any]]]:
    good = event.status == "success"
    ending: dict[str, Any] = {"status": event.status}
    if event.error_type is not None:
        ending["errorType"] = event.error_type
    metrics: dict[str, Any] = {
        "durationMs": _ms(event.duration),
        "billedDurationMs": billed(event),
        "memorySizeMB": event.memory_size,
        "maxMemoryUsedMB": event.memory_used,
    }
    if event.init is not None:
        metrics["initDurationMs"] = _ms(event.init)
    if event.restore is not None:
        metrics["restoreDurationMs"] = _ms(event.restore)
        metrics["billedRestoreDurationMs"] = event.billed_restore
    ran = {"durationMs": metrics["durationMs"]}
    return [
        (
            "runtimeDone",
            Level.DEBUG if good else Level.WARN,
            {"requestId": request_id, **ending, "metrics": ran},
        ),
        (
            "report",
            Level.INFO if good else Level.WARN,
            {"requestId": request_id, "metrics": metrics, **ending},
        ),
    ]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
