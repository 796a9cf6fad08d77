"""Places for items in hand: so many of a lane, and so many in all. Pure."""

from __future__ import annotations


class Places:
    """The half of a `Consumer` that counts, for one whose lanes are all alike."""

    def __init__(self, of_lane: int, in_all: int) -> None:
        self._of_lane = of_lane
        self._left = in_all
        self._taken: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether there is none for any lane."""
        return self._left <= 0

    def take(self, lane: str, most: int) -> int:
        """Take up to `most`, and say how many."""
        taken = self._taken.get(lane, 0)
        count = max(0, min(most, self._of_lane - taken, self._left))
        if count:
            self._taken[lane] = taken + count
            self._left -= count
        return count

    def give_back(self, lane: str, count: int) -> None:
        """`count` of those that were taken are free again."""
        left = self._taken[lane] - count
        if left:
            self._taken[lane] = left
        else:
            del self._taken[lane]
        self._left += count
