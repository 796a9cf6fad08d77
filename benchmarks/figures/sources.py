"""Queues that are read for functions, beside a loop of the same client that reads and deletes."""

from __future__ import annotations

from typing import Any

from benchmarks.figures.contenders import SAMOVAR
from benchmarks.harness import Contender, Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.sources import Drained, Lag

_BARE = "receive and delete"
_SUBJECTS = "benchmarks.source_subjects"


def build(quick: bool) -> list[Figure]:
    """The rate of one mapping while there is a backlog, and the time from a message to its handler;
    moto is the queue's other end, in a process of its own for each contender."""
    return [
        Figure(
            name="source-rate",
            title="Messages of a queue of SQS read, run and deleted, one mapping",
            metric=Metric.RATE,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_SUBJECTS}:SamovarSource", Drained),
                Contender(_BARE, Role.FLOOR, f"{_SUBJECTS}:BareSource", Drained),
            ),
            targets=(Target(0.7, _BARE, at_least=True),),
            rounds=2 if quick else 6,
            # moto is slower the more messages a queue has had: all have the same history.
            batch=50 if quick else 100,
            warm_up=20,
        ),
        Figure(
            name="source-lag",
            title="A message sent until its handler begins, p50",
            metric=Metric.P50,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_SUBJECTS}:SamovarSource", Lag, _LAG),
                Contender(_BARE, Role.FLOOR, f"{_SUBJECTS}:BareSource", Lag),
            ),
            targets=(Target(1.5, _BARE),),
            rounds=2 if quick else 6,
            batch=20 if quick else 100,
            warm_up=10,
        ),
    ]


_LAG: dict[str, Any] = {"lag": True}
