"""A thousand contexts that wait: what they weigh, and whether they slow anybody down."""

from __future__ import annotations

from functools import partial

from benchmarks.figures.contenders import floor, samovar
from benchmarks.harness import Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.idle import CallsBeside, IdleMemory

_FORK = "walled fork"
_FEW = "Samovar beside 2"
# «Flat» needs a number: two runs of the very same thing differ by about this much on two cores.
_FLAT = 1.25


def build(quick: bool) -> list[Figure]:
    """PSS per idle context; latency and CPU of a call beside many idle contexts and beside two."""
    many = 100 if quick else 1000
    beside = (
        samovar(partial(CallsBeside, idle=many), contexts=many + 50),
        samovar(partial(CallsBeside, idle=2), name=_FEW, role=Role.FLOOR, contexts=many + 50),
    )
    return [
        Figure(
            name="idle-memory",
            title=f"PSS per idle context at {many:,} contexts",
            metric=Metric.BYTES,
            contenders=(
                samovar(IdleMemory, contexts=many + 50),
                floor(_FORK, "walled_fork:WalledFork", IdleMemory),
            ),
            targets=(Target(1.5e6),),
            rounds=1,
            batch=many,
            warm_up=0,
        ),
        *(
            Figure(
                name=f"dispatch-beside-{metric}",
                title=f"Dispatch beside {many:,} idle contexts, {title}",
                metric=metric,
                contenders=beside,
                targets=(Target(_FLAT, _FEW),),
                rounds=3 if quick else 12,
                batch=300 if quick else 1000,
                warm_up=200,
            )
            for metric, title in ((Metric.P50, "p50"), (Metric.CPU, "engine CPU"))
        ),
    ]
