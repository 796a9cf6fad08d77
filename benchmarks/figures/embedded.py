"""Warm calls from a Python program that embeds the engine."""

from __future__ import annotations

from functools import partial

from benchmarks.figures.contenders import floor, peer, samovar
from benchmarks.harness import Figure, Placement
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.embedded import Calls

_FLOOR = "embedded loop"
_POOL = "multiprocessing.Pool"
_EXECUTOR = "ProcessPoolExecutor"


def build(quick: bool) -> list[Figure]:
    """Latency of one call after the other, and the rate with 64 outstanding on two contexts."""
    one = partial(Calls, in_flight=1)
    many = partial(Calls, in_flight=64)
    pure = "Samovar, msgpack without C"
    return [
        Figure(
            name="embedded-latency",
            title="Embedded warm no-op, one at a time, p50",
            metric=Metric.P50,
            contenders=(
                samovar(one),
                samovar(one, name=pure, role=Role.VARIANT, pure_msgpack=True),
                floor(_FLOOR, "bare_loop:EmbeddedLoop", one, workers=2),
                peer(_POOL, "pools:MultiprocessingPool", one),
                peer(_EXECUTOR, "pools:Executor", one),
            ),
            targets=(Target(2.0, _FLOOR), Target(1.0, _POOL), Target(1.0, _EXECUTOR)),
            rounds=3 if quick else 12,
            batch=300 if quick else 1000,
            warm_up=200,
            placements=(Placement.FREE, Placement.PINNED),
        ),
        Figure(
            name="embedded-rate",
            title="Embedded warm no-op, 64 in flight, 2 contexts",
            metric=Metric.RATE,
            contenders=(
                samovar(many, contexts=2),
                floor(_FLOOR, "bare_loop:EmbeddedLoop", many, workers=2),
                peer(_POOL, "pools:MultiprocessingPool", many),
                peer(_EXECUTOR, "pools:Executor", many),
            ),
            targets=(
                Target(0.6, _FLOOR, at_least=True),
                Target(1.0, _POOL, at_least=True),
                Target(2.5, _EXECUTOR, at_least=True),
            ),
            rounds=3 if quick else 12,
            batch=2000 if quick else 8000,
            warm_up=500,
        ),
    ]
