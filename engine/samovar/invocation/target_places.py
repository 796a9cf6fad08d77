"""Places for deliveries in the air: so many of a target, and so many of a neighbour. Pure.

A neighbour is a service: all its targets are at one endpoint, and hang together if that does. Each
has places of its own, so that a dead one holds up no other, however many targets it has. The
engine's own functions are no targets of a Lambda elsewhere, and have theirs, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class TargetPlaces:
    """The half of a `Consumer` that counts, for lanes that are ARNs. `room_again` is told of a lane
    that was refused for its neighbour's sake, once that has a place: they have their turns. `own`
    is what the ARNs of the engine's own functions begin with."""

    def __init__(
        self, of_target: int, of_neighbour: int, room_again: Callable[[str], None], own: str
    ) -> None:
        self._own = own
        self._of_target = of_target
        self._of_neighbour = of_neighbour
        self._room_again = room_again
        self._of: dict[str, int] = {}  # taken, of targets
        self._in: dict[str, int] = {}  # taken, of neighbours
        self._refused: dict[str, deque[str]] = {}

    def take(self, lane: str, most: int) -> int:
        """Take up to `most`, and say how many."""
        neighbour = self._neighbour(lane)
        taken, of_all = self._of.get(lane, 0), self._in.get(neighbour, 0)
        count = max(0, min(most, self._of_target - taken, self._of_neighbour - of_all))
        if count:
            self._of[lane] = taken + count
            self._in[neighbour] = of_all + count
        elif taken < self._of_target:
            self._refused.setdefault(neighbour, deque()).append(lane)
        # Who was told of a place may have had no use for all of it.
        self._tell(neighbour)
        return count

    def give_back(self, lane: str, count: int) -> None:
        """`count` of those that were taken are free again."""
        neighbour = self._neighbour(lane)
        _less(self._of, lane, count)
        _less(self._in, neighbour, count)
        self._tell(neighbour)

    def _neighbour(self, lane: str) -> str:
        if lane.startswith(self._own):
            return self._own
        return lane.split(":", 3)[2] if lane.count(":") > 2 else ""

    def _tell(self, neighbour: str) -> None:
        """Who was refused asks again, one for each place."""
        refused = self._refused.get(neighbour)
        left = self._of_neighbour - self._in.get(neighbour, 0)
        while refused and left > 0:
            self._room_again(refused.popleft())
            left -= 1
        if not refused:
            self._refused.pop(neighbour, None)


def _less(counts: dict[str, int], key: str, count: int) -> None:
    left = counts[key] - count
    if left:
        counts[key] = left
    else:
        del counts[key]
