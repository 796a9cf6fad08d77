"""Several functions, or versions of one, side by side: a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from samovar.doors.cli.bench.sample import Round, Sample
from samovar.doors.cli.bench.shown import start_text
from samovar.doors.cli.bench.summary import summarise
from samovar.doors.cli.screen import print_rows

_TOTAL = "total"
_LEFT_OUT_FIRST = ("first p90", "warm p90", "first init", "calls/s", "warm p99", "first p99")
_TEXTS = ("function", "first")


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one function: `reference` as it was given, `facts` of `--json`, and the
    seconds that the warm round took."""

    reference: str
    facts: Mapping[str, Any]
    samples: Sequence[Sample]
    warm_seconds: float


def show_compared(console: Console, title: str, measured: Sequence[Measured]) -> None:
    """Print the table, and what to know of it."""
    console.print(title, soft_wrap=True, markup=False, highlight=False)
    console.print()
    rows = [_row(one) for one in measured]
    empty = [name for name in rows[0] if all(row[name] == "-" for row in rows)]
    rows = [{name: text for name, text in row.items() if name not in empty} for row in rows]
    right = tuple(name for name in rows[0] if name not in _TEXTS)
    print_rows(console, rows, right=right, least=_LEFT_OUT_FIRST)
    console.print(
        "\nTimes are milliseconds that the caller waited. «first» comes when no idle context is "
        "left, «warm» right after another one.",
        soft_wrap=True,
        highlight=False,
    )
    for one in measured:
        left_out = sum(1 for sample in one.samples if not sample.counts)
        if left_out:
            console.print(
                f"{one.reference}: {left_out} more began in another way, and are not counted",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )


def _row(one: Measured) -> dict[str, str]:
    first = summarise(one.samples, Round.COLD)
    warm = summarise(one.samples, Round.WARM)
    snap_start = bool(one.facts.get("snap_start"))
    made = warm.count + warm.left_out
    return {
        "function": one.reference,
        "first": start_text(Round.COLD, first, snap_start) if first.count else "-",
        "first init": _at(first.milliseconds, "init", "p50"),
        **{f"first {share}": _at(first.milliseconds, _TOTAL, share) for share in _SHARES},
        **{f"warm {share}": _at(warm.milliseconds, _TOTAL, share) for share in _SHARES},
        "calls/s": f"{made / one.warm_seconds:,.0f}" if made and one.warm_seconds else "-",
    }


_SHARES = ("p50", "p90", "p99")


def _at(milliseconds: Mapping[str, Mapping[str, float]], name: str, share: str) -> str:
    return f"{milliseconds[name][share]:.2f}" if name in milliseconds else "-"
