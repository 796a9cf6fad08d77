"""Calls beside events that wait, or that run as fast as they may; and what waiting ones weigh."""

from __future__ import annotations

import psutil

from benchmarks.event import EVENT
from benchmarks.measures import Batch
from benchmarks.probes.embedded import Calls
from benchmarks.remote import Remote

_FUNCTION = "later"
_DRAINING = 1500  # events that a batch of calls does not outlast
_SETTLING = 2000  # calls until the engine knows that there are some


def put(remote: Remote, count: int) -> None:
    """Have `count` events accepted."""
    remote.ask("put_events", payload=EVENT, count=count, function=_FUNCTION)


class CallsBesideWaiting(Calls):
    """One call after the other, beside `waiting` events of another function."""

    def __init__(self, remote: Remote, waiting: int) -> None:
        super().__init__(remote, in_flight=1)
        remote.ask("create", function=_FUNCTION, handler="noop")
        put(remote, waiting)


class CallsBesideRunning(Calls):
    """One call after the other, while events of another function run; these are over before it
    ends, so that whoever is measured next has the machine to himself."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote, in_flight=1)
        self._events = remote
        remote.ask("create", function=_FUNCTION, handler="noop")

    def measure(self, count: int) -> Batch:
        put(self._events, _DRAINING)
        super().measure(_SETTLING)
        batch = super().measure(count)
        self._events.ask("no_events")
        return batch


class Weight:
    """By how much the engine's process grows as `count` events come to wait; bytes in all."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        remote.ask("create", function=_FUNCTION, handler="noop")
        put(remote, 2000)  # what is made once is made

    def measure(self, count: int) -> Batch:
        process = psutil.Process(self._remote.pid)
        before = process.memory_info().rss
        put(self._remote, count)
        return Batch(count, 1.0, size=process.memory_info().rss - before)

    def close(self) -> None:
        return None
