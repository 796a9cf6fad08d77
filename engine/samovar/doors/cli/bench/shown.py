"""A summary for a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from samovar.doors.cli.bench.sample import PROVISIONED, REST, Round, Sample
from samovar.doors.cli.bench.summary import SHARES, Summary, summarise
from samovar.doors.cli.screen import new_table


def show(console: Console, title: str, samples: Sequence[Sample], warm_seconds: float) -> None:
    """Print the tables of both rounds, and what to know of them."""
    console.print(title, soft_wrap=True, markup=False, highlight=False)
    for which in Round:
        found = summarise(samples, which)
        if found.count + found.left_out == 0:
            continue
        console.print()
        _show_round(console, which, found)
        for line in _notes(which, found):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        if which is Round.WARM and warm_seconds:
            made = found.count + found.left_out
            console.print(f"{made / warm_seconds:,.0f} invocations per second", highlight=False)
    console.print("\nTimes are milliseconds; total is what the caller waited.", highlight=False)


def _show_round(console: Console, which: Round, found: Summary) -> None:
    table = new_table(f"{start_text(which, found)}, {found.count}", *SHARES, right=tuple(SHARES))
    for name, values in found.milliseconds.items():
        if name == "total":
            table.add_section()
        label = f"{REST} (HTTP, queues, pipes)" if name == REST else name
        table.add_row(
            label,
            *(f"{values[share]:.2f}" for share in SHARES),
            style="bold" if name == "total" else None,
        )
    console.print(table)


def start_text(which: Round, found: Summary, snap_start: bool = False) -> str:
    """How the invocations of a round that count began."""
    if which is Round.WARM:
        return which.value
    if found.provisioned and found.provisioned == found.count:
        return PROVISIONED
    return "SnapStart" if snap_start else which.value


def _notes(which: Round, found: Summary) -> list[str]:
    notes = []
    if found.left_out:
        other = "cold starts" if which is Round.WARM else "served by a warm context"
        notes.append(f"{found.left_out} more were {other}, and are not in this table")
    if 0 < found.provisioned < found.count:
        notes.append(f"{found.provisioned} of these came to a provisioned context")
    if found.errors:
        notes.append(f"{found.errors} ended with an error of the function's")
    return notes
