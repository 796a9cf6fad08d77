"""A stage for the scheduler's state: plays the driver, the contexts and the callers, by hand.

Every event goes through here; after each, `check` counts again from scratch what the state keeps
in counters, and holds the state to a model that knows nothing but what was said to it.
"""

from __future__ import annotations

from collections import Counter

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
    MemoryMeasured,
    PoolRetired,
    StopRequested,
    Tick,
)
from samovar.scheduler.policy import Policy
from samovar.scheduler.state import SchedulerState

IDLE_TIMEOUT = 10.0
NOT_READY = (ContextState.STARTING, ContextState.INITIALIZING)


class Stage:
    """`now` is the time of the next event. Tickets are numbers, contexts too."""

    def __init__(self, max_contexts: int = 100, max_waiting: int = 0) -> None:
        self.policy = Policy(IDLE_TIMEOUT, max_contexts, max_waiting)
        self.state = SchedulerState(self.policy)
        self.now = 0.0
        self.wake: float | None = None
        self.stopping = False
        self.lives: dict[int, Lifecycle] = {}  # every context that is not dead
        self.waiting: dict[str, list[int]] = {}  # tickets by pool, in order of arrival
        self.running: dict[int, int] = {}  # the ticket of each busy context
        self.idle: dict[int, float] = {}  # since when, in the order in which they became idle
        self.rejected: dict[int, Refusal] = {}
        self.reasons: dict[int, str] = {}  # of rejections
        self.served: dict[int, int] = {}  # the context that each ticket was dispatched to
        self.stopped: dict[int, str] = {}  # reasons, of all contexts that were told to stop
        self.retired: set[str] = set()
        self._tickets = 0
        self._pool_of: dict[int, str] = {}

    # -- what can happen

    def invoke(self, pool: str = "a") -> int:
        """A ticket of `pool`; `served`, `waiting` or `rejected` say what became of it."""
        self._tickets += 1
        ticket = self._tickets
        self._pool_of[ticket] = pool
        idle = [number for number in self.idle if self.lives[number].pool == pool]
        self.waiting.setdefault(pool, []).append(ticket)
        self._play(InvokeRequested(pool, ticket, self.now))
        if idle:
            assert self.served[ticket] == idle[-1], "the hot end is used again"
        return ticket

    def initialize(self, context: int) -> None:
        """Its init begins: the context says so in its lifecycle, and no event comes of it."""
        self.lives[context].move(ContextState.INITIALIZING)

    def ready(self, context: int) -> None:
        """Its init is over, and before that begun."""
        if self.lives[context].state is ContextState.STARTING:
            self.initialize(context)
        self.idle[context] = self.now
        self._play(ContextReady(context, self.now))

    def end(self, context: int) -> int:
        """Its invocation is over; gives back which one that was."""
        ticket = self.running.pop(context)
        self.idle[context] = self.now
        self._play(InvocationEnded(context, self.now))
        return ticket

    def die(self, context: int, reason: str = "killed") -> None:
        """It is gone, whatever it was doing. A ticket it ran is answered by the context."""
        self.running.pop(context, None)
        self.idle.pop(context, None)
        lifecycle = self.lives.pop(context)
        self._play(ContextDied(context, reason, self.now))
        assert lifecycle.state is ContextState.DEAD
        assert lifecycle.reason == reason

    def retire(self, pool: str = "a") -> None:
        if pool in self.state.pools:
            self.retired.add(pool)
        self._play(PoolRetired(pool))

    def drop_idle(self, pool: str = "a") -> None:
        busy = {number for number in self.running if self.lives[number].pool == pool}
        others = {number for number in self.idle if self.lives[number].pool != pool}
        self._play(IdleDropped(pool))
        assert busy <= self.running.keys(), "whoever runs is not disturbed"
        assert self.idle.keys() == others, "none of the pool's own is idle, and all others' are"

    def measure(self, room: int, footprints: dict[str, int]) -> None:
        """The host has `room` MB for new contexts."""
        self._play(MemoryMeasured(room, footprints))

    def tick(self) -> None:
        """The wake-up that was wished for, or one that nobody wished for."""
        self.wake = None
        self._play(Tick(self.now))
        for since in self.idle.values():
            assert since + IDLE_TIMEOUT > self.now, "what is idle for too long was stopped"

    def stop(self) -> None:
        self.stopping = True
        self._play(StopRequested())

    def grace_over(self) -> None:
        self._play(GraceOver())

    def ready_context(self, pool: str = "a") -> int:
        """A context that has served one invocation and is idle."""
        ticket = self.invoke(pool)
        context = self.served.get(ticket)
        if context is None:
            context = max(self.starting(pool))
            self.ready(context)
        self.end(context)
        return context

    # -- what is there

    def starting(self, pool: str = "a") -> list[int]:
        """Contexts of `pool` that are not ready yet, oldest first."""
        return [
            number
            for number, life in self.lives.items()
            if life.pool == pool and life.state in NOT_READY
        ]

    def in_state(self, state: ContextState) -> list[int]:
        return [number for number, life in self.lives.items() if life.state is state]

    def alive(self) -> int:
        return sum(life.state is not ContextState.STOPPING for life in self.lives.values())

    def _living(self, pool: str) -> int:
        stopping = ContextState.STOPPING
        return sum(life.pool == pool and life.state is not stopping for life in self.lives.values())

    # -- the driver's part

    def _play(self, event: Event) -> None:
        died_in = self._pool_of_context(event)
        for command in self.state.handle(event):
            self._carry_out(command, event)
        if died_in is not None and died_in not in self.state.pools:
            self.retired.discard(died_in)
        self.retired &= self.state.pools.keys()
        self.check()

    def _pool_of_context(self, event: Event) -> str | None:
        number = getattr(event, "context", None)
        life = self.state.contexts.get(number) if number is not None else None
        return life.pool if life is not None else None

    def _carry_out(self, command: Command, event: Event) -> None:
        if isinstance(command, StartContext):
            life = command.lifecycle
            assert life.state is ContextState.STARTING
            assert life.context not in self.lives
            self.lives[life.context] = life
        elif isinstance(command, Dispatch):
            self._dispatch(command.context, command.ticket)
        elif isinstance(command, StopContext):
            assert command.context not in self.running, "a busy context is not stopped"
            life = self.lives[command.context]
            drains = self.stopping or life.pool in self.retired
            # Only an idle one is, or one that is not waited for any more.
            since = self.idle.pop(command.context, None if drains else -1.0)
            assert since is None or since >= 0
            assert self.lives[command.context].reason == command.reason
            if command.reason == "idle for too long":
                assert since is not None and since + IDLE_TIMEOUT <= self.now
            elif command.reason == "evicted" and isinstance(event, InvokeRequested):
                assert since == min([since, *self.idle.values()]), "the coldest one is evicted"
            self.stopped[command.context] = command.reason
        elif isinstance(command, Reject):
            self._drop_waiting(command.ticket)
            self.rejected[command.ticket] = command.refusal
            self.reasons[command.ticket] = command.reason
        elif isinstance(command, WakeAt):
            self.wake = command.when

    def _dispatch(self, context: int, ticket: int) -> None:
        life = self.lives[context]
        assert life.state is ContextState.RESERVED
        assert context not in self.running, "one invocation at a time"
        assert life.pool == self._pool_of[ticket], "a context runs its own version only"
        assert ticket == self.waiting[life.pool][0], "first come, first served"
        self._drop_waiting(ticket)
        self.idle.pop(context)
        life.move(ContextState.BUSY)
        self.running[context] = ticket
        self.served[ticket] = context

    def _drop_waiting(self, ticket: int) -> None:
        assert ticket not in self.served, "a ticket is answered once"
        assert ticket not in self.rejected, "a ticket is answered once"
        self.waiting[self._pool_of[ticket]].remove(ticket)

    # -- what always holds

    def check(self) -> None:
        """Count everything again."""
        state, lives = self.state, self.lives
        assert state.contexts == lives
        assert self.alive() <= self.policy.max_contexts
        assert sorted(self.idle) == sorted(self.in_state(ContextState.IDLE))
        assert sorted(self.running) == sorted(self.in_state(ContextState.BUSY))
        assert not self.in_state(ContextState.RESERVED)
        waiting = {pool: tickets for pool, tickets in self.waiting.items() if tickets}
        members = Counter(life.pool for life in lives.values())
        assert state.pools.keys() == waiting.keys() | members.keys(), "empty pools vanish"
        missing = {}
        for key, pool in state.pools.items():
            tickets, starting = waiting.get(key, []), self.starting(key)
            assert list(pool.waiting) == tickets, "no ticket is lost"
            assert pool.members == {n: life for n, life in lives.items() if life.pool == key}
            assert pool.starting == len(starting)
            assert pool.retired == (key in self.retired)
            idle = [n for n in self.idle if lives[n].pool == key]
            assert [i.context for i in pool.idle if i.state is ContextState.IDLE] == idle
            assert not (tickets and idle), "a ticket waits only while none of its own is idle"
            assert not (idle and (pool.retired or self.stopping)), "what drains keeps nothing"
            if len(tickets) > len(starting):
                missing[key] = len(tickets) - len(starting)
        line = state._line
        assert {pool.key: count for pool, count in line._missing.items()} == missing
        assert line.short == sum(missing.values()) <= self.policy.max_waiting
        starved = {key for key in missing if not self._living(key)}
        assert {pool.key for pool in line._starved} == starved
        assert state._room.living == self.alive()
        stopping = len(self.in_state(ContextState.STOPPING))
        assert stopping == sum(pool.ending for pool in state.pools.values())
        if missing:  # whoever has no start of its own waits for room, and there is none
            assert self.alive() == self.policy.max_contexts
            assert not self.idle
        if self.idle:  # somebody comes by when the coldest of them is to go
            assert self.wake is not None
            assert self.wake <= min(self.idle.values()) + IDLE_TIMEOUT
        assert state.settled == (not lives and not waiting)
        answered = len(self.served) + len(self.rejected) + sum(map(len, waiting.values()))
        assert answered == self._tickets, "no ticket is lost"
