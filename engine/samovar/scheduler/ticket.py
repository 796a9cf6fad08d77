"""An invocation on its way through the scheduler, and the outcome it becomes."""

from __future__ import annotations

import asyncio

from samovar.context.run import Verdict
from samovar.errors import AWS, ClientError, EngineError, SamovarError
from samovar.metrics.observer import Observer
from samovar.model.function import FunctionVersion
from samovar.model.invocation import ColdStart, Invocation, Outcome, StartKind
from samovar.scheduler.commands import Refusal

_NOT_JSON = "Could not parse request body into json: Could not parse payload into json: "


class Ticket:
    """Waits for a context, is its `Run` there, and settles `future` with an Outcome or an error.

    `cold` is set by the driver when this is the first run of the context that was started for it.
    """

    __slots__ = (
        "_observer",
        "accepted",
        "cold",
        "context_id",
        "future",
        "init_shown",
        "invocation",
        "started",
        "version",
        "waited",
    )

    def __init__(
        self,
        invocation: Invocation,
        version: FunctionVersion,
        accepted: float,
        future: asyncio.Future[Outcome],
        observer: Observer,
    ) -> None:
        self.invocation = invocation
        self.version = version
        self.accepted = accepted
        self.future = future
        self.context_id = ""
        self.waited = False
        self.cold: ColdStart | None = None
        self.started = 0.0
        self.init_shown: float | None = None
        self._observer = observer

    def finished(self, verdict: Verdict) -> None:
        """Part of `Run`: the context is done with it."""
        version = self.version
        if verdict.refused is not None:
            self.fail(ClientError(AWS.INVALID_REQUEST_CONTENT, _NOT_JSON + verdict.refused))
            return
        if verdict.broken is not None:
            self._observer.invocation_failed(version.name, "context lost")
            self.fail(
                EngineError(f"The invocation was lost and may have run in part: {verdict.broken}")
            )
            return
        queued = self.started - self.accepted
        start = StartKind.COLD if self.cold is not None else StartKind.WARM
        overhead = 0.0
        if verdict.in_handler is not None:
            overhead = verdict.duration - verdict.in_handler
            if not self.waited:
                overhead += queued
        self._observer.invocation_finished(
            version.name,
            self.invocation.qualifier,
            version.version,
            start,
            queued + verdict.duration,
            overhead,
            verdict.error_type or "",
        )
        if self.future.done():
            return  # the caller went away; the invocation ran to its end all the same
        self.future.set_result(
            Outcome(
                self.invocation.request_id,
                verdict.payload,
                version.version,
                self.context_id,
                start,
                verdict.duration,
                queued,
                verdict.memory_used,
                verdict.function_error,
                verdict.error_type,
                verdict.log_tail,
                self.cold,
            )
        )

    def refuse(self, refusal: Refusal, reason: str) -> None:
        """The scheduler has no context for it."""
        name = self.version.name
        if refusal is Refusal.CONCURRENCY:
            limit = "ConcurrentInvocationLimitExceeded"
            self._observer.invocation_throttled(
                name, self.invocation.qualifier, self.version.version, limit
            )
            self.fail(ClientError(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.", Reason=limit))
        elif refusal is Refusal.STOPPING:
            self._observer.invocation_failed(name, "stopping")
            self.fail(EngineError("The engine is stopping; nothing was run."))
        else:
            self._observer.invocation_failed(name, "context not started")
            self.fail(EngineError(f"No context could be started; nothing was run: {reason}"))

    def fail(self, error: SamovarError) -> None:
        if not self.future.done():
            self.future.set_exception(error)
