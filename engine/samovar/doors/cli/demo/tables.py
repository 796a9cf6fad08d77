"""The demo's findings as tables for a person and as JSON for a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from samovar.doors.cli.demo.calls import Call
from samovar.doors.cli.percentiles import percentile
from samovar.doors.cli.screen import print_rows

PHASES = ("environment", "package", "init", "handler")
_NUMBERS = ("calls", *PHASES, "total", "p50", "p99")
_LEFT_OUT_FIRST = ("package", "environment")


@dataclass(frozen=True, slots=True)
class Group:
    """The totals of the calls of one round whose contexts were made ready in the same way.

    Rounds are kept apart: eight calls at once share the machine, and say little of one alone.
    """

    round: str
    start: str
    calls: int
    p50: float
    p99: float


def grouped(calls: Sequence[Call]) -> list[Group]:
    """The groups in the order of the calls; milliseconds."""
    totals: dict[tuple[str, str], list[float]] = {}
    for call in calls:
        totals.setdefault((call.round, call.start), []).append(call.total)
    return [
        Group(*key, len(values), percentile(values, 0.5), percentile(values, 0.99))
        for key, values in totals.items()
    ]


def as_document(calls: Sequence[Call], package: int, paths: Sequence[Path]) -> dict[str, Any]:
    """Everything that the tables show, and every call; milliseconds and bytes."""
    return {
        "package_bytes": package,
        "calls": [dataclasses.asdict(call) for call in calls],
        "groups": [dataclasses.asdict(group) for group in grouped(calls)],
        "thumbnails": [str(path) for path in paths],
    }


def show(console: Console, calls: Sequence[Call], paths: Sequence[Path]) -> None:
    """Print the tables."""
    show_calls(console, calls)
    console.print()
    print_rows(console, _percentiles(calls), right=_NUMBERS)
    console.print("\nTimes are milliseconds; total is what the caller of boto3 waited.")
    console.print("[bold]thumbnails[/bold]")
    for path in paths:
        console.print(f"  {path}", soft_wrap=True, markup=False)


def show_calls(console: Console, calls: Sequence[Call]) -> None:
    """Print a line for calls that are alike. Contexts get short names in the order in which they
    came."""
    names: dict[str, str] = {}
    for call in calls:
        names.setdefault(call.context, f"#{len(names) + 1}")
    print_rows(console, _rows(calls, names), right=_NUMBERS, least=_LEFT_OUT_FIRST)


def _rows(calls: Sequence[Call], names: dict[str, str]) -> list[dict[str, str]]:
    rows = []
    before = None
    for (round_name, context, start), group in groupby(
        calls, lambda call: (call.round, call.context, call.start)
    ):
        same = list(group)
        phases = {phase: _median([call.phases.get(phase) for call in same]) for phase in PHASES}
        row = {
            "round": round_name if round_name != before else "",
            "calls": str(len(same)),
            "context": names[context],
            "start": start,
            **phases,
            "total": _median([call.total for call in same]),
        }
        rows.append(row)
        before = round_name
    return rows


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{percentile(known, 0.5):.1f}" if known else "-"


def _percentiles(calls: Sequence[Call]) -> list[dict[str, str]]:
    return [
        {
            "round": group.round,
            "start": group.start,
            "calls": str(group.calls),
            "p50": f"{group.p50:.1f}",
            "p99": f"{group.p99:.1f}",
        }
        for group in grouped(calls)
    ]
