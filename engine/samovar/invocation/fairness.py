"""How many events may run beside the calls that somebody waits for. Pure.

Events can wait, and callers can't. So a function's events leave a place of its concurrency free;
when a call is throttled all the same, they give way: half as many, down to none for a while.
Otherwise there are few at first, and more for as long as that makes sense: where handlers wait, and
processors are idle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

from samovar.scheduler.headroom import Headroom

# Seconds between two looks at whose events could be more; only while some wait for a place.
TICK = 0.05
# Seconds that no event is begun of a function one of whose calls did not get a place: the first
# tries of AWS's SDKs fall into it.
HOLD = 1.0
# Seconds that the loop has with one event, all in all (measured: 0.3 to 0.5 ms): more of a function
# at once than fit into its handler's time would wait for the loop instead.
_LOOP_SHARE = 0.0005
# Beside busy processors so many per processor at most: of handlers that wait, some run.
_BESIDE_BUSY = 4
# Of the requests that a rate allows, a fifth is left to calls, and one at least.
_RATE_LEFT = 0.2
# What runs within so many seconds is claimed ahead: a claim is a commit, and takes some of them.
_AHEAD = 0.01
_MOST_AHEAD = 16  # for each that may run at once
_PATIENCE = 4  # ticks: a cold start may take as long
_KNOWN = 1000  # flows that are kept


class Lack(Enum):
    """What there is no place by."""

    LIMIT = "limit"  # as many of this function run as may, for the time being
    HOLD = "hold"  # its events give way to calls
    ALL = "all"  # as many run as may, of all functions
    PLACES = "places"  # of its concurrency
    REQUESTS = "requests"  # in this second
    CONTEXTS = "contexts"


@dataclass(slots=True)
class Flow:
    """The events of one function. `running`: those that were handed to it; `claimed`: those that
    were claimed for it, or are being claimed; `limit`: how many may run; `resumes`: until then
    none is begun (monotonic seconds); `duration`: how long a run takes, seconds; `ended`: whether
    any ended since the last tick; `pressed`: whether more want to run; `patience`: ticks
    until it is taken to be slow, when none has ended yet."""

    limit: float
    running: int = 0
    claimed: int = 0
    resumes: float = 0.0
    duration: float | None = None
    ended: bool = False
    pressed: bool = False
    patience: int = _PATIENCE


class Fairness:
    """All flows, by functions' ARNs. `processors` is how many the engine may use, `most` how many
    events may run at once of all functions."""

    def __init__(self, processors: int, most: int) -> None:
        self._first = float(max(1, min(processors, most)))
        self._most = most
        self._flows: dict[str, Flow] = {}
        self.running = 0

    @property
    def full(self) -> bool:
        """Whether as many events run as may, of all functions."""
        return self.running >= self._most

    def may_claim(self, function: str, most: int, *, ahead: bool) -> int:
        """How many more of a function to claim: as many as may run, and some ahead where they are
        quick. They count as claimed. `ahead`: some wait to be handed on already; then it is a good
        part of them or none."""
        flow = self._flow(function)
        wanted = int(flow.limit)
        if flow.duration is not None:
            wanted += int(wanted * min(float(_MOST_AHEAD), _AHEAD / max(flow.duration, 1e-6)))
        count = wanted - flow.running - flow.claimed
        count = 0 if ahead and count * 2 < wanted else max(0, min(most, count))
        flow.claimed += count
        return count

    def claim(self, function: str, count: int) -> None:
        """So many are claimed that are to be ended, and not run."""
        self._flow(function).claimed += count

    def unclaim(self, function: str, count: int) -> None:
        """So many were not there, or are not run."""
        self._flows[function].claimed -= count

    def lack(
        self, function: str, headroom: Headroom, now: float
    ) -> Lack | None:
        """Why no event of a function may be handed to it now; None if one may."""
        flow = self._flow(function)
        if headroom.limit <= 0:
            return None  # it is not going to run
        if now < flow.resumes:
            return Lack.HOLD
        if flow.running >= int(flow.limit):
            flow.pressed = True
            return Lack.LIMIT
        return Lack.ALL if self.full else _lack_in(headroom)

    def begin(self, function: str) -> None:
        """One that was claimed is handed to its function."""
        flow = self._flows[function]
        flow.claimed -= 1
        flow.running += 1
        self.running += 1

    def end(self, function: str, duration: float | None) -> None:
        """A run is over, that took `duration` seconds; None for one that was not to be."""
        flow = self._flows[function]
        flow.running -= 1
        self.running -= 1
        if duration is not None:
            flow.ended = True
            old = duration if flow.duration is None else flow.duration
            flow.duration = old + (duration - old) * 0.2

    def throttled(self, function: str) -> None:
        """An event was throttled: for the time being there are no more than run."""
        flow = self._flows[function]
        flow.limit = float(max(1, min(int(flow.limit), flow.running)))

    def call_throttled(self, function: str, now: float) -> None:
        """A call was throttled: its function's events give way."""
        flow = self._flows.get(function)
        if flow is not None:
            flow.limit = max(1.0, flow.limit / 2)
            flow.resumes = now + HOLD

    def tick(self, now: float, *, busy: bool, calls: bool) -> list[str]:
        """Let there be more where more want to run; whom to ask again. `busy`: no processor is
        idle; `calls`: there is somebody who waits for calls these days."""
        found = []
        for function, flow in self._flows.items():
            if flow.resumes:
                if now >= flow.resumes:
                    flow.resumes = 0.0
                    found.append(function)
            elif flow.pressed:
                self._grow(flow, busy, calls)
                if flow.running < int(flow.limit):
                    flow.pressed = False
                    found.append(function)
            flow.ended = False
        return found

    def _grow(self, flow: Flow, busy: bool, calls: bool) -> None:
        if busy and calls:
            flow.limit = max(1.0, flow.limit * 0.9)
            return
        duration = flow.duration
        if duration is None:
            flow.patience -= 1
            if flow.patience >= 0:
                return
            duration = TICK
        elif not flow.ended:  # they take longer than that
            duration = max(duration, TICK)
        most = max(self._first, 1 + duration / _LOOP_SHARE)
        if busy:
            most = min(most, self._first * _BESIDE_BUSY)
        if flow.limit < most:
            flow.limit = min(most, flow.limit * 2, float(self._most))
        elif flow.ended:
            flow.limit = max(most, flow.limit * 0.8)

    @property
    def changing(self) -> bool:
        """Whether another tick may change anything."""
        return any(flow.resumes or flow.pressed for flow in self._flows.values())

    def _flow(self, function: str) -> Flow:
        flow = self._flows.get(function)
        if flow is not None:
            return flow
        if len(self._flows) >= _KNOWN:
            # What was learnt of functions without events in hand is let go of, some time.
            for one, known in list(self._flows.items()):
                if not (known.running or known.claimed or known.resumes):
                    del self._flows[one]
        flow = self._flows[function] = Flow(self._first)
        return flow


def _lack_in(headroom: Headroom) -> Lack | None:
    if headroom.places <= (headroom.limit > 1):  # one stays free for a call
        return Lack.PLACES
    spared = max(1.0, headroom.rate * _RATE_LEFT) if 1 < headroom.rate < inf else 0.0
    if headroom.requests < 1 + spared:
        return Lack.REQUESTS
    return None if headroom.startable > 0 else Lack.CONTEXTS
