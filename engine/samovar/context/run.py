"""One invocation on its way through a context, and what the context made of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from samovar.errors import ClientError
from samovar.model.invocation import Invocation


class Verdict(NamedTuple):
    """How a run ended. Exactly one of: a payload (with or without `function_error`), `refused`
    (nothing ran: why the event is not JSON, or the error to raise), `broken` (our fault, by name).

    `duration`: seconds from dispatch to reply; `in_handler`: the worker's own measure of it, or
    None where there is none; `memory_used`: MB.
    """

    payload: bytes
    duration: float
    memory_used: int
    function_error: str | None = None
    error_type: str | None = None
    in_handler: float | None = None
    log_tail: bytes = b""
    refused: str | ClientError | None = None
    broken: str | None = None


class Run(Protocol):
    """What a context needs to run an invocation, and whom to tell.

    `started` (monotonic) is the context's to set; `init_shown`: seconds of Init Duration that
    this run's REPORT has to carry, or None.
    """

    invocation: Invocation
    started: float
    init_shown: float | None

    def finished(self, verdict: Verdict) -> None:
        """Called exactly once, on the loop."""
