"""One call of each of many provisioned contexts: their first one, or one more."""

from __future__ import annotations

from benchmarks.event import EVENT
from benchmarks.measures import Batch
from benchmarks.remote import Remote


class FirstCalls:
    """Contexts that nobody has called yet. `again`: the same contexts, each called before.

    Both go from context to context, so that what differs is the first call alone, and not how long
    ago the kernel last ran the process.
    """

    def __init__(self, remote: Remote, contexts: int, again: bool = False) -> None:
        self._remote = remote
        self._next = 0
        if again:
            self._calls(contexts)
            self._next = 0

    def measure(self, count: int) -> Batch:
        reply = self._calls(count)
        return Batch(count, reply["elapsed"], reply["latencies"])

    def _calls(self, count: int) -> dict[str, list[int]]:
        first, self._next = self._next, self._next + count
        return self._remote.ask("each", payload=EVENT, first=first, count=count)

    def close(self) -> None:
        return None
