"""One request, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from samovar.model.function import LATEST

ENVELOPE_VERSION = 1


class StartKind(StrEnum):
    """How the context that served an invocation came to be ready for it."""

    COLD = "cold"
    WARM = "warm"
    PROVISIONED = "provisioned"


class Initialization(StrEnum):
    """How a context was initialised; the values are those of AWS_LAMBDA_INITIALIZATION_TYPE."""

    ON_DEMAND = "on-demand"
    PROVISIONED = "provisioned-concurrency"
    SNAP_START = "snap-start"


@dataclass(slots=True)
class Invocation:
    """The envelope: all that is handed to a pool, and all that a second node would need.

    Not frozen: creating a frozen dataclass costs 3x as much, and one is made per request. Nothing
    changes it after the door has filled it in.

    `payload` is the event's raw JSON (the engine never parses it; empty means `{}`);
    `function_arn` is the ARN as invoked (with the qualifier only if one was given);
    `client_context` is the decoded JSON text of X-Amz-Client-Context; `trace` is the
    X-Amzn-Trace-Id value that becomes `_X_AMZN_TRACE_ID`; `qualifier` is the one that was given,
    `$LATEST` where none was. `asynchronous`: nobody waits for it, and it comes again if it fails.
    """

    request_id: str
    function_arn: str
    payload: bytes
    client_context: str | None = None
    trace: str | None = None
    log_tail: bool = False
    qualifier: str = LATEST
    attempt: int = 1
    asynchronous: bool = False
    envelope: int = ENVELOPE_VERSION


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Where the time of one cold start went; seconds.

    `environment`: from the decision to start until the worker process answered (a spare makes this
    nearly nothing); `package`: fetching, checking and extracting the code, and mounting it;
    `init`: importing the handler's module.
    """

    environment: float
    package: float
    init: float


@dataclass(slots=True)
class Outcome:
    """What an invocation came to. Not frozen for the same reason as `Invocation`.

    `payload` is the result's raw JSON, or the error's when `function_error` is set («Unhandled»).
    `duration` is what REPORT calls Duration, in seconds; `queued` is the time from acceptance to
    dispatch; `max_memory_used` is in MB (peak anonymous memory of the context's process).
    `log_tail` is the last 4 KB of this invocation's log. `error_type` is AWS's error type name.
    """

    request_id: str
    payload: bytes
    executed_version: str
    context_id: str
    start: StartKind
    duration: float
    queued: float
    max_memory_used: int
    function_error: str | None = None
    error_type: str | None = None
    log_tail: bytes = b""
    cold_start: ColdStart | None = field(default=None)
