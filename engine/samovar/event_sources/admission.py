"""Places for batches: asked for before anything is fetched, so that what no function can take
stays in its source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from samovar.clock import Clock
from samovar.scheduler.driver import Scheduler
from samovar.scheduler.headroom import Headroom


class Place:
    """Kept for one batch, until it is used."""

    __slots__ = ("_function", "_tell")

    def __init__(self, tell: Callable[[str], None], function: str) -> None:
        self._tell: Callable[[str], None] | None = tell
        self._function = function

    @property
    def used(self) -> bool:
        """Whether it is nobody's any more."""
        return self._tell is None

    def use(self) -> None:
        """An invocation takes it now, or nobody needs it; idempotent."""
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(self._function)


class Admission:
    """Gives places to pollers, as far as the scheduler would admit invocations. Functions are named
    by their unqualified ARNs."""

    def __init__(self, scheduler: Scheduler, clock: Clock) -> None:
        self._headroom = scheduler.headroom
        self._clock = clock
        self._given: Counter[str] = Counter()  # places of those who have not invoked yet
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._headroom.listen(self._room_again)

    def close(self) -> None:
        """Give no more places."""
        self._headroom.forget(self._room_again)

    async def place(self, function: str) -> Place:
        """Wait until a function can take another batch, and keep it a place."""
        while True:
            now = self._clock.monotonic()
            room = self._headroom.of(function, now)
            if _has_room(room, self._given[function]):
                self._given[function] += 1
                return Place(self._used, function)
            await self._again(function, room, now)

    def _used(self, function: str) -> None:
        self._given[function] -= 1
        if self._given[function] <= 0:
            del self._given[function]
        self._room_again(function)

    async def _again(self, function: str, room: Headroom, now: float) -> None:
        told = asyncio.Event()
        waiting = self._waiting.setdefault(function, set())
        waiting.add(told)
        self._headroom.wait(function)
        # What a rate allows is renewed with time alone.
        timer = None
        if room.requests < 1:
            timer = self._clock.call_later(max(0.0, room.renewed - now), told.set)
        try:
            await told.wait()
        finally:
            if timer is not None:
                timer.cancel()
            waiting.discard(told)
            if not waiting:
                self._waiting.pop(function, None)

    def _room_again(self, function: str) -> None:
        for told in self._waiting.get(function, ()):
            told.set()


def _has_room(room: Headroom, given: int) -> bool:
    """One place stays free for a call, where there is more than one."""
    spared = given + (room.limit > 1)
    return room.places > spared and room.startable > given and room.requests >= 1 + given
