"""Asynchronous invocation put together: the queue, who takes events in, and who works on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Self

from samovar.clock import Clock, pause
from samovar.errors import AWS, ClientError
from samovar.invocation import records
from samovar.invocation.acceptance import Acceptor
from samovar.invocation.deliveries import DeliveryConsumer
from samovar.invocation.destinations import Senders
from samovar.invocation.events import EventConsumer, Terms
from samovar.invocation.inspection import Inspection
from samovar.invocation.pump import PAUSE, Pump
from samovar.invocation.shares import Busy, Shares, busy_threads
from samovar.metrics.observer import Observer
from samovar.model import limits
from samovar.model.arn import function_arn
from samovar.model.event import Delivery, Ending, QueuedEvent
from samovar.model.function import FunctionVersion
from samovar.model.payload import too_large
from samovar.model.target import Target
from samovar.neighbours import AsyncNeighbours
from samovar.registry.functions import FunctionRegistry
from samovar.registry.recursion import RecursiveLoop
from samovar.scheduler.driver import Scheduler
from samovar.settings import Settings
from samovar.stores.invoke_queue import InvokeQueue, Item, ItemKind

_log = logging.getLogger(__name__)

_GRACE = 5.0  # seconds for what has ended to be written down


class _Registered:
    """What events ask of the registry."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    def resolve(self, name: str, qualifier: str | None) -> FunctionVersion:
        return self._registry.resolve(name, qualifier)

    def terms(self, name: str, qualifier: str | None) -> Terms:
        latest = self._registry.get(name).configuration
        config = self._registry.event_invoke.effective(name, qualifier)
        return Terms(config, latest.dead_letter, latest.role)

    def in_loop(self, name: str) -> RecursiveLoop:
        return self._registry.recursion.get(name)


class AsyncInvocation:
    """One per engine. `start` takes up what an earlier engine left; `pause` and `stop` end it."""

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        settings: Settings,
        registry: FunctionRegistry,
        scheduler: Scheduler,
        queue: InvokeQueue,
        clock: Clock,
        observer: Observer,
        *,
        node: str,
        busy: Busy = busy_threads,
    ) -> None:
        self.queue = queue
        self._taking_up: asyncio.Task[None] | None = None
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._observer = observer
        self._node = node
        self.neighbours = AsyncNeighbours(settings, clock.wall)
        shares = Shares(scheduler, clock, busy, settings.async_concurrency, settings.time_scale)
        scale = settings.time_scale
        self._events = EventConsumer(
            _Registered(registry),
            scheduler,
            shares,
            clock,
            observer,
            time_scale=scale,
            deliveries=self._deliveries_of,
            delivered=self._arrived,
        )
        self._deliveries = DeliveryConsumer(
            Senders(self.neighbours),
            self._own_event,
            self._became_event,
            clock,
            observer,
            time_scale=scale,
            own=self._arn,
        )
        self.events = Pump(queue, ItemKind.EVENT, clock)
        self.deliveries = Pump(queue, ItemKind.DELIVERY, clock)
        self.events.consumer, self.deliveries.consumer = self._events, self._deliveries
        self._events.pump = shares.pump = self.events
        self._deliveries.pump = self.deliveries
        self.acceptor = Acceptor(
            self._find,
            registry.event_invoke.effective,
            queue,
            self.events,
            clock,
            observer,
            node=node,
            time_scale=scale,
        )

        self.inspection = Inspection(
            queue,
            clock,
            registry.get,
            registry.event_invoke.effective,
            lambda kind, lane, due: self._pump(kind).arrived(lane, due),
            arn=self._arn,
            time_scale=scale,
        )

    async def start(self) -> Self:
        """Open the queue; what waits in it is taken up beside the start, for it may be long. Raises
        EngineError."""
        await self.queue.open()
        self._taking_up = asyncio.create_task(self._take_up())
        return self

    async def _take_up(self) -> None:
        while True:
            try:
                lanes = await self.queue.lanes()
                break
            except Exception:
                _log.exception("what waits in the queue can't be taken up: it is tried again")
                await pause(self._clock, PAUSE)
        for kind, name, waiting, _, due, _ in lanes:
            if waiting and due is not None:
                self._pump(kind).arrived(name, due)

    async def deliver(self, delivery: Item) -> None:
        """Have a delivery be sent that is of no event; returns when it is durable. Raises
        EngineError."""
        await self.queue.put(delivery)
        self._arrived(delivery)

    def pause(self) -> None:
        """Take in and begin nothing any more; what runs may finish."""
        self.acceptor.stop()
        self._events.stop()
        self.events.close()

    async def stop(self) -> None:
        """Write down how everything stands; nothing runs any more. Idempotent."""
        self.pause()
        if self._taking_up is not None:
            self._taking_up.cancel()
            await asyncio.gather(self._taking_up, return_exceptions=True)
        await self.events.stop(_GRACE)  # nothing runs: it is all but written down
        self.deliveries.close()
        await self._deliveries.stop()
        await self.deliveries.stop(_GRACE)
        await self.neighbours.close()
        await self.queue.close()

    @property
    def _arn(self) -> str:
        """What stands before the name in the ARN of one of our functions."""
        return function_arn(self._settings.region, self._settings.account_id, "")

    def _find(self, name: str, qualifier: str | None) -> FunctionVersion:
        """One that an event may be for; what is not ready yet may well be by the time it runs."""
        try:
            return self._registry.candidates(name, qualifier)[0]
        except ClientError as error:
            if error.error is AWS.RESOURCE_NOT_FOUND:
                raise
        return self._registry.get(name, qualifier)

    def _pump(self, kind: ItemKind) -> Pump:
        return self.events if kind is ItemKind.EVENT else self.deliveries

    def _arrived(self, item: Item) -> None:
        self._pump(item.kind).arrived(item.lane, item.due)

    def _became_event(self, event: Item) -> None:
        """What was sent to a function of ours has come in like any other event."""
        self._observer.event_received(event.lane.removeprefix(self._arn))
        self._arrived(event)

    def _deliveries_of(
        self, item: Item, event: QueuedEvent, ending: Ending, terms: Terms, role: str
    ) -> Sequence[Item]:
        config = terms.config
        targets = records.targets(ending, config.on_success, config.on_failure, terms.dead_letter)
        return list(
            records.deliveries(
                item,
                event,
                ending,
                targets,
                role=role,
                now=self._clock.wall(),
                time_scale=self._settings.time_scale,
            )
        )

    def _own_event(self, item: Item, delivery: Delivery, target: Target) -> Item | None:
        if not target.arn.startswith(self._arn):
            return None
        if len(item.body) > limits.ASYNC_PAYLOAD_SIZE:  # AWS's, too: its pages name sizes
            raise too_large(len(item.body), limits.ASYNC_PAYLOAD_SIZE, "Event")
        version = self._find(target.name, target.qualifier)
        return self.acceptor.item(
            version,
            item.body,
            qualifier=target.qualifier,
            function_arn=target.arn,
            trace=delivery.trace,
        )
