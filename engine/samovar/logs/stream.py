"""Whose log it is, and what the platform has to say in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol


class Level(IntEnum):
    """SystemLogLevel: how much of the platform's own lines a JSON log has."""

    DEBUG = 10
    INFO = 20
    WARN = 30


@dataclass(frozen=True, slots=True, eq=False)
class LogStream:
    """One context's log. `name` and `group` are CloudWatch's; `runtime` is the version as
    INIT_START shows it. `level` counts only in JSON: text logs have all lines. `initialization`
    is an Initialization's value."""

    group: str
    name: str
    function: str
    version: str = "$LATEST"
    runtime: str = ""
    runtime_arn: str = ""
    json: bool = False
    level: Level = Level.INFO
    initialization: str = "on-demand"


class InitStarted(NamedTuple):
    """An init phase begins."""


class InitEnded(NamedTuple):
    """An init is over after so many seconds; `status`: success, error or timeout. `phase`: init,
    or invoke where an invocation repeats it."""

    seconds: float
    phase: str = "init"
    status: str = "success"
    error_type: str | None = None


class RestoreStarted(NamedTuple):
    """A process that was forked from a template becomes a context's."""


class RestoreEnded(NamedTuple):
    """It has, or has not, after so many seconds; `status`: success, error or timeout."""

    seconds: float
    status: str = "success"
    error_type: str | None = None


class Started(NamedTuple):
    """An invocation begins; `function_arn` as invoked."""

    function_arn: str


class Ended(NamedTuple):
    """An invocation is over. Seconds and MB; `init`: seconds of a cold start's init, else None.
    `by_platform`: the platform reports the error, not the runtime. `restore`: seconds of a restore
    in the place of an init, of which `billed_restore` milliseconds are billed."""

    duration: float
    memory_size: int
    memory_used: int
    init: float | None = None
    error_type: str | None = None
    by_platform: bool = False
    status: str = "success"
    restore: float | None = None
    billed_restore: int = 0


class Dropped(NamedTuple):
    """Records that are not in the log, and why."""

    records: int
    size: int  # bytes
    reason: str


class Closed(NamedTuple):
    """The process behind the log is gone: what is begun stays as it is."""


PlatformEvent = (
    InitStarted | InitEnded | RestoreStarted | RestoreEnded | Started | Ended | Dropped | Closed
)


def process_over(event: PlatformEvent) -> bool:
    """Whether the process behind the log writes no more: what it began stays as it is."""
    if isinstance(event, Ended):
        return event.by_platform
    if isinstance(event, InitEnded | RestoreEnded):
        return event.status != "success"
    return isinstance(event, Closed)


class Journal(Protocol):
    """Takes what is logged. Called on the loop, for every invocation: must not block or raise."""

    def put(
        self, stream: LogStream, now: float, request_id: str, event: bytes | PlatformEvent
    ) -> None:
        """`event`: bytes as they came out of the pipe (see `wire.records`), or what the platform
        has to say; `now` is the wall clock; `request_id` is empty outside of invocations."""
