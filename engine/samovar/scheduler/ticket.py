"""An invocation on its way through the scheduler, and the outcome it becomes."""

from __future__ import annotations

import asyncio

from samovar.context.run import Verdict
from samovar.errors import AWS, ClientError, EngineError, NotRun, SamovarError
from samovar.metrics.observer import Observer
from samovar.model.function import FunctionVersion
from samovar.model.invocation import ColdStart, Invocation, Outcome, StartKind
from samovar.model.payload import not_json
from samovar.scheduler.commands import Refusal

# AWS's reasons, in the 429's body. Which of them a function gets that scales too fast is
# unconfirmed: the rate limit's is the nearest. The last two are this engine's own limits; to AWS's
# clients they are the account's, and the message says what they are.
_CONCURRENT = "ConcurrentInvocationLimitExceeded"
_RATE = "FunctionInvocationRateLimitExceeded"
_THROTTLES = {
    Refusal.ACCOUNT: _CONCURRENT,
    Refusal.RESERVED: f"ReservedFunction{_CONCURRENT}",
    Refusal.SCALING_RATE: _RATE,
    Refusal.REQUEST_RATE: _RATE,
    Refusal.RESERVED_SCALING_RATE: f"Reserved{_RATE}",
    Refusal.RESERVED_REQUEST_RATE: f"Reserved{_RATE}",
    Refusal.CONTEXTS: _CONCURRENT,
    Refusal.MEMORY: _CONCURRENT,
}
# Seconds that the caller is told to wait (unconfirmed): rates are counted by the second.
_RETRY_AFTER = "1"
_HOST_LIMITS = (Refusal.CONTEXTS, Refusal.MEMORY)


class Ticket:
    """Waits for a context, is its `Run` there, and settles `future` with an Outcome or an error.

    Of what the driver sets, `cold` says that this is the first run of a context that was started
    for it, `provisioned` that the context was started ahead of need, `spilled` that there should
    have been one such for it.
    """

    __slots__ = (
        "_observer",
        "accepted",
        "cold",
        "context_id",
        "future",
        "init_shown",
        "invocation",
        "provisioned",
        "spilled",
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
        self.provisioned = False
        self.spilled = False
        self.cold: ColdStart | None = None
        self.started = 0.0
        self.init_shown: float | None = None
        self._observer = observer

    def finished(self, verdict: Verdict) -> None:
        """Part of `Run`: the context is done with it."""
        version = self.version
        if isinstance(verdict.refused, ClientError):
            self._observer.invocation_failed(version.name, "restore failed")
            self.fail(verdict.refused)
            return
        if verdict.refused is not None:
            self.fail(not_json(verdict.refused))
            return
        if verdict.broken is not None:
            self._observer.invocation_failed(version.name, "context lost")
            self.fail(
                EngineError(f"The invocation was lost and may have run in part: {verdict.broken}")
            )
            return
        queued = self.started - self.accepted
        if self.provisioned:
            start = StartKind.PROVISIONED
        else:
            start = StartKind.COLD if self.cold is not None else StartKind.WARM
        overhead = 0.0
        if verdict.in_handler is not None:
            overhead = verdict.duration - verdict.in_handler
            if overhead < 0 or verdict.in_handler < 0:
                overhead = 0.0  # no worker's word can be so: it would spoil the sum for all
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
        if self.spilled:
            self._observer.invocation_spilled_over(
                version.name, self.invocation.qualifier, version.version
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
        limit = _THROTTLES.get(refusal)
        if limit is not None:
            # AWS counts an event that has to wait among those of asynchronous invocation alone.
            if not self.invocation.asynchronous:
                self._observer.invocation_throttled(
                    name, self.invocation.qualifier, self.version.version, refusal.value
                )
            message = "Rate Exceeded."
            if refusal in _HOST_LIMITS:
                message += f" This engine: {reason}."
            told = {"Reason": limit, "retryAfterSeconds": _RETRY_AFTER}
            self.fail(ClientError(AWS.TOO_MANY_REQUESTS, message, **told))
        elif refusal is Refusal.STOPPING:
            self._observer.invocation_failed(name, "stopping")
            self.fail(NotRun("The engine is stopping; nothing was run."))
        else:
            self._observer.invocation_failed(name, "context not started")
            self.fail(NotRun(f"No context could be started; nothing was run: {reason}"))

    def fail(self, error: SamovarError) -> None:
        if not self.future.done():
            self.future.set_exception(error)
