"""Decisions of the scheduler's state, each timed."""

from __future__ import annotations

from benchmarks.measures import Batch
from benchmarks.remote import Remote


class Decisions:
    """The contender times itself: a decision takes about a microsecond."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        reply = self._remote.ask("decide", count=count)
        return Batch(count, reply["elapsed"], reply["latencies"])

    def close(self) -> None:
        return None
