"""The first call on a provisioned context beside a warm one."""

from __future__ import annotations

from functools import partial

from benchmarks.figures.contenders import samovar
from benchmarks.harness import Figure, Placement
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.embedded import Calls
from benchmarks.probes.provisioned import FirstCalls

_WARM = "warm call"
_HOT = "hot call"


def build(quick: bool) -> list[Figure]:
    """Each context is called once by either; those of the warm calls have run a call before. The
    hot calls are all of one context, one after the other, which costs less for any context."""
    batch = 5
    rounds = 3 if quick else 16
    placements = (Placement.FREE, Placement.PINNED)
    contexts = batch * rounds * len(placements)
    first = partial(FirstCalls, contexts=contexts)
    return [
        Figure(
            name="provisioned-first",
            title="First call on a provisioned context, embedded, p50",
            metric=Metric.P50,
            contenders=(
                samovar(first, provisioned=contexts),
                samovar(
                    partial(first, again=True), name=_WARM, role=Role.VARIANT, provisioned=contexts
                ),
                samovar(partial(Calls, in_flight=1), name=_HOT, role=Role.VARIANT),
            ),
            targets=(Target(3.0, _WARM),),
            rounds=rounds,
            batch=batch,
            warm_up=0,
            placements=placements,
        )
    ]
