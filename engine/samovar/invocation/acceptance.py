"""The way in of asynchronous invocation: an event that is accepted is on the disk."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from functools import partial

from samovar.clock import Clock
from samovar.errors import EngineError
from samovar.invocation import lineage
from samovar.invocation.identity import Identities
from samovar.invocation.json_text import is_json
from samovar.invocation.pump import Pump
from samovar.metrics.observer import Observer
from samovar.model import limits
from samovar.model.event import EventInvokeConfig, QueuedEvent
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.payload import not_json, too_large
from samovar.stores.invoke_queue import InvokeQueue, Item, ItemKind
from samovar_worker.wire.event_json import InvalidEvent, load_event

Find = Callable[[str, str | None], FunctionVersion]
ConfigOf = Callable[[str, str | None], EventInvokeConfig]


class Acceptor:
    """Takes events in for functions that are there, ready or not: they run later."""

    def __init__(  # noqa: PLR0917 - whom it asks, in the order in which it does
        self,
        find: Find,
        config_of: ConfigOf,
        queue: InvokeQueue,
        pump: Pump,
        clock: Clock,
        observer: Observer,
        *,
        node: str,
        time_scale: float,
    ) -> None:
        """`find` raises ClientError for what is not there."""
        self._find = find
        self._config_of = config_of
        self._queue = queue
        self._pump = pump
        self._clock = clock
        self._observer = observer
        self._node = node
        self._time_scale = time_scale
        self._identities = Identities()
        self._stopping = False
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Take in nothing any more."""
        self._stopping = True

    def accept(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None = None,
        function_arn: str | None = None,
        trace: str | None = None,
        request_id: str | None = None,
        limit: int = limits.ASYNC_PAYLOAD_SIZE,
    ) -> Future[str]:
        """Take an event in; the future has its request id once it is durable, or EngineError.

        `payload` is raw JSON, at most `limit` bytes (empty: `{}`); `function_arn` and `trace` are
        as in a synchronous invocation. Cancelling the future does not take the event back. Raises
        ClientError: 404, 413, 400 for what is no JSON; EngineError while the engine stops.
        """
        version = self._find(name, qualifier or LATEST)
        if self._stopping:
            raise EngineError("The engine is stopping; nothing was accepted.")
        if len(payload) > limit:
            raise too_large(len(payload), limit, "Event")
        demand_json(payload)
        item = self.item(
            version,
            payload or b"{}",
            qualifier=qualifier,
            function_arn=function_arn,
            trace=trace,
            request_id=request_id,
        )
        return self._put(item, version.name)

    def item(
        self,
        version: FunctionVersion,
        payload: bytes,
        *,
        qualifier: str | None = None,
        function_arn: str | None = None,
        trace: str | None = None,
        request_id: str | None = None,
    ) -> Item:
        """An event as the queue keeps it; `version` is any of its function."""
        now = self._clock.wall()
        if function_arn is None:
            function_arn = version.arn_as_invoked(qualifier)
        if trace:  # of a loop, too: what becomes of it is seen when it runs
            trace, _ = lineage.follow(trace, version.arn)
        else:
            trace = self._identities.trace(now)
        head = QueuedEvent.pack_new(version.name, function_arn, qualifier or LATEST, trace)
        age = self._config_of(version.name, qualifier).age * self._time_scale
        return Item(
            request_id or self._identities.request_id(),
            ItemKind.EVENT,
            version.arn,
            head,
            payload,
            now,
            now,
            now + age,
            self._node,
        )

    def _put(self, item: Item, name: str) -> Future[str]:
        """With a place to be had it is put claimed: it begins as soon as it is durable, and no
        other commit is in between."""
        accepted: Future[str] = self._loop.create_future()
        claimed = self._pump.take(item.lane)
        until = self._pump.claim_until if claimed else None
        put = self._queue.put(item, until)
        put.add_done_callback(partial(self._durable, item, name, claimed, accepted))
        return accepted

    def _durable(
        self, item: Item, name: str, claimed: bool, accepted: Future[str], put: Future[None]
    ) -> None:
        error = put.exception()
        if error is not None:
            if claimed:
                self._pump.give_back(item.lane)
            if not accepted.done():
                accepted.set_exception(error)
            return
        if not accepted.done():
            accepted.set_result(item.id)
        self._observer.event_received(name)
        if claimed:
            self._pump.begin(item)
        else:
            self._pump.arrived(item.lane, item.due)


def demand_json(payload: bytes) -> None:
    """Raise ClientError, in AWS's words, for what a worker would refuse to read."""
    if not payload or is_json(payload):
        return
    try:
        load_event(payload)  # what is_json is stricter about
    except InvalidEvent as error:
        raise not_json(str(error)) from None
