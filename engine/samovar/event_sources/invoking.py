"""Batches on their way into functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from samovar.clock import Clock
from samovar.errors import ClientError
from samovar.invocation import lineage
from samovar.invocation.identity import Identities
from samovar.model.event_source import EventSourceMapping
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.invocation import Invocation, Outcome
from samovar.registry.recursion import RecursiveLoop
from samovar.scheduler.driver import Scheduler

_log = logging.getLogger(__name__)


class BatchInvoker:
    """Invokes functions as mappings name them. Nobody waits for a batch as for a call: it makes no
    events give way, and is not counted among AWS's Throttles of calls."""

    def __init__(
        self,
        resolve: Callable[[str, str | None], FunctionVersion],
        scheduler: Scheduler,
        clock: Clock,
        in_loop: Callable[[str], RecursiveLoop],
        tell_stopped: Callable[[str], None],
    ) -> None:
        """`in_loop`: what becomes of a function, by its name, that is found in a loop;
        `tell_stopped` hears of each record that was not run for that."""
        self._resolve = resolve
        self._scheduler = scheduler
        self._clock = clock
        self._in_loop = in_loop
        self._tell_stopped = tell_stopped
        self._identities = Identities()

    def stops(self, mapping: EventSourceMapping, trace: str) -> bool:
        """Whether a record is not to be run, for it comes of a chain of calls that is a loop."""
        if lineage.follow(trace, mapping.function)[1] < lineage.LIMIT:
            return False
        try:
            if self._in_loop(mapping.function_name) is not RecursiveLoop.TERMINATE:
                return False
        except ClientError:  # there is no such function, as its invocation will say
            return False
        _log.warning("%s was stopped in a loop: %s", mapping.function, trace)
        self._tell_stopped(mapping.function_name)
        return True

    def invoke(
        self, mapping: EventSourceMapping, payload: bytes, trace: str = ""
    ) -> asyncio.Future[Outcome]:
        """Run the function; `trace` is that of the chain of calls which the records come of, if it
        is known. The future has the outcome, or ClientError or EngineError. Raises ClientError for
        a function that is not there, or not ready."""
        version = self._resolve(mapping.function_name, mapping.qualifier)
        invocation = Invocation(
            self._identities.request_id(),
            mapping.function_arn,
            payload,
            trace=(
                lineage.follow(trace, mapping.function)[0]
                if trace
                else self._identities.trace(self._clock.wall())
            ),
            qualifier=mapping.qualifier or LATEST,
            asynchronous=True,
        )
        return self._scheduler.submit(invocation, version)
