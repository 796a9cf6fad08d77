"""In-process calls: the contender drives itself, so that no client stands in between."""

from __future__ import annotations

from benchmarks.event import EVENT
from benchmarks.measures import Batch
from benchmarks.remote import Remote


class Calls:
    """`count` calls with `in_flight` of them outstanding; only Samovar has other functions."""

    def __init__(self, remote: Remote, in_flight: int, **function: str) -> None:
        self._remote = remote
        self._load = {"payload": EVENT, "in_flight": in_flight, **function}

    def measure(self, count: int) -> Batch:
        reply = self._remote.ask("calls", count=count, **self._load)
        return Batch(count, reply["elapsed"], reply["latencies"])

    def close(self) -> None:
        return None
