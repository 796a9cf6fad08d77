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

    def room(self, free: int, total: int, now: float) -> int:
        """How many more may begin. `free` is how many invocations of the function could be admitted
        now, of `total` that it may have in flight; seconds on any clock."""
        if now < self._yields_until:
            return 0
        last = 1 if total > 1 else 0
        return max(0, min(self.limit - self.in_flight, free - last))

    def grow(self, now: float, *, calm: bool) -> None:
        """More wait than may begin: let there be more in flight, if processors are idle, and fewer,
        if they are overrun."""
        if self.in_flight < self.limit or now < self._grown + STEP:
            return
        self._grown = now
        if calm:
            self.limit = min(self._most, self.limit * 2)
        else:
            self.limit = max(self._least, self.limit - 1)

    def yield_to_caller(self, now: float) -> None:
        """A caller was throttled: half as many, and none for a while."""
        self.limit = max(1, self.limit // 2)
        self._yields_until = now + YIELD
