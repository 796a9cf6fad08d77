"""The scheduler as a pure state machine: `handle(event)` gives commands; no clock, no I/O.

Assigning is one synchronous step: a context leaves IDLE in the same call that names its ticket, so
that nothing can expire or evict it in between. A ticket that waits for a start takes whichever
context of its pool is free first. Picks, expiry and withdrawal are O(1) (amortised).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from samovar.context.lifecycle import BEFORE_READY, IN_FLIGHT, ContextState, Lifecycle
from samovar.scheduler.commands import (
    Command,
    Dispatch,
    ProvisionedChanged,
    Refusal,
    Reject,
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
    Ticket,
)
from samovar.scheduler.policy import EARLY, PROVISION_ATTEMPTS, START_ATTEMPTS, Policy
from samovar.scheduler.pool import Pool
from samovar.scheduler.stock import Stock

_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost
_IDLE = ContextState.IDLE
_RESERVED = ContextState.RESERVED
_INITIALIZING = ContextState.INITIALIZING
_STOPPING = ContextState.STOPPING


class SchedulerState(Stock):
    """All pools and contexts. `handle` is the only way in."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._wake: float | None = None
        self._handlers: dict[type[Event], Callable[[Any], list[Command]]] = {
            InvokeRequested: self._invoke_requested,
            ContextReady: self._context_ready,
            InvocationEnded: self._invocation_ended,
            ContextDied: self._context_died,
            PoolRetired: self._pool_retired,
            IdleDropped: self._idle_dropped,
            ReservedSet: self._reserved_set,
            FunctionDeleted: self._function_deleted,
            ProvisionRequested: self._provision_requested,
            MemoryMeasured: self._memory_measured,
            Tick: self._tick,
            StopRequested: self._stop_requested,
            GraceOver: self._grace_over,
        }

    def handle(self, event: Event) -> list[Command]:
        """Take note of `event`; the commands are to be carried out in order."""
        return self._handlers[type(event)](event)

    @property
    def settled(self) -> bool:
        """Whether nothing is left that could still change by itself (used while stopping)."""
        return not self.contexts and not any(pool.waiting for pool in self.pools.values())

    # -- invocations

    def _invoke_requested(self, event: InvokeRequested) -> list[Command]:
        if self._stopping:
            return [Reject(event.ticket, Refusal.STOPPING, "the engine is stopping")]
        pool = self.pools.get(event.pool) or self._open(event.pool)
        ready = pool.ready
        while ready:
            context = ready.pop()
            if context.state is _IDLE:
                refusal = pool.share.admit_provisioned(event.now)
                if refusal is not None:
                    ready.append(context)
                    return [Reject(event.ticket, refusal, pool.share.function)]
                context.move(_RESERVED)
                return [_new(Dispatch, (context.context, event.ticket))]
        refusal = pool.share.admit(event.now)
        if refusal is not None:
            self._forget_if_empty(pool)
            return [Reject(event.ticket, refusal, pool.share.function)]
        idle = pool.idle
        while idle:
            context = idle.pop()
            if context.state is _IDLE:
                context.move(_RESERVED)
                return [_new(Dispatch, (context.context, event.ticket))]
        return self._wait(pool, event)

    def _wait(self, pool: Pool, event: InvokeRequested) -> list[Command]:
        """Have a ticket that was admitted wait for a context, which is started if there is room."""
        if self._line.short:
            return self._stand_in_line(pool, event.ticket)
        commands: list[Command] = []
        # A start that nobody waits for any more (its ticket found a freed context) serves this one.
        if pool.starting <= len(pool.waiting):
            over = pool.share.admit_start(event.now)  # before anything idle has to go for it
            if over is not None:
                return [self._refuse_admitted(pool, event.ticket, over)]
            commands += self._make_room(pool)
            if self._room.has(pool):
                commands.append(self._start(pool))
            else:
                pool.share.give_start_back()
                if self._line.short >= self._policy.max_waiting:
                    return [*commands, self._refuse_admitted(pool, event.ticket, self._room.lack)]
        pool.waiting.append(event.ticket)
        self._line.recount(pool)
        return commands

    def _stand_in_line(self, pool: Pool, ticket: Ticket) -> list[Command]:
        """Others wait for room already: it has its turn among them, if there is some by now."""
        pool.waiting.append(ticket)
        self._line.recount(pool)
        commands = self._fill()
        if self._line.short > self._policy.max_waiting:
            loser = self._line.gives_way(pool)
            commands.append(self._refuse_admitted(loser, loser.waiting.pop(), self._room.lack))
            self._line.recount(loser)
        return commands

    def _refuse_admitted(self, pool: Pool, ticket: Ticket, refusal: Refusal) -> Reject:
        pool.share.allowance.left += 1
        reason = self._room.said_of(refusal) or pool.share.function
        self._forget_if_empty(pool)
        return Reject(ticket, refusal, reason)

    def _invocation_ended(self, event: InvocationEnded) -> list[Command]:
        context = self.contexts.get(event.context)
        if context is None:
            return []
        context.move(_IDLE)
        pool = self.pools[context.pool]
        pool.end_flight(context)
        return self._free(pool, context, event.now)

    def _reserve(self, pool: Pool, context: Lifecycle) -> Dispatch:
        context.move(_RESERVED)
        ticket = pool.waiting.popleft()
        if context.provisioned:  # the ticket was admitted on demand
            pool.share.allowance.left += 1
            pool.share.busy += 1
        if self._line.short:
            self._line.recount(pool)
        return Dispatch(context.context, ticket)

    # -- contexts

    def _context_ready(self, event: ContextReady) -> list[Command]:
        context = self.contexts.get(event.context)
        if context is None or context.state is _STOPPING:  # it was called off meanwhile
            return []
        pool = self.pools[context.pool]
        context.move(_IDLE)
        self._end_start(pool, context)
        commands: list[Command] = []
        if context.provisioned:
            pool.provision_failures = 0
            pool.initialized += 1
            pool.share.provisioned += 1
            pool.share.allowance.left -= 1
            self._unprovisioned.setdefault(pool.key, pool)
            commands += (*self._provision(), ProvisionedChanged(pool.key))
        else:
            pool.failures = 0
        # Even where another pool starves: a context given up before it ever ran would serve nobody.
        if pool.waiting:
            return [self._reserve(pool, context), *commands]
        return [*self._free(pool, context, event.now), *commands]

    def _free(self, pool: Pool, context: Lifecycle, now: float) -> list[Command]:
        context.idle_since = now
        if context.provisioned:
            return self._free_provisioned(pool, context)
        if pool.waiting and not (self._line.short and self._is_needed(pool, self._line.starved)):
            return [self._reserve(pool, context)]
        if self._line.short and self._is_needed(pool, self._line.in_turn()):
            self._line.to_end(pool)
            return [self._stop(context, "evicted"), *self._fill()]
        if pool.retired or self._stopping:
            return [self._stop(context, "drained")]
        pool.idle.append(context)
        if not pool.ranked:
            self._cold.add(pool, now)
        commands: list[Command] = []
        if self._wake is None:
            self._wake = now + self._policy.idle_timeout
            commands.append(WakeAt(self._wake))
        if self._unprovisioned:  # which go before what is idle
            commands += self._fill()
        return commands

    def _free_provisioned(self, pool: Pool, context: Lifecycle) -> list[Command]:
        if pool.waiting:
            return [self._reserve(pool, context)]
        if pool.provisioned > pool.target or pool.retired or self._stopping:
            stop = self._stop(context, "not provisioned any more")
            return [stop, ProvisionedChanged(pool.key)]
        pool.ready.append(context)
        return []

    def _context_died(self, event: ContextDied) -> list[Command]:
        context = self.contexts.pop(event.context, None)
        if context is None:
            return []
        pool = self.pools[context.pool]
        del pool.members[event.context]
        commands: list[Command] = []
        if context.state is _STOPPING:
            pool.ending -= 1
        else:
            self._room.give_back(pool)
            self._line.to_end(pool)
            if context.state in BEFORE_READY:
                self._end_start(pool, context)
            elif context.state in IN_FLIGHT:
                pool.end_flight(context)
            if context.provisioned:
                commands += self._provisioned_died(pool, context, event)
            elif context.state in BEFORE_READY:
                commands += self._start_failed(pool, event.reason)
        context.move(ContextState.DEAD, event.reason)
        self._line.recount(pool)
        commands += self._fill()
        while pool.waiting and self._line.short > self._policy.max_waiting:
            # Its start is over, and meanwhile there is no room for another one.
            commands.append(self._refuse_admitted(pool, pool.waiting.pop(), self._room.lack))
            self._line.recount(pool)
        self._forget_if_empty(pool)
        return commands

    def _start_failed(self, pool: Pool, reason: str) -> list[Command]:
        pool.failures += 1
        if pool.failures < START_ATTEMPTS or not pool.waiting:
            return []
        pool.failures = 0
        pool.share.allowance.left += 1
        return [Reject(pool.waiting.popleft(), Refusal.START_FAILED, reason)]

    # -- provisioned contexts

    def _provision_requested(self, event: ProvisionRequested) -> list[Command]:
        pool = self.pools.get(event.pool)
        if self._stopping or (pool is not None and pool.retired):
            return []
        if pool is None:
            if not event.wanted:
                return []
            pool = self._open(event.pool)
        pool.target = event.wanted
        pool.failed = False
        pool.provision_failures = pool.early_deaths = 0
        reason = "not provisioned any more"
        over = min(pool.provisioned - pool.target, pool.provisioning)
        commands = self._call_off(pool, over, reason, provisioned=True)
        while pool.provisioned > pool.target and pool.ready:
            context = pool.ready.popleft()
            if context.state is _IDLE:
                commands.append(self._stop(context, reason))
        self._unprovisioned.setdefault(pool.key, pool)
        commands += (*self._provision(), ProvisionedChanged(pool.key))
        self._forget_if_empty(pool)
        return commands

    def _provisioned_died(
        self, pool: Pool, context: Lifecycle, event: ContextDied
    ) -> list[Command]:
        if context.state in BEFORE_READY:
            pool.provisioned -= 1
            if context.state is _INITIALIZING and not event.lost:
                pool.provision_failures += 1
            elif context.context > pool.wave:
                # Whatever took it takes others with it, and that is one failure.
                pool.provision_failures += 1
                pool.wave = self._last_context
        else:
            pool.lose_provisioned()
            if not event.lost:
                early = context.is_unused and event.now - context.idle_since < EARLY
                pool.early_deaths = pool.early_deaths + 1 if early else 0
        # One that succeeds late does not take it back: whoever was told asks anew.
        if max(pool.provision_failures, pool.early_deaths) >= PROVISION_ATTEMPTS:
            pool.failed = True
        self._unprovisioned.setdefault(pool.key, pool)  # whose turn is after those who wait
        return [ProvisionedChanged(pool.key)]

    # -- the host

    def _memory_measured(self, event: MemoryMeasured) -> list[Command]:
        for key, footprint in event.footprints.items():
            pool = self.pools.get(key)
            if pool is None or pool.retired or footprint <= self._footprints.get(key, 0):
                continue
            self._footprints[key] = footprint
            self._room.resize(pool, footprint)
        self._room.memory = event.room - self._room.promised
        commands: list[Command] = []
        while self._room.memory < 0:
            victim = self._cold.first()
            if victim is None:
                break
            commands.append(self._stop(victim, "the host is short of memory"))
        return commands + self._fill()

    # -- what users change

    def _pool_retired(self, event: PoolRetired) -> list[Command]:
        self._footprints.pop(event.pool, None)
        pool = self.pools.get(event.pool)
        if pool is None:
            return []
        pool.retired = True
        commands = self._stop_all(pool, "drained")
        self._forget_if_empty(pool)
        return commands

    def _idle_dropped(self, event: IdleDropped) -> list[Command]:
        pool = self.pools.get(event.pool)
        return [] if pool is None else self._stop_stack(pool.idle, "dropped while idle")

    def _reserved_set(self, event: ReservedSet) -> list[Command]:
        share = self.ledger.share(event.function)
        on_demand = 0
        for pool in self.pools.values():
            if pool.share is share:
                on_demand += len(pool.waiting) + sum(
                    context.state in IN_FLIGHT and not context.provisioned
                    for context in pool.members.values()
                )
        self.ledger.reserve(share, event.reserved, on_demand)
        return []

    def _function_deleted(self, event: FunctionDeleted) -> list[Command]:
        self._reserved_set(ReservedSet(event.function, None))
        share = self.ledger.share(event.function)
        share.deleted = True
        self.ledger.forget_unused(share)
        return []

    def _tick(self, event: Tick) -> list[Command]:
        self._wake = None
        timeout = self._policy.idle_timeout
        cold = self._cold.until(event.now - timeout)
        commands: list[Command] = [self._stop(context, "idle for too long") for context in cold]
        earliest = self._cold.earliest
        if earliest is not None:
            self._wake = earliest + timeout
            commands.append(WakeAt(self._wake))
        return commands

    def _stop_requested(self, _: StopRequested) -> list[Command]:
        self._stopping = True
        commands: list[Command] = []
        for pool in list(self.pools.values()):
            commands += self._stop_all(pool, "the engine stops")
            self._forget_if_empty(pool)
        return commands

    def _grace_over(self, _: GraceOver) -> list[Command]:
        reason = "the engine stopped before there was a context"
        commands: list[Command] = []
        for pool in list(self.pools.values()):
            commands += (Reject(ticket, Refusal.STOPPING, reason) for ticket in pool.waiting)
            pool.share.allowance.left += len(pool.waiting)
            pool.waiting.clear()
            self._line.recount(pool)
            self._forget_if_empty(pool)
        return commands
