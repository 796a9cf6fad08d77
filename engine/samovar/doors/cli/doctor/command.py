"""`samovar doctor`: the words of the command line, and the table."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import uvloop

from samovar.doors.cli.doctor import access, disk, host, inside, kernel, trial
from samovar.doors.cli.doctor.facts import Fact, Verdict
from samovar.doors.cli.exits import Exit, failures
from samovar.doors.cli.options import read_settings, setting_flags
from samovar.doors.cli.screen import console, new_table
from samovar.settings import Isolation, Settings

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.MISSING: "red"}


@click.command(
    epilog="""\b
Examples:
  samovar doctor
  samovar doctor --json | jq '.[] | select(.verdict != "ok")'

An engine starts for a moment in a directory of its own, puts up every wall, runs functions that
lean on them, and goes again; one that already runs here is not touched. Exit code 8 means that
something is missing; a warning does not change the exit code. --json gives a list of objects:
group, subject, finding, verdict (ok, warning or missing) and advice."""
)
@setting_flags()
@click.option("--json", "as_json", is_flag=True, help="the findings as a JSON list")
def doctor(as_json: bool, **flags: Any) -> None:
    """Say what this host gives functions, and what is missing."""
    settings = read_settings(flags)
    groups = _examine(settings)
    if as_json:
        documents = [
            {"group": name, **dataclasses.asdict(fact)}
            for name, facts in groups.items()
            for fact in facts
        ]
        click.echo(json.dumps(documents, indent=2))
    else:
        _print(groups)
    if any(fact.verdict is Verdict.MISSING for facts in groups.values() for fact in facts):
        raise SystemExit(Exit.INCOMPLETE)


def _examine(settings: Settings) -> dict[str, list[Fact]]:
    with failures(), tempfile.TemporaryDirectory(prefix="samovar-doctor-") as directory:
        # Whatever is refused is to be told, not to end the trial.
        tried = dataclasses.replace(
            settings, data_dir=Path(directory), port=0, isolation=_lenient(settings)
        )
        screen = console(stderr=True)
        waiting = screen.status("starting an engine, and functions in it")
        with waiting if screen.is_terminal else nullcontext(), _quiet():
            found = uvloop.run(trial.hold(tried))
    return {
        "interpreters": inside.interpreters(found),
        "walls": inside.walls(found.report, settings),
        "seen by a function": inside.seen(found, settings),
        "kernel": kernel.look(),
        "host": [
            *host.look(settings),
            *disk.look(settings.data_dir),
            disk.rights(settings.data_dir),
            access.look(settings),
        ],
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """What the engine would warn of, the table says."""
    log = logging.getLogger("samovar")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _lenient(settings: Settings) -> Isolation:
    wanted = settings.isolation
    return wanted if wanted is Isolation.NONE else Isolation.AUTO


def _print(groups: dict[str, list[Fact]]) -> None:
    table = new_table("", "what", "finding", "what to do")
    for name, facts in groups.items():
        if not facts:
            continue
        table.add_section()
        table.add_row("", f"[bold]{name}[/bold]")
        for fact in facts:
            colour = _COLOURS[fact.verdict]
            table.add_row(
                f"[{colour}]{fact.verdict.value}[/{colour}]",
                f"  {fact.subject}",
                fact.finding,
                fact.advice,
            )
    console().print(table)
