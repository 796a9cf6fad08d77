"""Synchronous invocation: the caller waits for the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.invocation import lineage
from samovar.invocation.identity import Identities
from samovar.model import limits
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.invocation import Invocation, Outcome
from samovar.model.payload import too_large
from samovar.registry.recursion import RecursiveLoop
from samovar.scheduler.driver import Scheduler

_log = logging.getLogger(__name__)

Resolve = Callable[[str, str | None], FunctionVersion]
InLoop = Callable[[str], RecursiveLoop]  # what a function in a loop is to meet with


class Invoker:
    """Resolves once, at the door, and hands one envelope to the scheduler."""

    def __init__(
        self,
        resolve: Resolve,
        scheduler: Scheduler,
        clock: Clock,
        in_loop: InLoop,
        tell_stopped: Callable[[str], None],
    ) -> None:
        """`tell_stopped` is told the name of each function that is stopped in a loop."""
        self._resolve = resolve
        self._in_loop = in_loop
        self._tell_stopped = tell_stopped
        self._scheduler = scheduler
        self._clock = clock
        self._identities = Identities()

    def invoke(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None = None,
        function_arn: str | None = None,
        client_context: str | None = None,
        trace: str | None = None,
        log_tail: bool = False,
        request_id: str | None = None,
    ) -> asyncio.Future[Outcome]:
        """Run a function; the future has its outcome, or ClientError or EngineError.

        `payload` is raw JSON (empty: the handler gets `{}`); `function_arn` is the ARN as invoked,
        made from `name` and `qualifier` if not given; `trace` is that of the chain of calls which
        this one belongs to, if there is one. Not a coroutine: a second one on the way of
        each invocation would cost a microsecond. Raises ClientError (unknown function, too large);
        the future may raise others (not JSON, throttled, lost).
        """
        version = self._resolve(name, qualifier)
        if len(payload) > limits.SYNC_PAYLOAD_SIZE:
            raise too_large(len(payload), limits.SYNC_PAYLOAD_SIZE, "RequestResponse")
        if function_arn is None:
            function_arn = version.arn_as_invoked(qualifier)
        invocation = Invocation(
            request_id or self._identities.request_id(),
            function_arn,
            payload,
            client_context,
            self._followed(trace, version) if trace else self._identities.trace(self._clock.wall()),
            log_tail,
            qualifier or LATEST,
        )
        return self._scheduler.submit(invocation, version)

    def _followed(self, trace: str, version: FunctionVersion) -> str:
        """The trace of a call that belongs to a chain; raises ClientError if that is a loop."""
        followed, count = lineage.follow(trace, version.arn)
        if count >= lineage.LIMIT and self._in_loop(version.name) is RecursiveLoop.TERMINATE:
            _log.warning("%s was stopped in a loop: %s", version.arn, followed)
            self._tell_stopped(version.name)
            raise ClientError(
                AWS.RECURSIVE_INVOCATION,
                f"{version.arn} was invoked in a recursive loop and is stopped: one chain of "
                f"calls has come by {count} times. If that is meant, set its RecursiveLoop to "
                "Allow with PutFunctionRecursionConfig.",
            )
        return followed
