"""Cold starts: one at a time, and many at once."""

from __future__ import annotations

from benchmarks.figures.contenders import floor, samovar
from benchmarks.harness import Figure
from benchmarks.measures import Metric, Target
from benchmarks.probes.cold import Burst, ColdRequests, ForkBurst, Forks

_FORK = "walled fork"
_SUBJECT = "walled_fork:WalledFork"


def build(quick: bool) -> list[Figure]:
    """A no-op from request to reply; 32 and 200 contexts at once for a handler of one second."""
    rounds = 8 if quick else 60
    return [
        Figure(
            name="cold-start",
            title="Cold no-op, HTTP request to reply, p50",
            metric=Metric.P50,
            contenders=(
                samovar(ColdRequests, http=True, cold_functions=rounds + 2),
                floor(_FORK, _SUBJECT, Forks),
            ),
            targets=(Target(3.0, _FORK),),
            rounds=rounds,
            batch=1,
            warm_up=1,
        ),
        *(
            Figure(
                name=f"burst-{count}",
                title=f"{count} cold starts of a 1 s handler at once",
                metric=Metric.ELAPSED,
                contenders=(samovar(Burst, http=True), floor(_FORK, _SUBJECT, ForkBurst)),
                targets=(Target(limit),),
                rounds=1 if quick else 4,
                batch=count,
                warm_up=0,
            )
            for count, limit in ((32, 1.5), (200, 4.0))
        ),
    ]
