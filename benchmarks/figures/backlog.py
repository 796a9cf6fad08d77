"""Events that wait, a hundred thousand of them, or that run: what calls feel, what they weigh."""

from __future__ import annotations

from functools import partial

from benchmarks.figures.contenders import samovar
from benchmarks.harness import Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.backlog import CallsBesideRunning, CallsBesideWaiting, Weight
from benchmarks.probes.embedded import Calls

_ALONE = "Samovar without events"
_GROWTH = 10e6  # bytes


def build(quick: bool) -> list[Figure]:
    """Calls beside waiting events against calls alone, beside running ones, and memory."""
    many = 5000 if quick else 100_000
    one = partial(Calls, in_flight=1)
    return [
        Figure(
            name="backlog-waiting",
            title=f"Embedded warm no-op beside {many:,} waiting events, p50",
            metric=Metric.P50,
            contenders=(
                samovar(partial(CallsBesideWaiting, waiting=many), parked=True),
                samovar(one, name=_ALONE, role=Role.FLOOR, parked=True),
            ),
            targets=(Target(1.1, _ALONE),),
            rounds=4 if quick else 12,
            batch=1000 if quick else 4000,
            warm_up=500,
        ),
        Figure(
            name="backlog-running",
            title="Embedded warm no-op while events of another function run, p50",
            metric=Metric.P50,
            contenders=(
                samovar(CallsBesideRunning),
                samovar(one, name=_ALONE, role=Role.FLOOR),
            ),
            targets=(Target(1.5, _ALONE),),
            rounds=3 if quick else 12,
            batch=1000 if quick else 4000,
            warm_up=500,
        ),
        Figure(
            name="backlog-memory",
            title=f"Growth of the engine with {many:,} waiting events",
            metric=Metric.BYTES,
            contenders=(samovar(Weight, parked=True),),
            targets=(Target(_GROWTH),),
            rounds=1,
            batch=many,
            warm_up=0,
        ),
    ]
