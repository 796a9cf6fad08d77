"""Who waits for room: pools whose tickets have no context coming, in the order of their turns."""

from __future__ import annotations

from collections.abc import Iterator

from samovar.scheduler.pool import Pool


class Line:
    """`short`: tickets that wait while there is no room for a context of theirs, of all pools.

    Whichever pool was given a place, or gave one up, goes to the end.
    """

    __slots__ = ("_missing", "_starved", "short")

    def __init__(self) -> None:
        self.short = 0
        self._missing: dict[Pool, int] = {}
        self._starved: dict[Pool, None] = {}

    @property
    def starving(self) -> bool:
        """Whether a pool in line has no context at all: without a place that another gives up, its
        tickets would wait for as long as the others are busy."""
        return bool(self._starved)

    def in_turn(self) -> Iterator[Pool]:
        """Whose turn it is: starving pools first, which come once more behind."""
        yield from self._starved
        yield from self._missing

    def recount(self, pool: Pool) -> None:
        """Note how many tickets of `pool` wait without a start that is theirs."""
        missing = max(0, len(pool.waiting) - pool.starting)
        self.short += missing - self._missing.get(pool, 0)
        if missing:
            self._missing[pool] = missing
        else:
            self._missing.pop(pool, None)
        self.look_at(pool)

    def look_at(self, pool: Pool) -> None:
        """The number of contexts of `pool` that live has changed."""
        if pool in self._missing and len(pool.members) == pool.ending:
            self._starved[pool] = None
        elif self._starved:
            self._starved.pop(pool, None)

    def to_end(self, pool: Pool) -> None:
        """Its next turn comes after everybody else's."""
        missing = self._missing.pop(pool, 0)
        if missing:
            self._missing[pool] = missing
