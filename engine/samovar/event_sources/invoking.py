"""Batches on their way into functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from samovar.clock import Clock
from samovar.invocation.identity import Identities
from samovar.model.event_source import EventSourceMapping
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.invocation import Invocation, Outcome
from samovar.scheduler.driver import Scheduler


class BatchInvoker:
    """Invokes functions as mappings name them. Nobody waits for a batch as for a call: it makes no
    events give way, and is not counted among AWS's Throttles of calls."""

    def __init__(
        self,
        resolve: Callable[[str, str | None], FunctionVersion],
        scheduler: Scheduler,
        clock: Clock,
    ) -> None:
        self._resolve = resolve
        self._scheduler = scheduler
        self._clock = clock
        self._identities = Identities()

    def invoke(self, mapping: EventSourceMapping, payload: bytes) -> asyncio.Future[Outcome]:
        """Run the function; the future has the outcome, or ClientError or EngineError. Raises
        ClientError for a function that is not there, or not ready."""
        version = self._resolve(mapping.function_name, mapping.qualifier)
        invocation = Invocation(
            self._identities.request_id(),
            mapping.function_arn,
            payload,
            trace=self._identities.trace(self._clock.wall()),
            qualifier=mapping.qualifier or LATEST,
            asynchronous=True,
        )
        return self._scheduler.submit(invocation, version)
