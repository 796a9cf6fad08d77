"""The demo's findings as tables for a person and as JSON for a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from samovar.doors.cli.demo.calls import Call

PHASES = ("environment", "package", "init", "handler")


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -int(-share * len(ordered) // 1))
    return ordered[rank - 1]


def by_start(calls: Sequence[Call]) -> dict[str, list[float]]:
    """The calls' totals by start kind, cold first."""
    kinds: dict[str, list[float]] = {}
    for call in sorted(calls, key=lambda call: call.start):
        kinds.setdefault(call.start, []).append(call.total)
    return kinds


def as_document(calls: Sequence[Call], package: int, paths: Sequence[Path]) -> dict[str, Any]:
    """Everything that the tables show, and every call; milliseconds and bytes."""
    return {
        "package_bytes": package,
        "calls": [dataclasses.asdict(call) for call in calls],
        "total_milliseconds": {
            kind: {
                "count": len(totals),
                "p50": percentile(totals, 0.5),
                "p99": percentile(totals, 0.99),
            }
            for kind, totals in by_start(calls).items()
        },
        "thumbnails": [str(path) for path in paths],
    }


def show(console: Console, calls: Sequence[Call], paths: Sequence[Path]) -> None:
    """Print the tables. Contexts get short names in the order in which they came."""
    names: dict[str, str] = {}
    for call in calls:
        names.setdefault(call.context, f"#{len(names) + 1}")
    where = Text("thumbnails  ", style="bold")
    where.append(", ".join(str(path) for path in paths), style="")
    console.print(Group(_rows(calls, names), Text(), _percentiles(calls), Text(), where))


def _rows(calls: Sequence[Call], names: dict[str, str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("round", "calls", "context", "start"):
        table.add_column(heading, justify="right" if heading == "calls" else "left")
    for heading in (*PHASES, "total"):
        table.add_column(f"{heading} ms", justify="right")
    before = None
    for (round_name, context, start), group in groupby(
        calls, lambda call: (call.round, call.context, call.start)
    ):
        same = list(group)
        if before not in (None, round_name):
            table.add_section()
        table.add_row(
            round_name if round_name != before else "",
            str(len(same)),
            names[context],
            start,
            *(_median([call.phases.get(phase) for call in same]) for phase in PHASES),
            _median([call.total for call in same]),
        )
        before = round_name
    return table


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{percentile(known, 0.5):.1f}" if known else "-"


def _percentiles(calls: Sequence[Call]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("start")
    for heading in ("calls", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for kind, totals in by_start(calls).items():
        table.add_row(
            kind,
            str(len(totals)),
            f"{percentile(totals, 0.5):.1f}",
            f"{percentile(totals, 0.99):.1f}",
        )
    return table
