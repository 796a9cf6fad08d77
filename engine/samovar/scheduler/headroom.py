"""How many more invocations of a function could be admitted now, for whoever has some that can
wait, and who is told when there is room again. Pure.

Every question and every notice costs O(1); where nobody waits, an invocation's end costs one look
at an empty dict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from samovar.scheduler.ledger import Allowance
from samovar.scheduler.pool import function_of
from samovar.scheduler.state import SchedulerState


class Headroom(NamedTuple):
    """What a function could have.

    `places`: invocations, on demand or provisioned. `limit`: its reserved concurrency, or what the
    account has left for those that reserve none. `startable`: contexts, of all functions, and its
    own provisioned ones that are free. `requests`: what its rate allows until the time `renewed`
    (monotonic seconds), of `rate` per second.
    """

    places: int
    limit: int
    startable: int
    requests: float
    renewed: float
    rate: float


class HeadroomWatch:
    """Asks the state, and knows who waits for which allowance; None stands for contexts."""

    def __init__(self, state: SchedulerState) -> None:
        self._state = state
        # Functions by what they wait for, in the order of their turns. Never an empty dict within.
        self.awaited: dict[Allowance | None, dict[str, None]] = {}
        self._listeners: tuple[Callable[[str], None], ...] = ()
        # Called when somebody waits for a context, which more memory may let start.
        self.short_of_contexts: Callable[[], None] = lambda: None

    def listen(self, room_again: Callable[[str], None]) -> None:
        """Have `room_again` called with the ARN of each function that there may be room for again;
        not on the way of an invocation that nobody waits behind."""
        self._listeners += (room_again,)

    def forget(self, room_again: Callable[[str], None]) -> None:
        """Call it no more; idempotent."""
        self._listeners = tuple(one for one in self._listeners if one != room_again)

    def room_again(self, function: str) -> None:
        """Tell whoever listens."""
        for tell in self._listeners:
            tell(function)

    def of(self, function: str, now: float) -> Headroom:
        """That of a function, by its unqualified ARN."""
        startable = self._state.startable
        ledger = self._state.ledger
        share = ledger.known(function)
        if share is None:
            left = ledger.unreserved.left
            return Headroom(max(0, left), max(1, ledger.shared), startable, left, now, float(left))
        # Which of its versions the next ones are of is not known: any provisioned context counts.
        provisioned = max(0, share.provisioned - share.busy)
        places = max(0, share.allowance.left) + provisioned
        limit = max(1, ledger.shared) if share.reserved is None else share.reserved
        requests = share.requests_left(now)
        return Headroom(
            places, limit, startable + provisioned, requests, share.window_ends, share.rate
        )

    def wait(self, function: str) -> None:
        """Tell `room_again` of this function, once, when an invocation's end may have made room."""
        share = self._state.ledger.known(function)
        allowance = self._state.ledger.unreserved if share is None else share.allowance
        key = None if allowance.left > 0 and not self._state.startable else allowance
        self.awaited.setdefault(key, {})[function] = None
        if key is None:
            self.short_of_contexts()

    def leave(self, function: str, room_again: Callable[[str], None]) -> None:
        """Who listens by `room_again` waits for this function no more; if others do, they are told,
        and say so again."""
        share = self._state.ledger.known(function)
        found = False
        for key in (self._state.ledger.unreserved if share is None else share.allowance, None):
            waiting = self.awaited.get(key)
            if waiting and waiting.pop(function, 0) is None:
                found = True
                if not waiting:
                    del self.awaited[key]
        if found:
            for tell in self._listeners:
                if tell != room_again:
                    tell(function)

    def pass_on(self, function: str) -> None:
        """A function that was told has no use for it: tell the next one that waits for the same."""
        share = self._state.ledger.known(function)
        for key in (self._state.ledger.unreserved if share is None else share.allowance, None):
            waiting = self.awaited.get(key)
            if waiting:
                self.room_again(self._take_first(key, waiting))

    def contexts_again(self) -> None:
        """There may be room for contexts that nobody's end has made: whoever waits for one asks
        again, if there is."""
        if self._state.startable:
            for function in self.awaited.pop(None, {}):
                self.room_again(function)

    def came(self, pool: str) -> None:
        """An invocation of `pool` has ended, or one of its contexts: whoever waits for this
        function is told, and one other of those that draw on the same allowance; and one that
        waits for a context, of whichever function."""
        function = function_of(pool)
        share = self._state.ledger.known(function)
        told: dict[str, None] = {}
        for key in (None if share is None else share.allowance, None):
            waiting = self.awaited.get(key)
            if not waiting:
                continue
            if waiting.pop(function, 0) is None:
                told[function] = None
            if waiting:
                told[self._take_first(key, waiting)] = None
            else:
                del self.awaited[key]
        for one in told:
            self.room_again(one)

    def _take_first(self, key: Allowance | None, waiting: dict[str, None]) -> str:
        first = next(iter(waiting))
        del waiting[first]
        if not waiting:
            del self.awaited[key]
        return first

    def changed(self) -> None:
        """What functions may have was changed: everybody asks again."""
        told = {function: None for waiting in self.awaited.values() for function in waiting}
        self.awaited.clear()
        for function in told:
            self.room_again(function)
