"""A neighbour of hostile functions, and the same without them."""

from __future__ import annotations

from benchmarks.harness import Contender, Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.attacks import CallsBesideAttack

_REST = "Samovar at rest"
_LIMIT = 3.0
# Those of `tests/attacks` that take something that others need: processors, memory, the disk, the
# engine's loop.
_ATTACKS = (
    "spin",
    "threads_that_stay",
    "flood",
    "fill_tmp",
    "memory_bomb",
    "memory_creep",
    "fork_bomb",
    "descriptors",
    "raw_bytes",
    "another_program",
)


def build(quick: bool) -> list[Figure]:
    """p99 of a warm call beside each attack."""
    return [
        Figure(
            name=f"beside-{attack.replace('_', '-')}",
            title=f"Embedded warm no-op while another function attacks ({attack}), p99",
            metric=Metric.P99,
            contenders=(
                _engine("Samovar", Role.SAMOVAR, attack=attack),
                _engine(_REST, Role.FLOOR),
            ),
            targets=(Target(_LIMIT, _REST),),
            rounds=3 if quick else 10,
            batch=2000 if quick else 10_000,
            warm_up=500,
        )
        for attack in _ATTACKS
    ]


def _engine(name: str, role: Role, **options: str) -> Contender:
    subject = "benchmarks.attacked_subject:AttackedSubject"
    return Contender(name, role, subject, CallsBesideAttack, options)
