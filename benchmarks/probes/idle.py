"""What waits and does nothing: its memory, and what it costs those who work beside it."""

from __future__ import annotations

from benchmarks import processes
from benchmarks.measures import Batch
from benchmarks.probes.embedded import Calls
from benchmarks.remote import ContenderError, Remote


def fill(remote: Remote, count: int) -> None:
    """Make at least `count` idle contexts; raises ContenderError if there are fewer."""
    there = remote.ask("fill", count=count)
    if there < count:
        raise ContenderError(f"wanted {count} contexts, got {there}")


class IdleMemory:
    """PSS of the whole tree (engine, zygotes, init processes, contexts) over its contexts.

    Nothing is subtracted. Page tables, which PSS leaves out, are reported beside it, as is the PSS
    that one more context adds.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        few = 2
        fill(self._remote, few)
        before = processes.proportional_set_size(processes.tree(self._remote.pid))
        fill(self._remote, count)
        family = processes.tree(self._remote.pid)
        size = processes.proportional_set_size(family)
        extra = {
            "added_bytes": (size - before) / (count - few),
            "page_table_bytes": processes.page_tables(family) / count,
            "processes": len(family) / count,
        }
        self._remote.ask("empty")
        return Batch(count, elapsed=1.0, size=size / count, extra=extra)

    def close(self) -> None:
        return None


class CallsBeside(Calls):
    """One call after the other, beside `idle` contexts of the same function."""

    def __init__(self, remote: Remote, idle: int) -> None:
        super().__init__(remote, in_flight=1, function="hold")
        fill(remote, idle)
