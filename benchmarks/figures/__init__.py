"""The promises, one table of contenders and targets per file."""

from __future__ import annotations

from benchmarks.figures import (
    accept,
    attacks,
    backlog,
    cold,
    decision,
    embedded,
    http,
    idle,
    provisioned,
    reload,
    snapstart,
    sources,
)
from benchmarks.harness import Figure


def build(quick: bool) -> list[Figure]:
    """All figures; `quick` takes few samples, enough to see that everything runs."""
    parts = (
        *(embedded, http, accept, backlog, sources),
        *(cold, provisioned, idle, snapstart, reload, decision, attacks),
    )
    return [figure for part in parts for figure in part.build(quick)]
