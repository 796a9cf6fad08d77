"""Deadlines that cost O(1): one timer per distinct length, not one per invocation.

Invocations of equal timeouts expire in the order in which they started, so that each length keeps a
queue, and only its head needs a timer. Nearly every deadline is withdrawn long before it comes; the
timer that was set for an earlier one then just looks at the new head.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from samovar.clock import Clock, Timer


@dataclass(slots=True)
class _Queue:
    # Insertion order is expiry order.
    entries: dict[Hashable, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    timer: Timer | None = None


class Deadlines:
    """Callbacks at a distance of `length` seconds, withdrawn by (length, key)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: dict[float, _Queue] = {}

    def add(self, length: float, key: Hashable, now: float, expired: Callable[[], None]) -> None:
        """Call `expired` at `now + length` unless withdrawn; `key` must not be there yet."""
        queue = self._queues.get(length)
        if queue is None:
            queue = self._queues[length] = _Queue()
        queue.entries[key] = (now + length, expired)
        if queue.timer is None:
            queue.timer = self._clock.call_later(length, lambda: self._fire(length))

    def withdraw(self, length: float, key: Hashable) -> None:
        """Forget a deadline; nothing happens if it is not there."""
        queue = self._queues.get(length)
        if queue is not None:
            queue.entries.pop(key, None)

    def clear(self) -> None:
        """Forget all deadlines and cancel all timers."""
        for queue in self._queues.values():
            if queue.timer is not None:
                queue.timer.cancel()
            queue.entries.clear()
        self._queues.clear()

    def _fire(self, length: float) -> None:
        queue = self._queues.get(length)
        if queue is None:
            return
        # The timer that has just run stays in its place meanwhile: whoever adds to this queue from
        # within a deadline must not make another.
        now = self._clock.monotonic()
        try:
            while queue.entries:
                key, (when, expired) = next(iter(queue.entries.items()))
                if when > now:
                    break
                del queue.entries[key]
                expired()
        finally:
            if self._queues.get(length) is queue:  # unless it was cleared from within a deadline
                self._wait(length, queue)

    def _wait(self, length: float, queue: _Queue) -> None:
        """Have a timer for the head of a queue, or no queue."""
        if not queue.entries:
            del self._queues[length]
            return
        when, _ = next(iter(queue.entries.values()))
        delay = max(0.0, when - self._clock.monotonic())
        queue.timer = self._clock.call_later(delay, lambda: self._fire(length))


class Countdown:
    """Whoever has one deadline at a time; what has none has nothing to withdraw."""

    __slots__ = ("_deadlines", "_expired", "_length")

    def __init__(self, deadlines: Deadlines, expired: Callable[[], None]) -> None:
        self._deadlines = deadlines
        self._expired = expired
        self._length: float | None = None

    def begin(self, length: float, now: float) -> None:
        """`expired` is called at `now + length`, unless it is withdrawn."""
        self._length = length
        self._deadlines.add(length, self, now, self._fire)

    def withdraw(self) -> None:
        """Idempotent."""
        length = self._length
        if length is not None:
            self._length = None
            self._deadlines.withdraw(length, self)

    def _fire(self) -> None:
        self._length = None
        self._expired()
