"""How many asynchronous invocations of a function may run, beside the synchronous ones. Pure.

Events can wait, and callers can't. So events never take a function's last place; a caller who was
throttled finds room when he comes again; and on a busy host there are no more events in flight than
keep it busy.
"""

from __future__ import annotations

# Seconds for which no further events of a function begin, once a caller of it was throttled: AWS's
# SDKs try again within one.
YIELD = 1.0
# Seconds between two looks at whether a window may grow: some calls of a quick handler.
STEP = 0.02


class Window:
    """The events of one function that may be in flight at once.

    It begins with as many as there are processors, which a quick handler keeps busy, and doubles
    while all are taken, more wait and processors are idle: handlers that wait for something else
    have their hundred within a tenth of a second, and those that compute never start a hundred
    contexts. `most` is what it never exceeds.
    """

    __slots__ = ("_grown", "_least", "_most", "_yields_until", "in_flight", "limit")

    def __init__(self, least: int, most: int) -> None:
        self.limit = self._least = min(least, most)
        self.in_flight = 0
        self._most = most
        self._grown = float("-inf")
        self._yields_until = float("-inf")

    def take(self, free: int, total: int, now: float) -> bool:
        """Take a place. `free` is how many invocations of the function could be admitted now, of
        `total` that it may have in flight; seconds on any clock."""
        last = 1 if total > 1 else 0
        if self.in_flight >= self.limit or free <= last or now < self._yields_until:
            return False
        self.in_flight += 1
        return True

    def give_back(self) -> None:
        """A place is free again."""
        self.in_flight -= 1

    def grow(self, now: float, calm: bool) -> bool:
        """Something waits for a place: let there be more, if processors are idle, and fewer, if
        they are overrun; whether there are more now."""
        if self.in_flight < self.limit or now < self._grown + STEP:
            return False
        self._grown = now
        if not calm:
            self.limit = max(self._least, self.limit - 1)
            return False
        self.limit = min(self._most, self.limit * 2)
        return self.in_flight < self.limit

    def yield_to_caller(self, now: float) -> None:
        """A caller was throttled: half as many, and none for a while."""
        self.limit = max(1, self.limit // 2)
        self._yields_until = now + YIELD

    def yields(self, now: float) -> float:
        """Seconds for which it still holds back."""
        return max(0.0, self._yields_until - now)
