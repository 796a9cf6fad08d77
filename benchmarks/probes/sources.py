"""Queues that are emptied, and single messages."""

from __future__ import annotations

from benchmarks.measures import Batch
from benchmarks.remote import Remote


class Drained:
    """So many messages that are there; `measure` takes their number."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        told = self._remote.ask("drain", count=count)
        return Batch(told["count"], told["elapsed"])

    def close(self) -> None:
        return None


class Lag:
    """From before a message is sent until it is heard of, one after the other."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        told = self._remote.ask("lag", count=count)
        return Batch(count, told["elapsed"], told["latencies"])

    def close(self) -> None:
        return None
