"""Hot reload: from a save to the first result of what was saved."""

from __future__ import annotations

from benchmarks.figures.contenders import SAMOVAR, floor
from benchmarks.harness import Contender, Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.reload import Saves

_SUBJECT = "benchmarks.reload_subject:ReloadSubject"
_WITHIN = 0.2  # seconds


def build(quick: bool) -> list[Figure]:
    """In a directory of one file, and in one of 5,000."""
    return [
        Figure(
            name=f"hot-reload-{files}",
            title=f"Hot reload, a save to its first result, {files:,} file{'s' * (files > 1)}, p50",
            metric=Metric.P50,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, _SUBJECT, Saves, {"files": files}),
                floor("inotify and fork", "saved_fork:SavedFork", Saves, files=files),
            ),
            targets=(Target(_WITHIN),),
            rounds=5 if quick else 120,
            batch=1,
            warm_up=2,
        )
        for files in (1, 5000)
    ]
