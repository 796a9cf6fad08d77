"""The command; see `tests.soak`."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import click
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tests.process.house import Silence
from tests.soak.rest import Rest
from tests.soak.rounds import Soak

from samovar.engine import Engine
from samovar.settings import Settings

_FIRST = 3  # rounds after which all that is made once is there
_LOOKS = 10


@click.command(
    epilog="""\b
Examples:
  python -m tests.soak --minutes 5
  python -m tests.soak --minutes 600 --json > soak.json

Ends with exit code 1 if anything but the memory has grown, or the memory by more than --most."""
)
@click.option("--minutes", type=float, default=5.0, show_default=True, help="how long")
@click.option("--most", type=int, default=16, show_default=True, help="MB of more memory")
@click.option("--json", "as_json", is_flag=True, help="every look, for programs")
def main(minutes: float, most: int, as_json: bool) -> None:
    """Have an engine work, and look whether it grows."""
    with tempfile.TemporaryDirectory(prefix="samovar-soak-") as directory:
        looks = uvloop.run(_work(Path(directory) / "data", minutes * 60))
    if as_json:
        print(json.dumps([{"round": at, **asdict(look)} for at, look in looks]))
    else:
        _show(looks)
    grown = looks[-1][1].grown(looks[0][1])
    more = (looks[-1][1].memory - looks[0][1].memory) >> 10
    if grown or more > most:
        print(f"it has grown: {grown}, memory by {more} MB", file=sys.stderr)
        sys.exit(1)


async def _work(data: Path, seconds: float) -> list[tuple[int, Rest]]:
    looks: list[tuple[int, Rest]] = []
    settings = Settings(data_dir=data, spares=1)
    async with Engine(settings, log_sink=Silence()) as engine:
        soak = Soak(engine)
        for _ in range(_FIRST):
            await soak.round()
        looks.append((_FIRST, await at_rest(engine, data)))
        began, at = time.monotonic(), _FIRST
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("rounds", total=seconds)
            while (passed := time.monotonic() - began) < seconds:
                await soak.round()
                at += 1
                if passed > seconds * len(looks) / _LOOKS:
                    looks.append((at, await at_rest(engine, data, looks[0][1])))
                progress.update(task, completed=passed, description=f"{at} rounds")
        looks.append((at, await at_rest(engine, data, looks[0][1])))
    return looks


async def at_rest(
    engine: Engine, data: Path, before: Rest | None = None, patience: float = 30.0
) -> Rest:
    """What there is, when nothing of it has changed for a second and nothing is more than `before`;
    or after `patience` seconds."""
    until, quiet, last = time.monotonic() + patience, 0, Rest.of(engine, data)
    while time.monotonic() < until:
        await asyncio.sleep(0.1)
        now = Rest.of(engine, data)
        quiet = 0 if now.grown(last) or last.grown(now) else quiet + 1
        last = now
        if quiet >= 10 and (before is None or not now.grown(before)):
            break
    return last


def _show(looks: list[tuple[int, Rest]]) -> None:
    table = Table(title="An engine at rest, between rounds", title_justify="left")
    table.add_column("rounds", justify="right")
    for name in asdict(looks[0][1]):
        table.add_column(f"{name} KB" if name == "memory" else name, justify="right")
    for at, look in looks:
        table.add_row(f"{at:,}", *(f"{value:,}" for value in asdict(look).values()))
    Console().print(table)


if __name__ == "__main__":
    main()
