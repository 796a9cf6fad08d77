"""Places for batches: asked for before anything is fetched, so that what no function can take
stays in its source.

Whoever waits for a function's place has it in its turn: who lets go of one and asks again is behind
all that wait already. A turn that nobody can use is passed on to another function.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from samovar.clock import Clock, Timer
from samovar.scheduler.driver import Scheduler
from samovar.scheduler.headroom import Headroom

Named = Callable[[], str]


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


async def within(clock: Clock, seconds: float, asking: asyncio.Task[Place]) -> Place | None:
    """What is asked for; None where that takes longer, or somebody cancels the asking. Whoever is
    cancelled here has no place that came just then."""

    def give_up() -> None:
        asking.cancel()

    timer = clock.call_later(seconds, give_up)
    try:
        await asyncio.wait([asking])
    except asyncio.CancelledError:
        if not asking.cancel() and not asking.cancelled():
            asking.result().use()
        raise
    finally:
        timer.cancel()
    return None if asking.cancelled() else asking.result()


class _Asked:
    """One that waits, in the line of `name`; `function` says which one it should be in."""

    __slots__ = ("function", "future", "name")

    def __init__(self, function: Named) -> None:
        self.function = function
        self.name = ""
        self.future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()


class _Line:
    """Who waits for one function, in the order of their turns; never empty but in passing."""

    __slots__ = ("announced", "timer", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[_Asked, None] = {}
        self.announced = False  # whether the headroom will tell of room
        self.timer: Timer | None = None


class Admission:
    """Gives places to pollers, as far as the scheduler would admit invocations. Functions are named
    by their unqualified ARNs. Each decision costs O(1)."""

    def __init__(self, scheduler: Scheduler, clock: Clock) -> None:
        self._headroom = scheduler.headroom
        self._clock = clock
        self._given: Counter[str] = Counter()  # places of those who have not invoked yet
        self._lines: dict[str, _Line] = {}
        self._passing: set[str] = set()  # whose turn is about to be passed on
        self._headroom.listen(self._told)

    def close(self) -> None:
        """Give no more places."""
        self._headroom.forget(self._told)
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()

    async def place(self, function: Named) -> Place:
        """Wait until the function can take another batch, and keep it a place. `function` names it,
        and is asked again by `look_again`."""
        while True:
            name = function()
            if name not in self._lines:
                room = self._headroom.of(name, self._clock.monotonic())
                if _has_room(room, self._given[name]):
                    return self._give(name)
            asked = _Asked(function)
            self._join(asked)
            try:
                place = await asked.future
            except asyncio.CancelledError:
                self._leave(asked)
                raise
            if asked.name == function():
                return place
            place.use()

    def is_wanted(self, function: str) -> bool:
        """Whether somebody waits for a place of this function."""
        return function in self._lines

    def look_again(self) -> None:
        """What a mapping names may be another function now: who waits for the one before goes into
        the other one's line. O(n) of those that wait."""
        for name, line in list(self._lines.items()):
            for asked in list(line.waiting):
                if asked.function() != name:
                    del line.waiting[asked]
                    self._join(asked)
            if not line.waiting:
                self._close(name, line)

    # -- lines

    def _give(self, name: str) -> Place:
        self._given[name] += 1
        return Place(self._used, name)

    def _used(self, name: str) -> None:
        self._given[name] -= 1
        if self._given[name] <= 0:
            del self._given[name]
        self._serve(name)
        self._pass_on_soon(name)

    def _join(self, asked: _Asked) -> None:
        asked.name = asked.function()
        self._lines.setdefault(asked.name, _Line()).waiting[asked] = None
        self._serve(asked.name)

    def _leave(self, asked: _Asked) -> None:
        """It was given up, maybe with a place that it has not seen."""
        future = asked.future
        if not future.cancelled() and future.done():
            future.result().use()
            return
        line = self._lines.get(asked.name)
        if line is not None and asked in line.waiting:
            del line.waiting[asked]
            if not line.waiting:
                self._close(asked.name, line)

    def _serve(self, name: str) -> None:
        """Give as many places as there is room for, to the first of a line."""
        line = self._lines.get(name)
        while line is not None and line.waiting:
            now = self._clock.monotonic()
            room = self._headroom.of(name, now)
            if not _has_room(room, self._given[name]):
                self._watch(name, line, room, now)
                return
            asked = next(iter(line.waiting))
            del line.waiting[asked]
            if asked.future.done():  # it is being given up
                continue
            asked.future.set_result(self._give(name))
        if line is not None:
            self._close(name, line)

    def _watch(self, name: str, line: _Line, room: Headroom, now: float) -> None:
        if not _has_places(room, self._given[name]):
            if not line.announced:
                line.announced = True
                self._headroom.wait(name)
        elif room.requests < 1 and line.timer is None:
            # What a rate allows is renewed with time alone. (Where it is kept for places that were
            # given, those are used some time.)
            wait = max(0.0, room.renewed - now)
            line.timer = self._clock.call_later(wait, lambda: self._renewed(name, line))

    def _renewed(self, name: str, line: _Line) -> None:
        line.timer = None
        if self._lines.get(name) is line:
            self._serve(name)

    def _close(self, name: str, line: _Line) -> None:
        if self._lines.get(name) is line:
            del self._lines[name]
        if line.timer is not None:
            line.timer.cancel()
        if line.announced:
            line.announced = False
            self._headroom.leave(name, self._told)

    # -- turns among functions

    def _told(self, name: str) -> None:
        """There may be room for a function; if it has no use for it, for another one."""
        line = self._lines.get(name)
        if line is not None:
            line.announced = False
            self._serve(name)
        if line is None or not line.announced:
            self._pass_on_soon(name)

    def _pass_on_soon(self, name: str) -> None:
        if self._headroom.awaited and name not in self._passing:
            self._passing.add(name)
            asyncio.get_running_loop().call_soon(self._pass_on, name)

    def _pass_on(self, name: str) -> None:
        self._passing.discard(name)
        # Where there is no room, whoever is told would only lose its turn, and wait again.
        room = self._headroom.of(name, self._clock.monotonic())
        if _has_places(room, self._given[name]):
            self._headroom.pass_on(name)


def _has_room(room: Headroom, given: int) -> bool:
    return _has_places(room, given) and room.requests >= 1 + given


def _has_places(room: Headroom, given: int) -> bool:
    """One place stays free for a call, where there is more than one."""
    spared = given + (room.limit > 1)
    return room.places > spared and room.startable > given
