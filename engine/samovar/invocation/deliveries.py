"""Deliveries on their way from the queue to their targets: sent, sent again, or given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from samovar.clock import Clock
from samovar.errors import ClientError, SamovarError
from samovar.invocation import retries
from samovar.invocation.destinations import Undeliverable
from samovar.invocation.places import Places
from samovar.invocation.pump import Pump
from samovar.metrics.observer import Observer
from samovar.model.event import Delivery
from samovar.model.target import Service, Target
from samovar.neighbours import NoEndpoint
from samovar.stores.invoke_queue import Item

_log = logging.getLogger(__name__)

# Deliveries in the air: a neighbour that does not answer holds up its own alone.
_PER_TARGET, _IN_ALL = 8, 64
# HTTP statuses after which trying again may help; a 4xx other than these says that it won't.
_TRANSIENT = frozenset({408, 409, 425, 429})
_THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestThrottled",
        "SlowDown",
        "TooManyRequestsException",
    }
)


class Sender(Protocol):
    """Who sends: raises Undeliverable for what can't be sent, and anything for what failed."""

    async def send(self, item: Item, delivery: Delivery, target: Target) -> None: ...


OwnEvent = Callable[[Item, Delivery, Target], Item | None]
"""The event that a delivery to a function of this very engine becomes; None for another's. Raises
ClientError for a function that is not there."""


class DeliveryConsumer:
    """Sends deliveries. `pump` is set before the first comes; `accepted` is told of each event that
    a delivery to a function became."""

    def __init__(
        self,
        sender: Sender,
        own_event: OwnEvent,
        accepted: Callable[[Item], None],
        clock: Clock,
        observer: Observer,
        *,
        time_scale: float,
    ) -> None:
        self.pump: Pump
        self._sender = sender
        self._own_event = own_event
        self._accepted = accepted
        self._clock = clock
        self._observer = observer
        self._time_scale = time_scale
        self._places = Places(_PER_TARGET, _IN_ALL)
        self._sending: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Part of `Consumer`."""
        return self._places.full

    def take(self, lane: str, most: int) -> int:
        """Part of `Consumer`: a lane of deliveries is a target."""
        return self._places.take(lane, most)

    def give_back(self, lane: str, count: int) -> None:
        """Part of `Consumer`."""
        self._places.give_back(lane, count)

    def begin(self, item: Item) -> None:
        """Part of `Consumer`."""
        task = self._loop.create_task(self._deliver(item))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def stop(self) -> None:
        """What is in the air is given back: it may be sent once more."""
        for task in tuple(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _deliver(self, item: Item) -> None:
        try:
            delivery = Delivery.unpack(item.head)
            target = Target.parse(delivery.target)
        except (ValueError, TypeError) as error:
            _log.error("the delivery %s is damaged: %s", item.id, error)
            self._leave(item)
            self.pump.complete(item, dead=item.head)
            return
        try:
            event = self._own_event(item, delivery, target)
            if event is None:
                await self._sender.send(item, delivery, target)
        except asyncio.CancelledError:
            self._leave(item)
            self.pump.release(item)
            raise
        except Exception as error:  # whatever a client raises
            self._failed(item, delivery, target, error)
            return
        self._leave(item)
        self._observer.delivered(*self._names(delivery, target))
        if event is None:
            self.pump.complete(item)
        else:  # both or neither: the event is neither lost nor there twice
            put = self.pump.complete(item, event)
            put.add_done_callback(lambda _: self._accepted(event))

    def _failed(self, item: Item, delivery: Delivery, target: Target, error: Exception) -> None:
        self._leave(item)
        reason = _reason(error)
        now = self._clock.wall()
        failed = replace(delivery, failures=delivery.failures + 1, failure=reason)
        wait = retries.backoff(delivery.failures) * self._time_scale
        names = self._names(delivery, target)
        if may_pass(error) and now + wait < item.expires:
            self._observer.delivery_retried(*names)
            self.pump.retry_at(item, now + wait, failed.pack())
            return
        self._observer.delivery_failed(*names)
        _log.error(
            "what became of the event %s of %s was not delivered to %s: %s (it is kept: see "
            "`samovar events`)",
            *(delivery.event, delivery.function_arn, target.arn, reason),
        )
        self.pump.complete(item, dead=failed.pack())

    def _leave(self, item: Item) -> None:
        self.give_back(item.lane, 1)
        self.pump.room_again(item.lane)

    @staticmethod
    def _names(delivery: Delivery, target: Target) -> tuple[str, str, str]:
        name = delivery.function_arn.split(":")[6]
        return name, delivery.channel.value, target.service.value


def may_pass(error: Exception) -> bool:
    """Whether a failure may be over by the next time."""
    if isinstance(error, Undeliverable | NoEndpoint | ClientError | UnicodeError):
        return False
    answer: Any = getattr(error, "response", None)  # botocore's ClientError, not imported for this
    if not isinstance(answer, dict):
        return not isinstance(error, TypeError)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code = answer.get("Error", {}).get("Code")
    return status >= 500 or status in _TRANSIENT or code in _THROTTLES


def _reason(error: Exception) -> str:
    if isinstance(error, SamovarError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def own_function(target: Target, arn_of_ours: str) -> bool:
    """Whether a target is one of this engine's functions; `arn_of_ours` is the ARN of one without a
    name."""
    return target.service is Service.LAMBDA and target.arn.startswith(arn_of_ours)
