"""`samovar bench`: the words of the command line, and the way through a measurement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from samovar.doors.cli.bench import plot
from samovar.doors.cli.bench.caller import Target
from samovar.doors.cli.bench.compared import Measured, show_compared
from samovar.doors.cli.bench.rounds import cold_round, warm_round
from samovar.doors.cli.bench.sample import Sample
from samovar.doors.cli.bench.shown import show
from samovar.doors.cli.bench.summary import as_csv, as_document
from samovar.doors.cli.event import event_option, qualifier_option
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.report import own_version
from samovar.doors.cli.screen import console, say


@click.command(
    short_help="Measure a function: cold starts by phase, and warm.",
    epilog="""\b
Examples:
  samovar bench greet -e '{"name": "tea"}'
  samovar bench greet --event event.json --cold 50 --warm 5000 --concurrency 8
  samovar bench greet --cold 0 --csv > warm.csv
  samovar bench greet --png greet.png --json > greet.json
  samovar bench greet greet:1 greet:live --warm 0

Cold starts are measured one at a time: before each, the function's idle contexts are ended.
Provisioned ones stay, as they do when nobody calls for long, and serve what would be a cold start
otherwise. With several functions, or versions of one, each is a line of one table: on demand beside
SnapStart and provisioned concurrency, for example; --json is a list of objects then. Warm
invocations are made by as many callers at once as --concurrency says, all on this machine. The
function runs as often as that, with all that it does. Ends with exit code 1 if it had errors.""",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@event_option
@qualifier_option
@click.option(
    "--cold",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    metavar="N",
    help="cold starts",
)
@click.option(
    "--warm",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    metavar="N",
    help="warm invocations",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="callers at once of the warm ones",
)
@click.option(
    "--pause",
    type=click.FloatRange(0, 60),
    default=0.2,
    show_default=True,
    metavar="SECONDS",
    help="before each cold start, so that the engine has its spares again",
)
@click.option("--json", "as_json", is_flag=True, help="print numbers and samples as JSON")
@click.option("--csv", "as_table", is_flag=True, help="print the samples as CSV")
@click.option(
    "--png",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="write a picture there, too (needs matplotlib)",
)
@endpoint_option
def bench(
    *,
    names: tuple[str, ...],
    event: bytes | None,
    qualifier: str | None,
    cold: int,
    warm: int,
    concurrency: int,
    pause: float,
    as_json: bool,
    as_table: bool,
    png: Path | None,
    endpoint_url: str | None,
) -> None:
    """Measure the function NAME: its cold starts by phase, and its warm invocations; or several,
    or versions of one (NAME:QUALIFIER), side by side."""
    if as_json and as_table:
        raise click.UsageError("--json and --csv both print to stdout: choose one")
    if not cold and not warm:
        raise click.UsageError("there is nothing to measure: --cold and --warm are both 0")
    several = len(names) > 1
    if several:
        _demand_plain(qualifier, one_only=as_table or png is not None)
    if png is not None:
        plot.demand_matplotlib()
        plot.demand_directory(png)
    measured = []
    with connected(endpoint_url) as client:
        asked = {"Qualifier": qualifier} if qualifier else {}
        # All are looked for first: nothing is measured for nothing.
        found = [client.get_function_configuration(FunctionName=one, **asked) for one in names]
        for name, configuration in zip(names, found, strict=True):
            target = Target(client, name, qualifier, event or b"")
            samples, seconds = _measure(target, cold, warm, concurrency, pause)
            _demand_samovar(samples)
            facts = _facts(client, configuration, target)
            facts["asked"] = {
                "cold": cold,
                "warm": warm,
                "concurrency": concurrency,
                "pause": pause,
            }
            measured.append(Measured(target.reference, facts, samples, seconds))
    if as_json:
        documents = [as_document(one.facts, one.samples, one.warm_seconds) for one in measured]
        click.echo(json.dumps(documents if several else documents[0], indent=2))
    elif as_table:
        click.echo(as_csv(measured[0].samples), nl=False)
    elif several:
        endpoint = measured[0].facts["endpoint"]
        title = f"{len(measured)} functions at {endpoint}, {concurrency} at once when warm"
        show_compared(console(), title, measured)
    else:
        show(console(), _title(measured[0]), measured[0].samples, measured[0].warm_seconds)
    if png is not None:
        plot.draw(measured[0].samples, _title(measured[0]), png)
        say(f"the picture is {png}")
    errors = [
        f"{one.reference} failed ({sample.error}): what was measured is the time to that error"
        for one in measured
        for sample in one.samples
        if sample.error
    ]
    for line in dict.fromkeys(errors):
        say(line)
    if errors:
        raise SystemExit(Exit.FUNCTION_ERROR)


def _demand_plain(qualifier: str | None, *, one_only: bool) -> None:
    if qualifier:
        raise click.UsageError("of several functions write each like NAME:QUALIFIER")
    if one_only:
        raise click.UsageError("--csv and --png are of one function; --json is of several, too")


def _title(one: Measured) -> str:
    facts = one.facts
    return (
        f"{one.reference} ({facts['runtime']}, {facts['memory_mb']} MB) at {facts['endpoint']}, "
        f"{facts['asked']['concurrency']} at once when warm"
    )


def _measure(
    target: Target, cold: int, warm: int, concurrency: int, pause: float
) -> tuple[list[Sample], float]:
    """The samples of both rounds, and the seconds that the warm one took."""
    samples: list[Sample] = []
    seconds = 0.0
    screen = console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    with progress:
        if cold:
            step = progress.add_task(f"{target.reference}: cold starts", total=cold)
            samples += cold_round(target, cold, pause, lambda: progress.advance(step))
        if warm:
            again = progress.add_task(f"{target.reference}: warm", total=warm)
            found = warm_round(target, warm, concurrency, lambda: progress.advance(again))
            samples += found.samples
            seconds = found.seconds
    return samples, seconds


def _demand_samovar(samples: list[Sample]) -> None:
    if not any(sample.start for sample in samples):
        raise Failure(
            Exit.REFUSED, "the endpoint does not say which start was cold: it is no Samovar"
        )


def _facts(client: Any, configuration: Mapping[str, Any], target: Target) -> dict[str, Any]:
    return {
        "function": configuration["FunctionArn"],
        "version": configuration["Version"],
        "endpoint": client.meta.endpoint_url,
        "runtime": configuration.get("Runtime"),
        "memory_mb": configuration["MemorySize"],
        "code_size": configuration["CodeSize"],
        "code_sha256": configuration["CodeSha256"],
        "snap_start": configuration.get("SnapStart", {}).get("OptimizationStatus") == "On",
        "event_bytes": len(target.event),
        "samovar": own_version(),
    }
