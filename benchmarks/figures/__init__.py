"""The promises, one table of contenders and targets per file."""

from __future__ import annotations

from benchmarks.figures import cold, embedded, http, idle, reload, snapstart
from benchmarks.harness import Figure


def build(quick: bool) -> list[Figure]:
    """All figures; `quick` takes few samples, enough to see that everything runs."""
    parts = (embedded, http, cold, idle, snapstart, reload)
    return [figure for part in parts for figure in part.build(quick)]
