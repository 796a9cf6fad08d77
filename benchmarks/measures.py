"""What is measured and how batches of it are summed up. Pure: no clock, no I/O.

Times are nanoseconds in latencies and seconds elsewhere; sizes are bytes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Why a contender takes part."""

    SAMOVAR = "samovar"
    FLOOR = "floor"
    PEER = "peer"
    VARIANT = "variant"  # Samovar set up in another way


class Metric(StrEnum):
    """What a figure compares. Each batch has one value of it."""

    P50 = "p50"  # seconds, lower is better
    P99 = "p99"  # the same
    RATE = "rate"  # invocations per second, higher is better
    ELAPSED = "elapsed"  # seconds for the whole batch, lower is better
    BYTES = "bytes"  # bytes per context, lower is better
    CPU = "cpu"  # seconds of the engine process per invocation, lower is better


@dataclass(slots=True)
class Batch:
    """One contender's share of one round.

    `latencies`: one per invocation, in ns; empty where the load generator keeps only quantiles,
    which then stand in `quantiles` (percent to seconds). `engine_cpu` and `tree_cpu` are filled in
    by the harness (seconds, user and system). `size`: bytes per context, for the memory figure.
    """

    count: int
    elapsed: float
    latencies: Sequence[int] = ()
    quantiles: dict[int, float] = field(default_factory=dict)
    size: float | None = None
    engine_cpu: float = 0.0
    tree_cpu: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)

    def quantile(self, percent: int) -> float | None:
        """Seconds, or None where no latencies were taken."""
        if self.latencies:
            return percentile(self.latencies, percent) / 1e9
        return self.quantiles.get(percent)

    def value(self, metric: Metric) -> float:
        """The batch's value; raises ValueError if it was not measured."""
        match metric:
            case Metric.P50:
                found = self.quantile(50)
            case Metric.P99:
                found = self.quantile(99)
            case Metric.RATE:
                found = self.count / self.elapsed
            case Metric.ELAPSED:
                found = self.elapsed
            case Metric.CPU:
                found = self.engine_cpu / self.count
            case Metric.BYTES:
                found = self.size
        if found is None:
            raise ValueError(f"this batch has no {metric}")
        return found


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))  # ceiling
    return ordered[int(rank) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """All batches of one contender in one variant (free or pinned).

    `value` is the median of the batches' values, `values` are they, in the order of the rounds.
    `p10` and `p90` show the two modes of a latency that is bimodal (see the README).
    """

    value: float
    values: tuple[float, ...]
    p10: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    rate: float
    count: int
    engine_cpu: float  # seconds per invocation
    tree_cpu: float
    extra: dict[str, float]


def summarise(batches: Sequence[Batch], metric: Metric) -> Summary:
    """Medians over rounds; quantiles over all latencies of all rounds."""
    count = sum(batch.count for batch in batches)
    values = tuple(batch.value(metric) for batch in batches)
    return Summary(
        value=statistics.median(values),
        values=values,
        p10=_quantile(batches, 10),
        p50=_quantile(batches, 50),
        p90=_quantile(batches, 90),
        p99=_quantile(batches, 99),
        rate=statistics.median(batch.count / batch.elapsed for batch in batches),
        count=count,
        engine_cpu=sum(batch.engine_cpu for batch in batches) / count,
        tree_cpu=sum(batch.tree_cpu for batch in batches) / count,
        extra={
            key: statistics.median(b.extra[key] for b in batches if key in b.extra)
            for key in {key for batch in batches for key in batch.extra}
        },
    )


def _quantile(batches: Sequence[Batch], percent: int) -> float | None:
    together = [latency for batch in batches for latency in batch.latencies]
    if together:
        return percentile(together, percent) / 1e9
    known = [batch.quantiles[percent] for batch in batches if percent in batch.quantiles]
    return statistics.median(known) if known else None


def paired_ratios(ours: Summary, theirs: Summary) -> tuple[float, ...]:
    """Ours over theirs, round by round: what drifts during the run drifts for both."""
    return tuple(a / b for a, b in zip(ours.values, theirs.values, strict=True))


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: Samovar's value, divided by `against`'s if there is one, stays within `limit`.

    `against` is a contender's name, or None for an absolute limit in the metric's unit.
    """

    limit: float
    against: str | None = None
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit
