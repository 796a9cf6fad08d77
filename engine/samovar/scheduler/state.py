"""The scheduler as a pure state machine: `handle(event)` gives commands; no clock, no I/O.

Assigning is one synchronous step: a context leaves IDLE in the same call that names its ticket, so
that nothing can expire or evict it in between. A ticket that waits for a cold start takes whichever
context of its pool is free first. Picks, expiry and withdrawal are O(1) (amortised).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.scheduler.commands import (
    Command,
    Dispatch,
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
    GraceOver,
    IdleDropped,
    InvocationEnded,
    InvokeRequested,
    PoolRetired,
    StopRequested,
    Tick,
)
from samovar.scheduler.policy import START_ATTEMPTS, Policy
from samovar.scheduler.pool import Pool

_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost
_IDLE = ContextState.IDLE
_RESERVED = ContextState.RESERVED
_STOPPING = ContextState.STOPPING
_BEFORE_READY = (ContextState.STARTING, ContextState.INITIALIZING)


class SchedulerState:
    """All pools and contexts. `handle` is the only way in."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.pools: dict[str, Pool] = {}
        self.contexts: dict[int, Lifecycle] = {}
        self._next_context = 1
        self._wake: float | None = None
        self._ending = 0  # contexts that are STOPPING: they have no part in what is counted
        # Tickets that wait while there is no room for a context of theirs: in all, and per pool.
        # The pools stand in line: whichever was given a place, or gave one up, goes to the end.
        self._short = 0
        self._missing: dict[str, int] = {}
        self._stopping = False
        self._handlers: dict[type[Event], Callable[[Any], list[Command]]] = {
            InvokeRequested: self._invoke_requested,
            ContextReady: self._context_ready,
            InvocationEnded: self._invocation_ended,
            ContextDied: self._context_died,
            PoolRetired: self._pool_retired,
            IdleDropped: self._idle_dropped,
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

    def _invoke_requested(self, event: InvokeRequested) -> list[Command]:
        if self._stopping:
            return [Reject(event.ticket, Refusal.STOPPING, "the engine is stopping")]
        pool = self.pools.get(event.pool)
        if pool is None:
            pool = self.pools[event.pool] = Pool(event.pool)
        idle = pool.idle
        while idle:
            context = idle.pop()
            if context.state is _IDLE:
                context.move(_RESERVED)
                return [_new(Dispatch, (context.context, event.ticket))]
        commands: list[Command] = []
        # A start that nobody waits for any more (its ticket found a freed context) serves this one.
        if pool.starting <= len(pool.waiting):
            if self._room:
                commands.append(self._start(pool))
            elif victim := self._coldest():
                commands += (self._stop(victim, "evicted"), self._start(pool))
            elif self._short >= self._policy.max_waiting:
                reason = f"{self._policy.max_contexts} contexts exist and none is idle"
                self._forget_if_empty(pool)
                return [Reject(event.ticket, Refusal.CONCURRENCY, reason)]
        pool.waiting.append(event.ticket)
        self._recount(pool)
        return commands

    def _context_ready(self, event: ContextReady) -> list[Command]:
        context = self.contexts.get(event.context)
        if context is None:
            return []
        pool = self.pools[context.pool]
        pool.starting -= 1
        pool.failures = 0
        context.move(_IDLE)
        # Even where another pool starves: a context given up before it ever ran would serve nobody.
        if pool.waiting:
            return [self._reserve(pool, context)]
        return self._free(pool, context, event.now)

    def _invocation_ended(self, event: InvocationEnded) -> list[Command]:
        context = self.contexts.get(event.context)
        if context is None:
            return []
        context.move(_IDLE)
        return self._free(self.pools[context.pool], context, event.now)

    def _free(self, pool: Pool, context: Lifecycle, now: float) -> list[Command]:
        if pool.waiting and not (self._short and self._starved()):
            return [self._reserve(pool, context)]
        if self._short:  # its place goes to a pool that needs it more
            self._to_end_of_line(pool)
            return [self._stop(context, "evicted"), *self._fill()]
        if pool.retired or self._stopping:
            return [self._stop(context, "drained")]
        context.idle_since = now
        pool.idle.append(context)
        if self._wake is None:
            self._wake = now + self._policy.idle_timeout
            return [WakeAt(self._wake)]
        return []

    def _reserve(self, pool: Pool, context: Lifecycle) -> Dispatch:
        context.move(_RESERVED)
        ticket = pool.waiting.popleft()
        if self._short:
            self._recount(pool)
        return Dispatch(context.context, ticket)

    def _context_died(self, event: ContextDied) -> list[Command]:
        context = self.contexts.pop(event.context, None)
        if context is None:
            return []
        pool = self.pools[context.pool]
        del pool.members[event.context]
        started = context.state not in _BEFORE_READY
        if context.state is _STOPPING:
            self._ending -= 1
            pool.ending -= 1
        else:
            self._to_end_of_line(pool)
        context.move(ContextState.DEAD, event.reason)
        commands: list[Command] = []
        if not started:
            pool.starting -= 1
            pool.failures += 1
            if pool.failures >= START_ATTEMPTS and pool.waiting:
                pool.failures = 0
                ticket = pool.waiting.popleft()
                commands.append(Reject(ticket, Refusal.START_FAILED, event.reason))
        self._recount(pool)
        commands += self._fill()
        self._forget_if_empty(pool)
        return commands

    def _fill(self) -> list[Command]:
        """A start for each ticket that has none coming, as far as there is room: for starved pools
        first, then for one after the other."""
        commands: list[Command] = []
        while self._missing and self._room:
            pool = self._starved() or self.pools[next(iter(self._missing))]
            commands.append(self._start(pool))
            self._to_end_of_line(pool)
            self._recount(pool)
        return commands

    def _starved(self) -> Pool | None:
        """A pool whose tickets wait while it has no context at all: without a place that is given
        up by another, they would wait for as long as the others are busy. O(pools), only when
        tickets wait for room."""
        for key in self._missing:
            pool = self.pools[key]
            if len(pool.members) == pool.ending:
                return pool
        return None

    def _to_end_of_line(self, pool: Pool) -> None:
        missing = self._missing.pop(pool.key, 0)
        if missing:
            self._missing[pool.key] = missing

    def _recount(self, pool: Pool) -> None:
        """Note how many tickets of `pool` wait without a start that is theirs."""
        missing = max(0, len(pool.waiting) - pool.starting)
        self._short += missing - self._missing.get(pool.key, 0)
        if missing:
            self._missing[pool.key] = missing
        else:
            self._missing.pop(pool.key, None)

    def _pool_retired(self, event: PoolRetired) -> list[Command]:
        pool = self.pools.get(event.pool)
        if pool is None:
            return []
        pool.retired = True
        commands = self._stop_idle(pool, "drained")
        self._forget_if_empty(pool)
        return commands

    def _idle_dropped(self, event: IdleDropped) -> list[Command]:
        pool = self.pools.get(event.pool)
        return [] if pool is None else self._stop_idle(pool, "dropped while idle")

    def _tick(self, event: Tick) -> list[Command]:
        commands: list[Command] = []
        self._wake = None
        for pool in list(self.pools.values()):
            idle = pool.idle
            while idle and (
                idle[0].state is not _IDLE
                or idle[0].idle_since + self._policy.idle_timeout <= event.now
            ):
                context = idle.popleft()
                if context.state is _IDLE:
                    commands.append(self._stop(context, "idle for too long"))
            if idle:
                wish = idle[0].idle_since + self._policy.idle_timeout
                self._wake = wish if self._wake is None else min(self._wake, wish)
            else:
                self._forget_if_empty(pool)
        if self._wake is not None:
            commands.append(WakeAt(self._wake))
        return commands

    def _stop_requested(self, _: StopRequested) -> list[Command]:
        self._stopping = True
        commands: list[Command] = []
        for pool in self.pools.values():
            commands += self._stop_idle(pool, "the engine stops")
        return commands

    def _grace_over(self, _: GraceOver) -> list[Command]:
        reason = "the engine stopped before there was a context"
        commands: list[Command] = []
        for pool in list(self.pools.values()):
            commands += (Reject(ticket, Refusal.STOPPING, reason) for ticket in pool.waiting)
            pool.waiting.clear()
            self._recount(pool)
            self._forget_if_empty(pool)
        return commands

    def _stop_idle(self, pool: Pool, reason: str) -> list[Command]:
        commands: list[Command] = [
            self._stop(context, reason) for context in pool.idle if context.state is _IDLE
        ]
        pool.idle.clear()
        return commands

    def _start(self, pool: Pool) -> StartContext:
        context = Lifecycle(self._next_context, pool.key)
        self._next_context += 1
        self.contexts[context.context] = context
        pool.members[context.context] = context
        pool.starting += 1
        return StartContext(context)

    def _stop(self, context: Lifecycle, reason: str) -> StopContext:
        context.move(_STOPPING, reason)
        self._ending += 1
        self.pools[context.pool].ending += 1
        return StopContext(context.context, reason)

    @property
    def _room(self) -> bool:
        """Whether one more context may be."""
        return len(self.contexts) - self._ending < self._policy.max_contexts

    def _coldest(self) -> Lifecycle | None:
        """The context that has been idle longest, of all pools. O(pools), only when full."""
        coldest = None
        for pool in self.pools.values():
            while pool.idle and pool.idle[0].state is not _IDLE:
                pool.idle.popleft()
            if pool.idle and (coldest is None or pool.idle[0].idle_since < coldest.idle_since):
                coldest = pool.idle[0]
        return coldest

    def _forget_if_empty(self, pool: Pool) -> None:
        if pool.empty:
            self.pools.pop(pool.key, None)
