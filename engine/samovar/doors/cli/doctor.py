"""`samovar doctor`: what works on this host, tried and not guessed."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.console import Console
from rich.table import Table

from samovar.doors.cli import host
from samovar.doors.cli.exits import Exit, failures
from samovar.doors.cli.host import Fact, Verdict
from samovar.doors.cli.options import read_settings, setting_flags
from samovar.doors.cli.report import Report
from samovar.engine import Engine
from samovar.settings import Isolation, Settings

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.MISSING: "red"}


@click.command(
    epilog="""\b
Examples:
  samovar doctor
  samovar doctor --json | jq '.[] | select(.verdict != "ok")'
\b
An engine starts for a moment in a directory of its own, puts up every wall and goes again; one that
already runs here is not touched. Exit code 8 means that something is missing."""
)
@setting_flags()
@click.option("--json", "as_json", is_flag=True, help="the findings as a JSON list")
def doctor(as_json: bool, **flags: Any) -> None:
    """Say what this host gives functions, and what is missing."""
    settings = read_settings(flags)
    with failures(), tempfile.TemporaryDirectory(prefix="samovar-doctor-") as directory:
        # Whatever is refused is to be told, not to end the trial.
        trial = dataclasses.replace(
            settings, data_dir=Path(directory), port=0, isolation=_lenient(settings)
        )
        facts = [*from_report(uvloop.run(_try(trial)), settings)]
    facts += host.look(settings.data_dir, settings.max_contexts)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(fact) for fact in facts], indent=2))
    else:
        _print(facts)
    if any(fact.verdict is Verdict.MISSING for fact in facts):
        raise SystemExit(Exit.INCOMPLETE)


def _lenient(settings: Settings) -> Isolation:
    wanted = settings.isolation
    return Isolation.AUTO if wanted is Isolation.NAMESPACES else wanted


async def _try(settings: Settings) -> Report:
    async with Engine(settings) as engine:
        return engine.report()


def from_report(report: Report, settings: Settings) -> list[Fact]:
    """What the trial engine found: interpreters first, then walls."""
    facts = [
        Fact(item.runtime, f"{item.version} at {item.executable}") for item in report.interpreters
    ]
    if not facts:
        facts.append(
            Fact(
                "interpreters",
                "none found",
                Verdict.MISSING,
                "install one, or name it: --interpreters python3.12=/path/to/python3.12",
            )
        )
    facts += [Fact(f"wall: {wall}", "holds") for wall in report.walls_held]
    if settings.isolation is Isolation.NONE:
        # Left out by will: nothing to repair.
        missing, advice = Verdict.WARNING, "isolation is set to none"
    else:
        missing = Verdict.MISSING
        advice = "start as root, or where unprivileged user namespaces are allowed"
    facts += [
        Fact(f"wall: {wall}", why, missing, advice) for wall, why in report.walls_missing.items()
    ]
    return facts


def _print(facts: list[Fact]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "what", "finding", "what to do"):
        table.add_column(heading, overflow="fold")
    for fact in facts:
        colour = _COLOURS[fact.verdict]
        table.add_row(
            f"[{colour}]{fact.verdict.value}[/{colour}]", fact.subject, fact.finding, fact.advice
        )
    Console().print(table)
