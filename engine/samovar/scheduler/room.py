"""Whether one more context may be, and which idle one goes when it may not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace

from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.scheduler.commands import Refusal
from samovar.scheduler.pool import Pool

_IDLE = ContextState.IDLE


class ColdEnd:
    """All pools by how long their coldest context has been idle, the longest first.

    A pool stands under a time at which its coldest context was idle already, or later: that time is
    put right only when the pool's turn has come. So an invocation, which changes what is coldest
    in a pool of one context, changes nothing here.
    """

    __slots__ = ("_heap", "_pushed")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Pool]] = []
        self._pushed = 0  # tells entries of one time apart

    def add(self, pool: Pool, since: float) -> None:
        """Take in a pool that is not `ranked`, whose coldest context is idle since `since`."""
        pool.ranked = True
        self._pushed += 1
        heappush(self._heap, (since, self._pushed, pool))

    def first(self) -> Lifecycle | None:
        """The context that has been idle longest; it stays where it is."""
        heap = self._heap
        while heap:
            since, _, pool = heap[0]
            context = _coldest(pool)
            if context is None:
                heappop(heap)
                pool.ranked = False
            elif context.idle_since > since:
                self._pushed += 1
                heapreplace(heap, (context.idle_since, self._pushed, pool))
            else:
                return context
        return None

    def until(self, idle_since: float) -> Iterator[Lifecycle]:
        """Contexts idle since `idle_since` or longer, the coldest first; each is to be stopped
        before the next is asked for."""
        while True:
            context = self.first()
            if context is None or context.idle_since > idle_since:
                return
            yield context

    def may_give(self, memory: int) -> bool:
        """Whether all idle contexts together have `memory` MB; those that died since are taken for
        idle until they are met. O(pools), where it is more than the first have."""
        if memory <= 0:
            return True
        for _, _, pool in self._heap:
            memory -= len(pool.idle) * pool.footprint
            if memory <= 0:
                return True
        return False

    @property
    def earliest(self) -> float | None:
        """No context is idle for longer than since then; None if none is idle."""
        return self._heap[0][0] if self._heap else None


def _coldest(pool: Pool) -> Lifecycle | None:
    idle = pool.idle
    while idle:
        if idle[0].state is _IDLE:
            return idle[0]
        idle.popleft()  # it died, or was stopped
    return None


class Room:
    """Contexts that may still be, by their number and by the host's memory."""

    __slots__ = ("living", "max_contexts", "memory", "promised")

    def __init__(self, max_contexts: int) -> None:
        self.max_contexts = max_contexts
        self.living = 0  # contexts that are not STOPPING: those have no part in what is counted
        self.memory: int | None = None  # MB left for new contexts; None where nobody measures
        self.promised = 0  # MB for contexts that are not ready: no measurement has them all yet

    def has(self, pool: Pool) -> bool:
        """Whether `pool` may have one more context."""
        return self.living < self.max_contexts and (
            self.memory is None or self.memory >= pool.footprint
        )

    def missing(self, pool: Pool) -> int:
        """MB that there are too few of for one more context of `pool`."""
        return 0 if self.memory is None else pool.footprint - self.memory

    @property
    def full(self) -> bool:
        """Whether the number is what there is no room by."""
        return self.living >= self.max_contexts

    @property
    def lack(self) -> Refusal:
        """By what there is no room."""
        return Refusal.CONTEXTS if self.full else Refusal.MEMORY

    def said_of(self, refusal: Refusal) -> str:
        """What a caller is told of a lack; empty for every other refusal."""
        if refusal is Refusal.CONTEXTS:
            return f"{self.max_contexts} contexts exist and none is idle"
        if refusal is Refusal.MEMORY:
            return "the host has no memory for another context, and none is idle"
        return ""

    def take(self, pool: Pool) -> None:
        """A context of `pool` starts."""
        self.living += 1
        self.promised += pool.footprint
        if self.memory is not None:
            self.memory -= pool.footprint

    def settle(self, pool: Pool) -> None:
        """A context of `pool` is ready, or will never be: what it takes is measured from now on."""
        self.promised -= pool.footprint

    def resize(self, pool: Pool, footprint: int) -> None:
        """Contexts of `pool` need another size than was thought."""
        self.promised += (footprint - pool.footprint) * (pool.starting + pool.provisioning)
        pool.footprint = footprint

    def give_back(self, pool: Pool) -> None:
        """A context of `pool` is told to stop, or died without having been told."""
        self.living -= 1
        if self.memory is not None:
            self.memory += pool.footprint
