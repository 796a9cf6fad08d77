"""Samples into numbers: percentiles by round and phase, and the documents made of them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samovar.doors.cli.bench.sample import PHASES, PROVISIONED, REST, Round, Sample
from samovar.doors.cli.percentiles import percentile

SCHEMA = 1
QUEUED = "queued"  # not a part of the whole: a cold start's phases are within it
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
COLUMNS = (
    *("round", "number", "start", "context", "request_id", "error", "total_ms", "queued_ms"),
    *(f"{name}_ms" for name in PHASES),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one round: how many samples count and how many do not, how many of all the function
    failed, and how many of those that count came to a provisioned context;
    percentiles by phase, milliseconds, with `total` for the whole."""

    count: int
    left_out: int
    errors: int
    provisioned: int
    milliseconds: Mapping[str, Mapping[str, float]]


def summarise(samples: Sequence[Sample], which: Round) -> Summary:
    """The summary of the samples of that round."""
    made = [sample for sample in samples if sample.round is which]
    counted = [sample for sample in made if sample.counts]
    errors = sum(1 for sample in made if sample.error)
    values: dict[str, list[float]] = {}
    for sample in counted:
        for name, value in (*sample.parts().items(), ("total", sample.total)):
            values.setdefault(name, []).append(value)
    ordered = [name for name in (*PHASES, REST, "total") if name in values]
    return Summary(
        len(counted),
        len(made) - len(counted),
        errors,
        sum(1 for sample in counted if sample.start == PROVISIONED),
        {name: percentiles(values[name]) for name in ordered},
    )


def percentiles(values: Iterable[float]) -> dict[str, float]:
    known = list(values)
    return {name: round(percentile(known, share), 3) for name, share in SHARES.items()}


def as_document(
    facts: Mapping[str, Any], samples: Sequence[Sample], warm_seconds: float
) -> dict[str, Any]:
    """What `--json` prints; docs/measuring.md describes it."""
    rounds = {}
    for which in Round:
        if any(sample.round is which for sample in samples):
            found = summarise(samples, which)
            rounds[which.value] = {
                "count": found.count,
                "left_out": found.left_out,
                "errors": found.errors,
                "provisioned": found.provisioned,
                "milliseconds": found.milliseconds,
            }
    if Round.WARM.value in rounds and warm_seconds:
        made = sum(1 for sample in samples if sample.round is Round.WARM)
        rounds[Round.WARM.value]["per_second"] = round(made / warm_seconds, 1)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in _rows(samples)]
    return {"schema": SCHEMA, **facts, **rounds, "samples": rows}


def as_csv(samples: Sequence[Sample]) -> str:
    """One line per invocation, under a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(["" if value is None else value for value in row] for row in _rows(samples))
    return text.getvalue()


def _rows(samples: Sequence[Sample]) -> Iterable[list[Any]]:
    numbers: Counter[Round] = Counter()
    for sample in samples:
        numbers[sample.round] += 1
        yield [
            sample.round.value,
            numbers[sample.round],
            sample.start,
            sample.context,
            sample.request_id,
            sample.error or None,
            round(sample.total, 3),
            *(sample.phases.get(name) for name in (QUEUED, *PHASES)),
        ]
