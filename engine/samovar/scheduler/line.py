"""Who waits for room: pools whose tickets have no context coming, in the order of their turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    def starved(self) -> Iterable[Pool]:
        """Pools in line that have no context at all: without a place that another gives up, their
        tickets would wait for as long as the others are busy."""
        return self._starved

    def gives_way(self, pool: Pool) -> Pool:
        """Whose latest ticket goes where one of `pool` has come that is too many: that of the pool
        with the most, if `pool` has neither a context nor another ticket in line. So whoever fills
        the line keeps nobody else out of it. O(1), but for such a pool."""
        if pool not in self._starved or self._missing[pool] > 1:
            return pool
        longest = max(self._missing, key=self._missing.__getitem__)
        return longest if self._missing[longest] > 1 else pool

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
