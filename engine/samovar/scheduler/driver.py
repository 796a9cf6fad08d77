"""Carries out the state's commands: contexts are started, dispatched to and stopped here.

On the way of a warm invocation everything is a plain call: submit, state, context, pipe; and back:
pipe, context, state, future. Tasks exist only where a context is being started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from samovar.clock import Clock, Timer
from samovar.context.host_memory import MemoryGauge
from samovar.context.launcher import Context, ContextListener, Launcher
from samovar.context.lifecycle import ContextState, IllegalTransition, Lifecycle
from samovar.errors import SamovarError
from samovar.metrics.observer import Observer
from samovar.metrics.occupancy import Occupancy
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.invocation import ColdStart, Invocation, Outcome
from samovar.scheduler.commands import (
    Command,
    Dispatch,
    ProvisionedChanged,
    Refusal,
    Reject,
    StartContext,
    StopContext,
    WakeAt,
)
from samovar.scheduler.events import (
    ContextDied,
    ContextReady,
    Event,
    FunctionDeleted,
    GraceOver,
    IdleDropped,
    InvocationEnded,
    InvokeRequested,
    MemoryMeasured,
    PoolRetired,
    ProvisionRequested,
    ReservedSet,
    StopRequested,
    Tick,
)
from samovar.scheduler.headroom import HeadroomWatch
from samovar.scheduler.memory_watch import MemoryWatch
from samovar.scheduler.occupancy import occupancy
from samovar.scheduler.policy import Policy
from samovar.scheduler.state import SchedulerState
from samovar.scheduler.ticket import Ticket

_log = logging.getLogger(__name__)
_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost
# What an event less in flight, or one less in this second, would have prevented.
_BY_OTHERS = frozenset(set(Refusal) - {Refusal.START_FAILED, Refusal.STOPPING})
_SHORTAGE_PAUSE = 60.0  # seconds until the log says again that memory is short
_INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"  # AWS's StatusReason


class Provisioned(NamedTuple):
    """Provisioned contexts of a version: how many are wanted, how many are initialised (those that
    run an invocation, too), and AWS's reason if it was given up to initialise more."""

    requested: int
    ready: int
    failure: str | None


@dataclass(slots=True)
class _Birth:
    """When a context was asked for, and what getting its package took (seconds).

    `awaited`: somebody waits for it as it gets ready; that one has a cold start.
    """

    requested: float
    package: float = 0.0
    awaited: bool = False


class Scheduler(ContextListener):
    """One per engine, on its loop."""

    def __init__(
        self,
        policy: Policy,
        launcher: Launcher,
        clock: Clock,
        observer: Observer,
        memory: MemoryGauge | None = None,
    ) -> None:
        """Without `memory` nobody asks how much of it there is."""
        self.contexts: dict[int, Context] = {}
        self._policy = policy
        self._state = SchedulerState(policy)
        self.headroom = HeadroomWatch(self._state)
        self._awaited = self.headroom.awaited
        self.calls = 0  # invocations that somebody waits for, since the start
        self._launcher = launcher
        self._clock = clock
        self._observer = observer
        self._versions: dict[str, FunctionVersion] = {}
        self._provisioned: set[str] = set()  # pools that are to have provisioned contexts
        # What was deleted, by pools that still drain: a function's name, and the version, or none
        # where it was the whole function.
        self._deleted: dict[str, tuple[str, str | None]] = {}
        self._births: dict[int, _Birth] = {}
        self._starts: set[asyncio.Task[None]] = set()
        self._wake: Timer | None = None
        self._settled: asyncio.Event | None = None
        self._loop = asyncio.get_running_loop()
        self._memory: MemoryWatch | None = None
        if memory is not None:
            self._memory = MemoryWatch(
                memory,
                clock,
                self.contexts,
                lambda: self._state.wants_room or None in self._awaited,
                self._measured,
            )
            self.headroom.short_of_contexts = self._memory.go_on
        self._shortage_told = float("-inf")
        # Called with the ARN of a function of which a caller was throttled.
        self.caller_throttled: Callable[[str], None] = lambda function: None
        # Called when nothing runs one of `versions` any more; not on the way of an invocation.
        self.version_over: Callable[[], None] = lambda: None
        # Called with a version after each change of what `provisioned` says of it.
        self.provisioned_changed: Callable[[FunctionVersion], None] = lambda version: None

    # -- from above

    def submit(self, invocation: Invocation, version: FunctionVersion) -> asyncio.Future[Outcome]:
        """Run `invocation` on a context of `version`; the future has an Outcome or raises
        ClientError or EngineError. Cancelling it does not stop the invocation."""
        if not invocation.asynchronous:
            self.calls += 1
        now = self._clock.monotonic()
        future: asyncio.Future[Outcome] = self._loop.create_future()
        ticket = Ticket(invocation, version, now, future, self._observer)
        pool = version.pool
        if pool not in self._versions:
            self._versions[pool] = version
            if self._memory is not None:
                self._memory.renew()
        self._handle(_new(InvokeRequested, (pool, ticket, now)))
        return future

    def retire(self, version: FunctionVersion, *, deleted: bool = False) -> None:
        """Drain the contexts of a version that was changed, or whose function was deleted."""
        self._provisioned.discard(version.pool)
        self._handle(PoolRetired(version.pool))
        if deleted and version.version != LATEST:
            self._observer.version_removed(version.name, version.version)
            self._deleted[version.pool] = (version.name, version.version)
        elif deleted:
            self._handle(FunctionDeleted(version.arn))
            self._observer.function_removed(version.name)
            # Its published versions may drain longer than $LATEST.
            draining = (key for key, one in self._versions.items() if one.name == version.name)
            self._deleted |= dict.fromkeys([version.pool, *draining], (version.name, None))
            self.headroom.changed()
        self._forget_versions(version.pool)

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Let the function with this (unqualified) ARN have `concurrency` invocations in flight,
        and keep as many places from all others; None: it has nothing reserved any more."""
        self._handle(ReservedSet(function, concurrency))
        self.headroom.changed()

    def provision(self, version: FunctionVersion, count: int) -> None:
        """Have `count` contexts of `version` initialised from now on; 0: no more."""
        if count:
            self._versions.setdefault(version.pool, version)
            self._provisioned.add(version.pool)
            if self._memory is not None:
                self._memory.renew()
            if count > self._policy.max_contexts:
                _log.warning(
                    "%s is to have %d provisioned contexts: it stays IN_PROGRESS, as there may be "
                    "%d contexts in all (max_contexts)",
                    *(version.qualified_arn, count, self._policy.max_contexts),
                )
        else:
            self._provisioned.discard(version.pool)
        self._handle(ProvisionRequested(version.pool, count))
        self._forget_versions(version.pool)

    def provisioned(self, version: FunctionVersion) -> Provisioned:
        """What came of `provision`."""
        pool = self._state.pools.get(version.pool)
        if pool is None:
            return Provisioned(0, 0, None)
        failure = _INIT_FAILURE if pool.failed else None
        return Provisioned(pool.target, pool.initialized, failure)

    def drop_idle(self, version: FunctionVersion) -> int:
        """End the idle contexts of a version that are not provisioned, and no others; how many
        there were."""
        commands = self._state.handle(IdleDropped(version.pool))
        for command in commands:
            self._carry_out(command)
        return len(commands)

    async def stop(self, grace: float) -> None:
        """Let busy contexts finish for `grace` seconds, then end them all."""
        self._settled = asyncio.Event()
        self._handle(StopRequested())
        try:
            if not self._state.settled:
                timer = self._clock.call_later(grace, self._settled.set)
                try:
                    await self._settled.wait()
                finally:
                    timer.cancel()
        finally:  # also for whoever has no patience for the grace
            await self._end()

    async def _end(self) -> None:
        """Answer whoever still runs or waits, and end all contexts."""
        if self._wake is not None:
            self._wake.cancel()
        if self._memory is not None:
            self._memory.stop()
        self._handle(GraceOver())
        for task in list(self._starts):
            task.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        for context in list(self.contexts.values()):
            context.abandon("the engine stopped before the invocation was over")
        self.contexts.clear()
        for lifecycle in list(self._state.contexts.values()):
            self._died(lifecycle, "the engine stopped before it had started")

    def lifecycles(self) -> Iterator[Lifecycle]:
        """All contexts as the state sees them."""
        return iter(self._state.contexts.values())

    def waiting(self) -> dict[str, int]:
        """How many invocations wait for a context, by pool; none that are not waited for."""
        pools = list(self._state.pools.values())
        return {pool.key: len(pool.waiting) for pool in pools if pool.waiting}

    def occupancy(self) -> Occupancy:
        """How much concurrency is taken, and by whom."""
        return occupancy(self._state, self.contexts, self._policy.account_concurrency)

    def versions(self) -> Iterable[FunctionVersion]:
        """The versions that contexts run, are started for, or are waited for."""
        return self._versions.values()

    # -- from the contexts

    def context_ready(self, context: Context) -> None:
        assert context.lifecycle is not None
        number = context.lifecycle.context
        birth = self._births.get(number)
        if birth is not None and context.init_seconds is not None:
            assert context.placement is not None
            version = self._versions[context.lifecycle.pool]
            cold = self._cold_start(context, birth)
            self._observer.cold_start(
                version.name,
                version.version,
                context.placement.initialization,
                environment=cold.environment,
                package=cold.package,
                init=cold.init,
            )
        if birth is not None:
            birth.awaited = not context.lifecycle.provisioned
        self._handle(ContextReady(number, self._clock.monotonic()))
        if birth is not None:
            birth.awaited = False  # whoever comes now finds it ready
        if self._awaited:
            self.headroom.came(context.lifecycle.pool)

    def context_free(self, context: Context) -> None:
        assert context.lifecycle is not None
        number = context.lifecycle.context
        try:
            self._handle(_new(InvocationEnded, (number, self._clock.monotonic())))
        except IllegalTransition as error:
            # A bug of ours: whoever waits has an answer all the same.
            _log.exception("a context is given up, because its states are wrong")
            self._loop.call_soon(context.abandon, str(error))
        if self._awaited:
            self.headroom.came(context.lifecycle.pool)

    def context_gone(self, context: Context, reason: str) -> None:
        assert context.lifecycle is not None
        self._launcher.release(context)
        self._died(context.lifecycle, reason, context.lost)

    # -- commands

    def _handle(self, event: Event) -> None:
        for command in self._state.handle(event):
            if type(command) is Dispatch:  # nearly all of them
                self._dispatch(command.context, command.ticket)
            else:
                self._carry_out(command)

    def _measured(self, event: MemoryMeasured) -> None:
        self._handle(event)
        if None in self._awaited:  # not from in here: a call may be on its way to its context
            self._loop.call_soon(self.headroom.contexts_again)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, StartContext):
            now = command.lifecycle.asked = self._clock.monotonic()
            self._births[command.lifecycle.context] = _Birth(now)
            task = self._loop.create_task(self._start(command.lifecycle))
            self._starts.add(task)
            task.add_done_callback(self._starts.discard)
            if self._memory is not None:
                self._memory.renew()
        elif isinstance(command, StopContext):
            context = self.contexts.get(command.context)
            if context is not None:
                if context.lifecycle is not None:
                    context.lifecycle.stopped = self._clock.monotonic()
                context.stop(command.reason)
        elif isinstance(command, Reject):
            command.ticket.refuse(command.refusal, command.reason)
            if command.refusal is Refusal.MEMORY:
                self._tell_shortage(command.ticket.version.name)
            if command.refusal in _BY_OTHERS and not command.ticket.invocation.asynchronous:
                self.caller_throttled(command.ticket.version.arn)
            self._forget_versions(command.ticket.version.pool)
        elif isinstance(command, WakeAt):
            if self._wake is not None:
                self._wake.cancel()
            delay = max(0.0, command.when - self._clock.monotonic())
            self._wake = self._clock.call_later(delay, self._tick)
        elif isinstance(command, ProvisionedChanged):
            version = self._versions.get(command.pool)
            if version is not None:
                self.provisioned_changed(version)

    def _dispatch(self, number: int, ticket: Ticket) -> None:
        context = self.contexts[number]
        lifecycle = context.lifecycle
        assert lifecycle is not None
        ticket.context_id = f"{number}"
        ticket.provisioned = lifecycle.provisioned
        if self._provisioned:
            ticket.spilled = not lifecycle.provisioned and lifecycle.pool in self._provisioned
        if self._births:
            birth = self._births.pop(number, None)
            if birth is not None:
                ticket.waited = birth.awaited
                ticket.init_shown = context.init_seconds
                if ticket.waited:
                    lifecycle.awaited = True
                    ticket.cold = self._cold_start(context, birth)
        lifecycle.move(ContextState.BUSY)
        context.run(ticket)

    async def _start(self, lifecycle: Lifecycle) -> None:
        version = self._versions[lifecycle.pool]
        try:
            prepared = await self._launcher.prepare(version, lifecycle.provisioned)
        except Exception as error:  # a bug of ours, too: whoever waits is told all the same
            expected = isinstance(error, SamovarError | OSError)
            _log.warning(
                "a context of %s could not be started: %s",
                *(version.name, error),
                exc_info=not expected,
            )
            self._died(lifecycle, str(error))
            return
        birth = self._births.get(lifecycle.context)
        if birth is not None:
            birth.package = prepared.package
        context = self.contexts[lifecycle.context] = prepared.context
        context.start(lifecycle, prepared.placement, self)
        if lifecycle.state is ContextState.STOPPING:  # it was called off meanwhile
            context.stop(lifecycle.reason)

    def _died(self, lifecycle: Lifecycle, reason: str, lost: bool = False) -> None:
        self.contexts.pop(lifecycle.context, None)
        self._births.pop(lifecycle.context, None)
        self._handle(ContextDied(lifecycle.context, reason, self._clock.monotonic(), lost))
        self._forget_versions(lifecycle.pool)
        if self._awaited:
            self.headroom.came(lifecycle.pool)
        if self._settled is not None and self._state.settled:
            self._settled.set()

    def _forget_versions(self, pool: str) -> None:
        if pool in self._state.pools:
            return
        if self._versions.pop(pool, None) is not None:
            self.version_over()
        # Once more: what ended after its deletion was still counted.
        name, deleted = self._deleted.pop(pool, (None, None))
        if name is None:
            return
        if deleted is not None:
            self._observer.version_removed(name, deleted)
        elif all(version.name != name for version in self._versions.values()):
            self._observer.function_removed(name)

    def _tell_shortage(self, name: str) -> None:
        now = self._clock.monotonic()
        if now >= self._shortage_told + _SHORTAGE_PAUSE:
            self._shortage_told = now
            _log.warning(
                "%s is throttled: the host has no memory for another context, and none is idle "
                "(told once a minute; samovar_throttles_total counts them)",
                name,
            )

    def _tick(self) -> None:
        self._wake = None
        self._handle(Tick(self._clock.monotonic()))

    @staticmethod
    def _cold_start(context: Context, birth: _Birth) -> ColdStart:
        environment = context.init_began - birth.requested - birth.package
        return ColdStart(max(0.0, environment), birth.package, context.init_seconds or 0.0)
