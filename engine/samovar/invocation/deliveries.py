"""Deliveries on their way from the queue to their targets: sent, sent again, or given up."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

from samovar.clock import Clock
from samovar.errors import SamovarError
from samovar.invocation import retries
from samovar.invocation.delivery_errors import may_pass
from samovar.invocation.error_text import shortened
from samovar.invocation.pump import Pump
from samovar.invocation.target_places import TargetPlaces
from samovar.metrics.observer import Observer
from samovar.model.event import Delivery
from samovar.model.target import Target
from samovar.stores.invoke_queue import Item

_log = logging.getLogger(__name__)

# Deliveries in the air: of a target, and of the service that it belongs to.
_PER_TARGET, _PER_NEIGHBOUR = 8, 16
# Seconds that sending may take in all, in whatever steps (keys, a queue's URL, the message): one
# that sends a byte now and then is not waited for either.
_LIMIT = 60.0
# Seconds before the next try, at least: the first, doubled each time, to the last. A neighbour
# comes back no sooner on a shorter time scale.
_FIRST_LEAST, _LAST_LEAST = 0.1, 5.0


class Sender(Protocol):
    """Who sends: raises Undeliverable for what can't be sent, and anything for what failed."""

    async def send(self, item: Item, delivery: Delivery, target: Target) -> None: ...


OwnEvent = Callable[[Item, Delivery, Target], Item | None]
"""The event that a delivery to a function of this very engine becomes; None for another's. Raises
ClientError for a function that is not there."""


class _Sent(NamedTuple):
    """A delivery in hand."""

    item: Item
    delivery: Delivery
    target: Target

    @property
    def names(self) -> tuple[str, str, str]:
        """Of the function, the channel and the service, for the observer."""
        name = self.delivery.function_arn.split(":")[6]
        return name, self.delivery.channel.value, self.target.service.value


class DeliveryConsumer:
    """Sends deliveries. `pump` is set before the first comes; `accepted` is told of each event that
    a delivery to a function became; `own` is what the ARNs of the engine's functions begin with."""

    def __init__(
        self,
        sender: Sender,
        own_event: OwnEvent,
        accepted: Callable[[Item], None],
        clock: Clock,
        observer: Observer,
        *,
        time_scale: float,
        own: str,
    ) -> None:
        self.pump: Pump
        self._sender = sender
        self._own_event = own_event
        self._accepted = accepted
        self._clock = clock
        self._observer = observer
        self._time_scale = time_scale
        self._places = TargetPlaces(_PER_TARGET, _PER_NEIGHBOUR, self._room_again, own)
        self._sending: set[asyncio.Task[Item | None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Part of `Consumer`: there is always a neighbour that may have a place."""
        return False

    def take(self, lane: str, most: int) -> int:
        """Part of `Consumer`: a lane of deliveries is a target."""
        return self._places.take(lane, most)

    def give_back(self, lane: str, count: int) -> None:
        """Part of `Consumer`."""
        self._places.give_back(lane, count)

    def begin(self, item: Item) -> None:
        """Part of `Consumer`."""
        try:
            delivery = Delivery.unpack(item.head)
            sent = _Sent(item, delivery, Target.parse(delivery.target))
            _ = sent.names
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            _log.error("the delivery %s is damaged: %s", item.id, error)
            self._leave(item)
            self.pump.complete(item, dead=item.head)
            return
        task = self._loop.create_task(self._send(sent))
        self._sending.add(task)
        task.add_done_callback(partial(self._over, sent))

    async def stop(self) -> None:
        """What is in the air is given back: it may be sent once more."""
        for task in tuple(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, sent: _Sent) -> Item | None:
        """Send it once; the event that it became, where it became one."""
        event = self._own_event(*sent)
        if event is None:
            async with asyncio.timeout(_LIMIT):
                await self._sender.send(*sent)
        return event

    def _over(self, sent: _Sent, task: asyncio.Task[Item | None]) -> None:
        """In a callback and not in the task: one may be cancelled before it has begun."""
        self._sending.discard(task)
        item = sent.item
        self._leave(item)
        if task.cancelled():
            self.pump.release(item)
            return
        error = task.exception()
        if error is not None:
            self._failed(sent, error)
            return
        event = task.result()
        if event is None:
            self._arrived(sent)
            self.pump.complete(item)
        else:  # both or neither: the event is neither lost nor there twice
            put = self.pump.complete(item, event)
            put.add_done_callback(partial(self._put, sent, event))

    def _put(self, sent: _Sent, event: Item, put: Future[bool]) -> None:
        if not put.cancelled() and put.exception() is None and put.result():
            self._arrived(sent)
            self._accepted(event)

    def _arrived(self, sent: _Sent) -> None:
        self._observer.delivered(*sent.names)
        if sent.delivery.mapping:
            self._observer.records_delivered(sent.delivery.mapping, sent.delivery.records)

    def _failed(self, sent: _Sent, error: BaseException) -> None:
        item, delivery, target = sent
        reason = shortened(_reason(error))
        now = self._clock.wall()
        failed = replace(delivery, failures=delivery.failures + 1, failure=reason)
        wait = _wait(delivery.failures, self._time_scale)
        if delivery.mapping:
            self._observer.records_not_delivered(delivery.mapping, target.service.value)
        if may_pass(error) and now + wait < item.expires:
            self._observer.delivery_retried(*sent.names)
            self.pump.retry_at(item, now + wait, failed.pack())
            return
        self._observer.delivery_failed(*sent.names)
        _log.error(
            "what became of the event %s of %s was not delivered to %s: %s (it is kept: see "
            "`samovar events`)",
            *(delivery.event, delivery.function_arn, target.arn, reason),
        )
        self.pump.complete(item, dead=failed.pack())

    def _room_again(self, lane: str) -> None:
        self.pump.room_again(lane)

    def _leave(self, item: Item) -> None:
        self.give_back(item.lane, 1)
        self.pump.room_again(item.lane)


def _wait(failures: int, time_scale: float) -> float:
    """Seconds until the next try of what had failed so often before."""
    # The exponent is bounded: it may be tried for six hours.
    least = min(_LAST_LEAST, _FIRST_LEAST * 2.0 ** min(failures, 10))
    return max(least, retries.backoff(failures) * time_scale)


def _reason(error: BaseException) -> str:
    if isinstance(error, SamovarError):
        return str(error)
    if isinstance(error, TimeoutError) and not str(error):
        return f"it took longer than {_LIMIT:g} s"
    return f"{type(error).__name__}: {error}"
