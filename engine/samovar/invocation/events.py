"""Events on their way from the queue to their functions, and what follows from each attempt."""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

from samovar.clock import Clock
from samovar.errors import ClientError, EngineError, NotRun
from samovar.invocation import lineage, retries
from samovar.invocation.error_text import error_of, shortened
from samovar.invocation.pump import Pump
from samovar.invocation.retries import Result, Retry
from samovar.invocation.shares import Shares
from samovar.metrics.observer import Observer
from samovar.model.event import Condition, Ending, EventInvokeConfig, QueuedEvent
from samovar.model.function import FunctionVersion
from samovar.model.invocation import Invocation, Outcome
from samovar.registry.recursion import RecursiveLoop
from samovar.scheduler.driver import Scheduler
from samovar.stores.invoke_queue import Item

_log = logging.getLogger(__name__)

_LOOP = "It belongs to a chain of invocations that has come by its function too often."


class Terms(NamedTuple):
    """What counts for an event as it is run: the config of the qualifier that was invoked, the ARN
    of the function's dead-letter queue, if it has one, and that of its role."""

    config: EventInvokeConfig
    dead_letter: str
    role: str = ""


class Functions(Protocol):
    """What is asked of the registry. Methods raise ClientError for what is not there."""

    def resolve(self, name: str, qualifier: str | None) -> FunctionVersion:
        """The version to run now."""

    def terms(self, name: str, qualifier: str | None) -> Terms:
        """What counts for its events now."""

    def in_loop(self, name: str) -> RecursiveLoop:
        """What a function in a loop is to meet with."""


class Run(NamedTuple):
    """An event in hand; `version` is None where there is none to run, `terms` where the function
    is gone altogether."""

    item: Item
    event: QueuedEvent
    version: FunctionVersion | None = None
    terms: Terms | None = None


Deliveries = Callable[[Item, QueuedEvent, Ending, Terms, str], Sequence[Item]]
"""What is to be sent of an ending; the last one is the ARN of the role to send it with."""


class EventConsumer:
    """Hands events to the scheduler, and settles them by what comes of it.

    `pump` is set before the first comes. `delivered` is told of each delivery that is in the queue
    now.
    """

    def __init__(
        self,
        functions: Functions,
        scheduler: Scheduler,
        shares: Shares,
        clock: Clock,
        observer: Observer,
        *,
        time_scale: float,
        deliveries: Deliveries,
        delivered: Callable[[Item], None],
    ) -> None:
        self.pump: Pump
        self._functions = functions
        self._scheduler = scheduler
        self._shares = shares
        self._clock = clock
        self._observer = observer
        self._time_scale = time_scale
        self._deliveries = deliveries
        self._delivered = delivered
        self._stopping = False
        shares.run, shares.too_old_in = self._run, self.too_old_in

    def stop(self) -> None:
        """Begin nothing any more. From now on an invocation that the engine ends is as if it had
        not begun."""
        self._stopping = True
        self._shares.close()

    @property
    def full(self) -> bool:
        """Part of `Consumer`."""
        return self._shares.full

    def take(self, lane: str, most: int) -> int:
        """Part of `Consumer`: a lane of events is a function."""
        return self._shares.take(lane, most)

    def give_back(self, lane: str, count: int) -> None:
        """Part of `Consumer`."""
        self._shares.give_back(lane, count)

    def begin(self, item: Item) -> None:
        """Part of `Consumer`."""
        self._shares.begin(item)

    def _run(self, item: Item) -> None:
        try:
            event = QueuedEvent.unpack(item.head)
        except (ValueError, TypeError) as error:
            _log.error("the event %s is damaged: %s", item.id, error)
            self._leave(item)
            self.pump.complete(item, dead=item.head)
            return
        run = Run(item, event)
        age = self._age(item)
        try:
            terms = self._functions.terms(event.name, event.qualifier)
            run = run._replace(terms=terms)
            if retries.too_old(terms.config, age=age, time_scale=self._time_scale):
                self._end(run, event, Ending(Condition.EVENT_AGE_EXCEEDED, event.invoked))
                return
            version = self._functions.resolve(event.name, event.qualifier)
        except ClientError as error:
            self._follow(run, error, ran=False)
            return
        run = run._replace(version=version)
        condition = self._ended_already(event, version)
        if condition is not None:
            self._end(run, event, Ending(condition, event.invoked))
            return
        invocation = Invocation(
            item.id,
            event.function_arn,
            item.body,
            trace=event.trace,
            qualifier=event.qualifier,
            attempt=event.invoked + 1,
            asynchronous=True,
        )
        try:
            future = self._scheduler.submit(invocation, version)
        except Exception as error:  # a bug of ours, or no memory: this event's affair alone
            _log.exception("the event %s could not be handed to its function", item.id)
            self._follow(run, error, ran=True)
            return
        if not future.done():  # it is throttled at once, if at all
            self._observer.event_started(version.name, max(0.0, age))
        future.add_done_callback(partial(self._finished, run))

    def too_old_in(self, item: Item) -> float:
        """Seconds until an event is too old to be run, as its function's config has it now;
        0 for one that can't be told of: its turn tells."""
        try:
            event = QueuedEvent.unpack(item.head)
            config = self._functions.terms(event.name, event.qualifier).config
        except (ValueError, TypeError, ClientError):
            return 0.0
        return retries.limit(config, self._time_scale) - self._age(item)

    def _ended_already(self, event: QueuedEvent, version: FunctionVersion) -> Condition | None:
        """How an event ends that is not to be run at all."""
        if self._scheduler.headroom.of(version.arn, self._clock.monotonic()).limit <= 0:
            return Condition.ZERO_RESERVED_CONCURRENCY
        if lineage.seen(event.trace, version.arn) < lineage.LIMIT:
            return None
        if self._functions.in_loop(version.name) is not RecursiveLoop.TERMINATE:
            return None
        _log.warning("%s was stopped in a loop: %s", version.arn, event.trace)
        self._observer.recursion_stopped(version.name)
        return Condition.RECURSIVE_INVOCATION

    def _finished(self, run: Run, future: Future[Outcome]) -> None:
        if future.cancelled():
            self._stopped(run.item)
            return
        error = future.exception()
        if error is None:
            self._follow(run, future.result(), ran=True)
        elif isinstance(error, EngineError):
            if self._stopping:
                self._stopped(run.item)
            else:  # else it may have run in part, which nobody knows
                self._follow(run, error, ran=not isinstance(error, NotRun))
        else:
            self._follow(run, error, ran=False)

    def _follow(self, run: Run, came: Outcome | BaseException, *, ran: bool) -> None:
        """Do what the rules say follows from an outcome, or from what was raised in its place."""
        result = Result.of(came)
        decided = retries.decide(
            run.event,
            EventInvokeConfig() if run.terms is None else run.terms.config,
            result,
            age=self._age(run.item),
            ran=ran,
            time_scale=self._time_scale,
        )
        event = decided.event
        if not isinstance(came, Outcome):
            event = _failed(event, _code(came), str(came))
        elif came.function_error is not None:
            event = _failed(event, *error_of(came.payload, came.error_type))
        if isinstance(decided, Retry):
            self._leave(run.item, came)
            self._observer.event_retried(event.name, result.value)
            self.pump.retry_at(run.item, self._clock.wall() + decided.delay, event.pack())
            return
        ending = Ending(decided.condition, event.invoked)
        if isinstance(came, Outcome):
            ending = replace(
                ending,
                executed_version=came.executed_version,
                function_error=came.function_error,
                payload=came.payload,
            )
        self._end(run, event, ending, came)

    def _stopped(self, item: Item) -> None:
        """The engine stops before it was over: as if nothing had been."""
        self._leave(item)
        self.pump.release(item)

    def _age(self, item: Item) -> float:
        return self._clock.wall() - item.accepted

    def _end(
        self,
        run: Run,
        event: QueuedEvent,
        ending: Ending,
        came: Outcome | BaseException | None = None,
    ) -> None:
        """The last of an event: it goes, or stays as a dead one, and what is to be sent of it comes
        into the queue, all at once."""
        item = run.item
        self._leave(item, came)
        dead = None
        if ending.condition is not Condition.SUCCESS:
            if ending.condition is Condition.RECURSIVE_INVOCATION:
                event = _failed(event, ending.condition.value, _LOOP)
            event = replace(event, condition=ending.condition.value)
            dead = event.pack()
            self._observer.event_dropped(event.name, ending.condition.value)
            _log.info("event %s of %s was given up: %s", item.id, event.name, ending.condition)
        sent = self._to_send(run, event, ending)
        done = self.pump.complete(item, *sent, dead=dead)
        if sent:
            done.add_done_callback(lambda _: [self._delivered(one) for one in sent])

    def _to_send(self, run: Run, event: QueuedEvent, ending: Ending) -> Sequence[Item]:
        _, _, version, terms = run
        if terms is None:
            return ()
        role = terms.role if version is None else version.configuration.role
        try:
            return self._deliveries(run.item, event, ending, terms, role)
        except Exception:  # a bug of ours: the event ends all the same
            _log.exception("what became of the event %s can't be sent", run.item.id)
            return ()

    def _leave(self, item: Item, came: Outcome | BaseException | None = None) -> None:
        if isinstance(came, Outcome):
            self._shares.freed(item.lane, came.duration)
        else:
            throttled = came is not None and Result.of(came) is Result.THROTTLE
            self._shares.freed(item.lane, throttled=throttled)


def _code(error: BaseException) -> str:
    return (
        error.error.code if isinstance(error, ClientError | EngineError) else type(error).__name__
    )


def _failed(event: QueuedEvent, error_type: str, message: str) -> QueuedEvent:
    return replace(event, error_type=shortened(error_type), error_message=shortened(message))
