"""The contexts that there are: one is started where there is room, or room can be made; one is told
to stop; whoever waits for room has its turn. Pure; what happens outside is told to `state`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from samovar.context.lifecycle import BEFORE_READY, ContextState, Lifecycle
from samovar.scheduler.commands import Command, StartContext, StopContext
from samovar.scheduler.ledger import ConcurrencyLedger
from samovar.scheduler.line import Line
from samovar.scheduler.policy import FOOTPRINT, PROVISION_AT_ONCE, PROVISION_IN_ALL, Policy
from samovar.scheduler.pool import Pool, function_of
from samovar.scheduler.room import ColdEnd, Room

_IDLE = ContextState.IDLE
_STOPPING = ContextState.STOPPING


class Stock:
    """All pools and contexts, and the room that they take."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.pools: dict[str, Pool] = {}
        self.contexts: dict[int, Lifecycle] = {}
        self.ledger = ConcurrencyLedger(policy)
        self._room = Room(policy.max_contexts)
        self._cold = ColdEnd()
        self._line = Line()
        self._last_context = 0  # the number of the latest
        # MB, the largest that was measured of each pool: a pool that was empty for a while has it
        # again, until it is retired.
        self._footprints: dict[str, int] = {}
        # Pools that are to have more provisioned contexts than they have, in the order of their
        # turns; and how many of all pools start.
        self._unprovisioned: dict[str, Pool] = {}
        self._provisioning = 0
        self._stopping = False

    @property
    def wants_room(self) -> bool:
        """Whether somebody waits until there is room for a context."""
        return bool(self._line.short or self._unprovisioned)

    @property
    def startable(self) -> int:
        """How many more invocations find a context for sure, or may start one: none where others
        wait for room; one where all that may be exist and one of them, of whichever pool, is idle.
        O(1), amortised."""
        room = self._room
        if self._line.short:
            return 0
        left = room.max_contexts - room.living
        if room.memory is not None:
            left = min(left, room.memory // FOOTPRINT)
        return left if left > 0 else int(self._cold.first() is not None)

    # -- room

    def _make_room(self, pool: Pool) -> list[Command]:
        """Stop the coldest idle contexts until `pool` may have one more; none, if all of them
        would not do."""
        room, commands = self._room, list[Command]()
        if not room.has(pool) and self._cold.may_give(room.missing(pool)):
            while not room.has(pool):
                victim = self._cold.first()
                if victim is None:
                    break
                commands.append(self._stop(victim, "evicted"))
        return commands

    @property
    def _is_hopeless(self) -> bool:
        """Whether there is no room for any pool's: who needs little memory may have an idle one's
        place where that would not have been enough for another."""
        return self._room.full and self._cold.first() is None

    def _is_needed(self, pool: Pool, line: Iterable[Pool]) -> bool:
        """Whether any in `line` could start, if a context of `pool` went, and maybe idle ones."""
        least = min(map(self._room.missing, line), default=None)
        return least is not None and self._cold.may_give(least - pool.footprint)

    def _fill(self) -> list[Command]:
        """A start for each ticket that has none coming, as far as there is room: for starved pools
        first, then for one after the other; then for provisioned contexts."""
        commands: list[Command] = []
        while self._line.short:
            pool = self._next_in_line(commands)
            if pool is None:
                break
            commands.append(self._start(pool))
            self._line.to_end(pool)
            self._line.recount(pool)
        if self._unprovisioned:
            commands += self._provision()
        return commands

    def _next_in_line(self, commands: list[Command]) -> Pool | None:
        """Whose turn it is, of those that there is room for: one whose contexts need more memory
        than there is does not hold up all others."""
        hopeless: int | None = None  # MB that all that is idle does not have
        for pool in self._line.in_turn():
            missing = self._room.missing(pool)
            if hopeless is not None and missing >= hopeless:
                continue
            commands += self._make_room(pool)
            if self._room.has(pool):
                return pool
            if self._is_hopeless:
                break
            hopeless = missing
        return None

    def _provision(self) -> list[Command]:
        """Start what pools are to have and have not, one for each in its turn, as far as there is
        room: however many configs there are, those who wait for a start have processors left."""
        commands: list[Command] = []
        wanting = self._unprovisioned
        without_room = 0  # of them, one after the other
        while len(wanting) > without_room and self._provisioning < PROVISION_IN_ALL:
            pool = wanting.pop(next(iter(wanting)))
            # One that starts as many as it may has its turn again when one of those is ready.
            if not pool.is_short or pool.provisioning >= PROVISION_AT_ONCE:
                continue
            wanting[pool.key] = pool
            commands += self._make_room(pool)
            if self._room.has(pool):
                commands.append(self._start(pool, provisioned=True))
                without_room = 0
            elif self._is_hopeless:
                break
            else:
                without_room += 1
        return commands

    # -- contexts

    def _start(self, pool: Pool, *, provisioned: bool = False) -> StartContext:
        self._last_context += 1
        context = Lifecycle(self._last_context, pool.key, provisioned=provisioned)
        self.contexts[context.context] = context
        pool.members[context.context] = context
        self._room.take(pool)
        if provisioned:
            pool.provisioned += 1
            pool.provisioning += 1
            self._provisioning += 1
            self._line.look_at(pool)
        else:
            pool.starting += 1
        return StartContext(context)

    def _end_start(self, pool: Pool, context: Lifecycle) -> None:
        """`context` is ready, or will never be."""
        self._room.settle(pool)
        if context.provisioned:
            pool.provisioning -= 1
            self._provisioning -= 1
        else:
            pool.starting -= 1

    def _stop(self, context: Lifecycle, reason: str) -> StopContext:
        """Stop a context that is idle, or that is still being started."""
        pool = self.pools[context.pool]
        if context.state in BEFORE_READY:
            self._end_start(pool, context)
            if context.provisioned:
                pool.provisioned -= 1
        elif context.provisioned:
            pool.lose_provisioned()
        context.move(_STOPPING, reason)
        pool.ending += 1
        self._room.give_back(pool)
        self._line.look_at(pool)
        return StopContext(context.context, reason)

    def _stop_all(self, pool: Pool, reason: str) -> list[Command]:
        """Stop whatever of `pool` no invocation is in, or waits for."""
        pool.target = 0
        self._unprovisioned.pop(pool.key, None)
        commands = self._call_off(pool, pool.starting - len(pool.waiting), reason)
        commands += self._call_off(pool, pool.provisioning, reason, provisioned=True)
        for stack in (pool.idle, pool.ready):
            commands += self._stop_stack(stack, reason)
        return commands

    def _stop_stack(self, stack: deque[Lifecycle], reason: str) -> list[Command]:
        commands: list[Command] = [
            self._stop(context, reason) for context in stack if context.state is _IDLE
        ]
        stack.clear()
        return commands

    def _call_off(
        self, pool: Pool, count: int, reason: str, *, provisioned: bool = False
    ) -> list[Command]:
        """Stop `count` of the contexts that start, the latest first."""
        if count <= 0:
            return []
        coming = [
            context
            for context in reversed(pool.members.values())
            if context.state in BEFORE_READY and context.provisioned is provisioned
        ]
        return [self._stop(context, reason) for context in coming[:count]]

    # -- pools

    def _open(self, key: str) -> Pool:
        pool = self.pools[key] = Pool(key, self.ledger.share(function_of(key)))
        pool.share.pools += 1
        pool.footprint = self._footprints.get(key, FOOTPRINT)
        return pool

    def _forget_if_empty(self, pool: Pool) -> None:
        if pool.empty and self.pools.pop(pool.key, None) is not None:
            pool.share.pools -= 1
            self.ledger.forget_unused(pool.share)
            self._cold.first()  # which lets go of those that have none idle any more, as this one
