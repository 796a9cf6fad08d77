"""Whether promises were kept. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.harness import Placement, Result
from benchmarks.measures import Role, Summary, Target, paired_ratios, percentile


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target under one placement. `value`: the ratio, or Samovar's own value if absolute.

    None where it could not be measured; `met` is False then: a promise nobody checked is not kept.
    """

    placement: Placement
    target: Target
    value: float | None

    @property
    def met(self) -> bool:
        return self.value is not None and self.target.met(self.value)


def ours(result: Result, placement: Placement) -> Summary | None:
    """Samovar's summary, None if it did not take part."""
    summaries = result.summaries.get(placement, {})
    for contender in result.figure.contenders:
        if contender.role is Role.SAMOVAR:
            return summaries.get(contender.name)
    return None


@dataclass(frozen=True, slots=True)
class Ratio:
    """Samovar's value over another's, paired by round: the median, and the quartiles."""

    median: float
    lower: float
    upper: float


def ratio(result: Result, placement: Placement, name: str) -> Ratio | None:
    """Samovar over contender `name`; None unless both were measured."""
    samovar = ours(result, placement)
    other = result.summaries.get(placement, {}).get(name)
    if samovar is None or other is None:
        return None
    pairs = paired_ratios(samovar, other)
    return Ratio(statistics.median(pairs), percentile(pairs, 25), percentile(pairs, 75))


def verdicts(result: Result) -> list[Verdict]:
    """One per target and placement."""
    found = []
    for placement in result.figure.placements:
        for target in result.figure.targets:
            if target.against is None:
                samovar = ours(result, placement)
                value = None if samovar is None else samovar.value
            else:
                over = ratio(result, placement, target.against)
                value = None if over is None else over.median
            found.append(Verdict(placement, target, value))
    return found
