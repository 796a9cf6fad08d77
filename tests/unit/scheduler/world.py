"""A world around the scheduler's state: functions, versions, limits, memory, and all that happens.

It knows what it said itself and what it was told to do, and counts everything from that, from
scratch, after each event; of the state's own counters it believes none.
"""

from __future__ import annotations

from collections import Counter

from tests.unit.scheduler.counted import Body, Budget, Promise, function_of

from samovar.context.lifecycle import ContextState, Lifecycle
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
from samovar.scheduler.policy import (
    EARLY,
    PROVISION_AT_ONCE,
    PROVISION_IN_ALL,
    START_ATTEMPTS,
    Policy,
)
from samovar.scheduler.state import SchedulerState

IDLE_TIMEOUT = 10.0
_S = ContextState
NOT_READY = (_S.STARTING, _S.INITIALIZING)


class World:
    """Pools are named `function:version#generation`; `now` is the time of the next event."""

    def __init__(self, max_contexts: int = 4, max_waiting: int = 0, account: int = 1000) -> None:
        self.policy = Policy(IDLE_TIMEOUT, max_contexts, max_waiting, account)
        self.state = SchedulerState(self.policy)
        self.now = 0.0
        self.wake: float | None = None
        self.stopping = False
        self.bodies: dict[int, Body] = {}
        self.waiting: dict[str, list[int]] = {}  # tickets by pool, in order of arrival
        self.answers: Counter[int] = Counter()  # how often each ticket was answered
        self.refusals: dict[int, Refusal] = {}
        self.reserved: dict[str, int] = {}
        self.promises: dict[str, Promise] = {}
        self.retired: set[str] = set()
        self.memory = Budget()
        self.tickets = 0
        self.latest = 0  # the context that was started last
        self._failed_starts: Counter[str] = Counter()  # on demand, in a row

    # -- what can happen

    def invoke(self, pool: str) -> int:
        self.tickets += 1
        ticket = self.tickets
        refusal = self._due_refusal(pool)
        self.waiting.setdefault(pool, []).append(ticket)
        self._play(InvokeRequested(pool, ticket, self.now))
        told = self.refusals.get(ticket)
        if refusal is not None or told in (Refusal.ACCOUNT, Refusal.RESERVED, Refusal.STOPPING):
            assert told is refusal, f"refused by {told}, to be refused by {refusal}"
        if told is None and (most := self.reserved.get(function_of(pool))) is not None:
            assert self.in_flight(function_of(pool)) <= most, "reserved is the most, too"
        return ticket

    def initialize(self, context: int) -> None:
        self._move(context, _S.INITIALIZING)

    def ready(self, context: int) -> None:
        """Its init is over."""
        body = self.bodies[context]
        if body.phase is _S.STARTING:
            self.initialize(context)
        body.phase, body.since = _S.IDLE, self.now
        if body.provisioned:
            self._promise(body.pool).failures = 0
        else:
            self._failed_starts[body.pool] = 0
        self._play(ContextReady(context, self.now))

    def end(self, context: int) -> None:
        """Its invocation is over."""
        body = self.bodies[context]
        self.answers[body.ticket] += 1
        body.phase, body.since, body.ticket = _S.IDLE, self.now, 0
        self._play(InvocationEnded(context, self.now))

    def die(self, context: int, lost: bool = False) -> None:
        """It is gone, whatever it was doing; what it ran is answered by whoever saw it die."""
        body = self.bodies.pop(context)
        if body.phase is _S.BUSY:
            self.answers[body.ticket] += 1
        if body.living:
            self.memory.change(self.memory.footprint(body.pool))
        if body.phase in NOT_READY:
            if body.provisioned:
                own = body.phase is _S.INITIALIZING and not lost
                self._promise(body.pool).failed(context, self.latest, own)
            else:
                self._failed_starts[body.pool] += 1
        elif body.provisioned and body.living and not lost:
            unused = body.phase is _S.IDLE and not body.used
            self._promise(body.pool).died(unused and self.now < body.since + EARLY)
        self._play(ContextDied(context, "dead", self.now, lost))
        assert body.life.state is _S.DEAD

    def reserve(self, function: str, concurrency: int | None) -> None:
        self.reserved.pop(function, None)
        if concurrency is not None:
            self.reserved[function] = concurrency
        self._play(ReservedSet(function, concurrency))

    def provision(self, pool: str, wanted: int) -> None:
        # What was lost together before is no failure of the new promise's when the rest of it goes.
        self.promises[pool] = Promise(wanted, wave=self._promise(pool).wave)
        self._play(ProvisionRequested(pool, wanted))

    def retire(self, pool: str) -> None:
        self.retired.add(pool)
        self._promise(pool).target = 0
        self._play(PoolRetired(pool))
        self._check_drained(pool)

    def delete(self, function: str, pools: list[str]) -> None:
        for pool in pools:
            self.retire(pool)
        self.reserved.pop(function, None)
        self._play(FunctionDeleted(function))

    def drop_idle(self, pool: str) -> None:
        spared = {
            number
            for number, body in self.bodies.items()
            if body.phase is _S.IDLE and (body.pool != pool or body.provisioned)
        }
        self._play(IdleDropped(pool))
        assert spared == {n for n, body in self.bodies.items() if body.phase is _S.IDLE}

    def measure(self, room: int, footprints: dict[str, int]) -> None:
        for pool, size in footprints.items():
            if pool in self._known() - self.retired:
                self.memory.measured[pool] = max(size, self.memory.measured.get(pool, 0))
        coming = [body.pool for body in self.bodies.values() if body.phase in NOT_READY]
        self.memory.left = room - sum(map(self.memory.footprint, coming))
        self._play(MemoryMeasured(room, footprints))
        assert self.memory.left >= 0 or not self.cold(), "idle ones go before the host is short"

    def tick(self) -> None:
        self.wake = None
        self._play(Tick(self.now))
        for number in self.cold():
            assert self.bodies[number].since + IDLE_TIMEOUT > self.now, "what is idle too long goes"

    def stop(self) -> None:
        self.stopping = True
        for promise in self.promises.values():
            promise.target = 0
        self._play(StopRequested())
        for pool in list(self.state.pools):
            self._check_drained(pool)

    def grace_over(self) -> None:
        self._play(GraceOver())

    def _check_drained(self, pool: str) -> None:
        """Nothing goes on that nobody waits for."""
        assert not self.starting(pool, provisioned=True)
        assert self.starting(pool) <= len(self.waiting.get(pool, ()))

    # -- what is there, counted

    def which(self, *phases: ContextState) -> list[int]:
        return [number for number, body in self.bodies.items() if body.phase in phases]

    def cold(self) -> list[int]:
        """Idle contexts that may be evicted: none that is provisioned."""
        return [n for n in self.which(_S.IDLE) if not self.bodies[n].provisioned]

    def living(self, pool: str | None = None, provisioned: bool | None = None) -> int:
        return sum(
            body.living and pool in (None, body.pool) and provisioned in (None, body.provisioned)
            for body in self.bodies.values()
        )

    def starting(self, pool: str, provisioned: bool = False) -> int:
        return sum(
            body.pool == pool and body.provisioned is provisioned and body.phase in NOT_READY
            for body in self.bodies.values()
        )

    def missing(self) -> dict[str, int]:
        """By pool: tickets that wait and have no start of their own coming."""
        short = {pool: len(them) - self.starting(pool) for pool, them in self.waiting.items()}
        return {pool: count for pool, count in short.items() if count > 0}

    def room(self, pool: str) -> bool:
        """Whether one more context of `pool` may be."""
        return self.living() < self.policy.max_contexts and self.memory.has(pool)

    def would_do(self, pool: str) -> bool:
        """Whether `pool` could have a context if all that is idle went."""
        going = self.cold()
        given = sum(self.memory.footprint(self.bodies[number].pool) for number in going)
        left = self.memory.left
        return (
            bool(going)
            and self.living() - len(going) < self.policy.max_contexts
            and (left is None or left + given >= self.memory.footprint(pool))
        )

    def provisioning(self) -> int:
        """Provisioned contexts of all pools that start."""
        return sum(self.bodies[number].provisioned for number in self.which(*NOT_READY))

    def on_demand(self, function: str) -> int:
        """Invocations in flight that take no provisioned context."""
        wait = sum(
            len(them) for pool, them in self.waiting.items() if function_of(pool) == function
        )
        return wait + self._count(function, False, _S.BUSY)

    def initialized(self, function: str) -> int:
        """Provisioned contexts that keep a place of their function's."""
        return self._count(function, True, _S.IDLE, _S.BUSY)

    def in_flight(self, function: str) -> int:
        return self.on_demand(function) + self._count(function, True, _S.BUSY)

    def functions(self) -> set[str]:
        pools = self._known() | {body.pool for body in self.bodies.values()}
        return set(self.reserved) | {function_of(pool) for pool in pools}

    def account_left(self) -> int:
        """Places for those who have reserved nothing."""
        taken = sum(
            self.reserved.get(name, self.on_demand(name) + self.initialized(name))
            for name in self.functions()
        )
        return self.policy.account_concurrency - taken

    def _count(self, function: str, provisioned: bool, *phases: ContextState) -> int:
        return sum(
            function_of(body.pool) == function
            and body.provisioned is provisioned
            and body.phase in phases
            for body in self.bodies.values()
        )

    def _known(self) -> set[str]:
        """Pools that there must be."""
        wanted = {pool for pool, promise in self.promises.items() if promise.target}
        waited = {pool for pool, tickets in self.waiting.items() if tickets}
        return wanted | waited | {body.pool for body in self.bodies.values()}

    def _promise(self, pool: str) -> Promise:
        return self.promises.setdefault(pool, Promise())

    # -- what is due

    def _due_refusal(self, pool: str) -> Refusal | None:
        """What the limits say of one more invocation of `pool`."""
        function = function_of(pool)
        if self.stopping:
            return Refusal.STOPPING
        most = self.reserved.get(function)
        if any(
            b.pool == pool and b.provisioned for b in self.bodies.values() if b.phase is _S.IDLE
        ):
            over = most is not None and self.in_flight(function) >= most
            return Refusal.RESERVED if over else None
        if most is None:
            return Refusal.ACCOUNT if self.account_left() <= 0 else None
        full = self.on_demand(function) + self.initialized(function) >= most
        return Refusal.RESERVED if full else None

    # -- the driver's part

    def _move(self, context: int, phase: ContextState) -> None:
        body = self.bodies[context]
        body.life.move(phase)
        body.phase = phase

    def _play(self, event: Event) -> None:
        for command in self.state.handle(event):
            self._carry_out(command, event)
        self.waiting = {pool: tickets for pool, tickets in self.waiting.items() if tickets}
        known = self._known()
        for gone in self.retired - known:  # a later pool of the name is another one
            self.memory.measured.pop(gone, None)
        self.retired &= known
        self.promises = {pool: promise for pool, promise in self.promises.items() if pool in known}
        self.check()

    def _carry_out(self, command: Command, event: Event) -> None:
        if isinstance(command, StartContext):
            self._start(command.lifecycle)
        elif isinstance(command, Dispatch):
            self._dispatch(command, event)
        elif isinstance(command, StopContext):
            self._stop(command, event)
        elif isinstance(command, Reject):
            self._reject(command, event)
        elif isinstance(command, WakeAt):
            self.wake = command.when
        else:
            assert isinstance(command, ProvisionedChanged)

    def _start(self, life: Lifecycle) -> None:
        pool = life.pool
        assert life.context not in self.bodies
        assert self.room(pool), "there is room for each that starts, by number and by memory"
        assert not (self.stopping and life.provisioned)
        if life.provisioned:
            promise = self._promise(pool)
            assert promise.kept_up and pool not in self.retired
            assert self.living(pool, provisioned=True) < promise.target
            assert self.starting(pool, provisioned=True) < PROVISION_AT_ONCE
            assert self.provisioning() < PROVISION_IN_ALL
        elif self.living(pool):
            starving = [
                other
                for other in self.missing()
                if other != pool and not self.living(other) and self.room(other)
            ]
            assert not starving, f"{pool} gets a second place while {starving} have none"
        self.memory.change(-self.memory.footprint(pool))
        self.latest = life.context
        self.bodies[life.context] = Body(life, pool, life.provisioned)

    def _dispatch(self, command: Dispatch, event: Event) -> None:
        body, ticket = self.bodies[command.context], command.ticket
        if isinstance(event, InvocationEnded) and not body.provisioned:
            starving = [pool for pool in self.missing() if not self.living(pool)]
            helped = [pool for pool in starving if self.would_do(pool)]  # it is idle
            assert not helped, f"{body.pool} keeps its place while {helped} have none"
        assert body.phase is _S.IDLE, "one invocation at a time, on a context that is ready"
        assert body.life.state is _S.RESERVED
        tickets = self.waiting.get(body.pool, [])
        assert tickets and tickets[0] == ticket, "its own version, and first come, first served"
        assert not self.answers[ticket]
        del tickets[0]
        body.ticket, body.used = ticket, True
        self._move(command.context, _S.BUSY)

    def _stop(self, command: StopContext, event: Event) -> None:
        body = self.bodies[command.context]
        assert body.phase in (_S.IDLE, *NOT_READY), "what runs is not stopped"
        if body.phase in NOT_READY and not body.provisioned:
            assert self.stopping or body.pool in self.retired
            assert self.starting(body.pool) > len(self.waiting.get(body.pool, ())), "is waited for"
        elif body.provisioned:
            assert command.reason in ("not provisioned any more", "drained", "the engine stops")
            assert self.living(body.pool, provisioned=True) > self._promise(body.pool).target
        elif command.reason == "idle for too long":
            assert body.since + IDLE_TIMEOUT <= self.now
        elif command.reason in ("evicted", "the host is short of memory"):
            coldest = min(self.bodies[number].since for number in self.cold())
            freed = getattr(event, "context", None) == command.context
            assert freed or body.since == coldest, "the coldest one of all pools is evicted"
        body.phase = _S.STOPPING
        assert body.life.state is _S.STOPPING
        self.memory.change(self.memory.footprint(body.pool))

    def _reject(self, command: Reject, event: Event) -> None:
        ticket = command.ticket
        (pool,) = [pool for pool, them in self.waiting.items() if ticket in them]
        if command.refusal is Refusal.START_FAILED:
            assert self._failed_starts[pool] >= START_ATTEMPTS
            assert self.waiting[pool][0] == ticket
            self._failed_starts[pool] = 0
        elif command.refusal in (Refusal.CONTEXTS, Refusal.MEMORY):
            assert not self.would_do(pool), "idle ones go before anybody is refused"
            full = self.living() >= self.policy.max_contexts
            assert command.refusal is (Refusal.CONTEXTS if full else Refusal.MEMORY)
            assert self.missing()[pool] > 0  # that which is refused
            assert sum(self.missing().values()) > self.policy.max_waiting
        elif command.refusal is Refusal.STOPPING:
            assert self.stopping
        else:
            assert isinstance(event, InvokeRequested)
        self.waiting[pool].remove(ticket)
        self.answers[ticket] += 1
        self.refusals[ticket] = command.refusal

    # -- what always holds

    def check(self) -> None:
        """Count everything, and hold the rules to it."""
        self._check_contexts()
        self._check_tickets()
        self._check_ledger()
        self._check_room()
        self._check_promises()
        idle = [self.bodies[number].since for number in self.cold()]
        if idle:  # somebody comes by when the coldest of them is to go
            assert self.wake is not None
            assert self.wake <= min(idle) + IDLE_TIMEOUT
        assert self.state.settled == (not self.bodies and not self.waiting)

    def _check_contexts(self) -> None:
        assert self.state.contexts == {n: body.life for n, body in self.bodies.items()}
        for body in self.bodies.values():
            assert body.life.state is body.phase
        assert self.living() <= self.policy.max_contexts
        assert self.state._room.living == self.living()
        for number in self.cold():
            body = self.bodies[number]
            assert not (self.stopping or body.pool in self.retired), "what drains keeps nothing"
        for pool in self.state.pools.values():
            stacks = (False, pool.idle), (True, pool.ready)
            for provisioned, stack in stacks:
                idle = [item.context for item in stack if item.state is _S.IDLE]
                assert sorted(idle) == sorted(
                    number
                    for number in self.which(_S.IDLE)
                    if self.bodies[number].pool == pool.key
                    and self.bodies[number].provisioned is provisioned
                )

    def _check_tickets(self) -> None:
        waiting = [ticket for tickets in self.waiting.values() for ticket in tickets]
        running = [body.ticket for body in self.bodies.values() if body.phase is _S.BUSY]
        under_way = Counter(waiting) + Counter(running)
        for ticket in range(1, self.tickets + 1):
            assert self.answers[ticket] + under_way[ticket] == 1, f"{ticket}: lost, or twice"
        for pool in self.state.pools.values():
            assert list(pool.waiting) == self.waiting.get(pool.key, [])
        for number in self.which(_S.IDLE):
            assert self.bodies[number].pool not in self.waiting, "it waits beside its own context"
        assert self.state.pools.keys() == self._known(), "empty pools vanish, and no others"

    def _check_ledger(self) -> None:
        ledger = self.state.ledger
        assert ledger.unreserved.left == self.account_left()
        shares = {share.function: share for share in ledger.shares()}
        assert self.functions() <= shares.keys()
        for name, share in shares.items():
            most = self.reserved.get(name)
            assert share.reserved == most
            assert share.provisioned == self.initialized(name)
            assert share.busy == self._count(name, True, _S.BUSY)
            if most is not None:
                taken = self.on_demand(name) + self.initialized(name)
                assert share.allowance.left == most - taken

    def _check_room(self) -> None:
        missing = self.missing()
        line = self.state._line
        assert line.short == sum(missing.values()) <= self.policy.max_waiting
        starved = {pool for pool in missing if not self.living(pool)}
        assert {pool.key for pool in line._starved} == starved
        assert self.state._room.memory == self.memory.left
        if missing:
            useful = [pool for pool in missing if self.cold() and self.would_do(pool)]
            assert not useful, "nobody is idle while somebody waits for room"
            if not self.which(_S.STOPPING):  # whose room is given when they are gone
                assert not any(self.room(pool) for pool in missing), "who waits is not forgotten"

    def _check_promises(self) -> None:
        for key, pool in self.state.pools.items():
            promise = self._promise(key)
            living = self.living(key, provisioned=True)
            coming = self.starting(key, provisioned=True)
            assert (pool.target, pool.failed) == (promise.target, not promise.kept_up)
            assert (pool.provisioned, pool.provisioning) == (living, coming)
            assert pool.initialized == living - coming
            if living < promise.target and promise.kept_up and key not in self.retired:
                no_room = not self.room(key) and not self.would_do(key)
                in_time = coming >= PROVISION_AT_ONCE or bool(self.which(_S.STOPPING))
                in_time |= self.provisioning() >= PROVISION_IN_ALL
                assert no_room or in_time or self.missing(), "what is promised is on its way"
