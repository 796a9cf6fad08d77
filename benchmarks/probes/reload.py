"""Saves, each timed up to the first result of what was saved."""

from __future__ import annotations

from benchmarks.measures import Batch
from benchmarks.remote import Remote


class Saves:
    """The contender saves for itself: a file appears in no time, and so nothing stands between."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        reply = self._remote.ask("saves", count=count)
        return Batch(count, reply["elapsed"], reply["latencies"])

    def close(self) -> None:
        return None
