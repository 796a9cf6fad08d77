"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.harness import Placement, Result
from benchmarks.measures import Metric, Role, Summary, Target
from benchmarks.verdict import Verdict, ratio, verdicts

_ABSENT = "-"


def duration(seconds: float | None) -> str:
    """Three digits and a unit."""
    if seconds is None:
        return _ABSENT
    for factor, unit in ((1e6, "us"), (1e3, "ms")):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def value_text(value: float | None, metric: Metric) -> str:
    """A value of `metric` with its unit."""
    if value is None:
        return _ABSENT
    if metric is Metric.RATE:
        return f"{value / 1000:.3g} k/s"
    if metric is Metric.BYTES:
        return f"{value / 1e6:.3g} MB"
    return duration(value)


def target_text(target: Target, metric: Metric) -> str:
    """Such as «<= 2 x embedded loop»."""
    sign = ">=" if target.at_least else "<="
    if target.against is None:
        return f"{sign} {value_text(target.limit, metric)}"
    return f"{sign} {target.limit:g} x {target.against}"


def verdict_text(verdict: Verdict) -> str:
    if verdict.value is None:
        return "[yellow]not measured[/]"
    return "[green]met[/]" if verdict.met else "[red]missed[/]"


def print_figure(result: Result, console: Console) -> None:
    """One table: all contenders of a figure, free and pinned."""
    figure = result.figure
    table = Table(title=figure.title, title_justify="left", title_style="bold")
    table.add_column("contender")
    columns = ("p50", "p99", str(figure.metric), "Samovar /", "CPU engine", "CPU tree")
    for column in columns:
        table.add_column(column, justify="right")
    for placement in figure.placements:
        for contender in figure.contenders:
            summary = result.summaries.get(placement, {}).get(contender.name)
            if summary is None:
                continue
            label = f"{contender.name} ({contender.role})"
            if contender.role is Role.SAMOVAR:
                label = f"[bold]{contender.name}[/]"
            if len(figure.placements) > 1:
                label += f", {placement}"
            table.add_row(label, *_cells(result, placement, contender.name, summary))
    console.print(table)
    for verdict in verdicts(result):
        where = f"{verdict.placement}: " if len(figure.placements) > 1 else ""
        value = _verdict_value(verdict, figure.metric)
        text = target_text(verdict.target, figure.metric)
        console.print(f"  {where}{text}: {value}, {verdict_text(verdict)}")
    for name, reason in result.missing.items():
        console.print(f"  [yellow]{name} did not take part:[/] {reason}", highlight=False)
    if result.failure:
        console.print("  [red]failed:[/]", escape(result.failure), highlight=False)
    console.print()


def _cells(result: Result, placement: Placement, name: str, summary: Summary) -> list[str]:
    over = ratio(result, placement, name)
    return [
        duration(summary.p50),
        duration(summary.p99),
        value_text(summary.value, result.figure.metric),
        _ABSENT if over is None else f"{over.median:.2f} ({over.lower:.2f}-{over.upper:.2f})",
        duration(summary.engine_cpu),
        duration(summary.tree_cpu),
    ]


def _verdict_value(verdict: Verdict, metric: Metric) -> str:
    if verdict.value is None:
        return _ABSENT
    if verdict.target.against is None:
        return value_text(verdict.value, metric)
    return f"{verdict.value:.2f} x"


def print_summary(results: Sequence[Result], console: Console) -> None:
    """One line per promise."""
    table = Table(title="Promises", title_justify="left", title_style="bold")
    for column in ("figure", "placement", "target", "measured", ""):
        table.add_column(column)
    for result in results:
        for verdict in verdicts(result):
            table.add_row(
                result.figure.name,
                str(verdict.placement),
                target_text(verdict.target, result.figure.metric),
                _verdict_value(verdict, result.figure.metric),
                verdict_text(verdict),
            )
    console.print(table)


def as_json(results: Sequence[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """Machine facts and all figures; times in seconds, CPU in seconds per invocation."""
    return {"machine": facts, "figures": [_figure(result) for result in results]}


def _figure(result: Result) -> dict[str, Any]:
    figure = result.figure
    return {
        "name": figure.name,
        "title": figure.title,
        "metric": figure.metric,
        "rounds": figure.rounds,
        "batch": figure.batch,
        "contenders": {
            contender.name: {
                "role": contender.role,
                "placements": {
                    placement: asdict(by_name[contender.name])
                    | {"samovar_over_this": _ratio(result, placement, contender.name)}
                    for placement, by_name in result.summaries.items()
                    if contender.name in by_name
                },
            }
            for contender in figure.contenders
        },
        "verdicts": [
            {
                "placement": verdict.placement,
                "target": target_text(verdict.target, figure.metric),
                "value": verdict.value,
                "met": verdict.met,
            }
            for verdict in verdicts(result)
        ],
        "missing": result.missing,
        "failure": result.failure,
    }


def _ratio(result: Result, placement: Placement, name: str) -> dict[str, float] | None:
    over = ratio(result, placement, name)
    return None if over is None else asdict(over)
