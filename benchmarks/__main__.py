"""`python -m benchmarks`: every promise of the README, with floors and peers in the same run."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import facts, figures, harness, report
from benchmarks.harness import Result
from benchmarks.measures import Role
from benchmarks.verdict import verdicts


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Run this figure only; repeatable.")
@click.option("--without", multiple=True, metavar="ROLE", help="Leave out floor, peer, samovar …")
@click.option("--quick", is_flag=True, help="Few samples: shows that it runs, proves nothing.")
@click.option("--seed", type=int, default=0, show_default=True, help="Order of the rounds.")
@click.option("--list", "list_", is_flag=True, help="Name the figures and stop.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--png", "png_path", type=click.Path(path_type=Path, dir_okay=False))
def main(  # noqa: PLR0917  # click passes them by name
    only: tuple[str, ...],
    without: tuple[str, ...],
    quick: bool,
    seed: int,
    list_: bool,
    json_path: Path | None,
    png_path: Path | None,
) -> None:
    """Measure Samovar beside floors and peers. Exits 1 if a promise was missed or unmeasured."""
    if png_path is not None and importlib.util.find_spec("matplotlib") is None:
        raise click.UsageError("--png needs matplotlib: pip install matplotlib")
    console = Console()
    chosen = _choose(figures.build(quick), only, without)
    if list_:
        for figure in chosen:
            console.print(f"{figure.name}: {figure.title}", highlight=False)
        return
    machine = facts.machine()
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['python']}, "
        f"load {machine['load_at_start']:.2f}" + (", quick" if quick else ""),
        highlight=False,
    )
    results = _run(chosen, seed, console)
    report.print_summary(results, console)
    if json_path is not None:
        document = report.as_json(results, machine | {"quick": quick, "seed": seed})
        json_path.write_text(json.dumps(document, indent=1) + "\n")
    if png_path is not None:
        from benchmarks import chart

        chart.draw(results, png_path)
    kept = all(verdict.met for result in results for verdict in verdicts(result))
    sys.exit(0 if kept else 1)


def _choose(
    known: list[harness.Figure], only: tuple[str, ...], without: tuple[str, ...]
) -> list[harness.Figure]:
    names = [figure.name for figure in known]
    for name in only:
        if name not in names:
            raise click.UsageError(f"no figure {name!r}; there are: {', '.join(names)}")
    for role in without:
        if role not in list(Role):
            raise click.UsageError(f"no role {role!r}; there are: {', '.join(Role)}")
    return [
        harness.without(figure, {Role(role) for role in without})
        for figure in known
        if not only or figure.name in only
    ]


def _run(chosen: list[harness.Figure], seed: int, console: Console) -> list[Result]:
    dice = random.Random(seed)
    results = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=sum(figure.steps for figure in chosen))
        done = 0
        for figure in chosen:
            progress.update(bar, description=figure.name)
            result = harness.run(figure, dice, lambda: progress.advance(bar))
            done += figure.steps  # also when some did not take part
            progress.update(bar, completed=done)
            report.print_figure(result, progress.console)
            results.append(result)
    return results


if __name__ == "__main__":
    main()
