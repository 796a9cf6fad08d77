"""`samovar top`: the words of the command line, and one look after the other."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import click
from botocore.exceptions import BotoCoreError
from rich.console import Console, Group
from rich.live import Live

from samovar.doors.cli import pages
from samovar.doors.cli.exits import Failure
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.screen import console
from samovar.doors.cli.top.rates import ByVersion, rates
from samovar.doors.cli.top.terminal import watched
from samovar.doors.cli.top.view import Order, only, screen_of, with_rates
from samovar.model.census import Document


@dataclass(slots=True)
class _Looks:
    """One look after the other at one engine; `document` is the last one, `found` what happened
    per second between the last two."""

    client: Any
    functions: tuple[str, ...]
    document: Document = field(init=False)
    found: ByVersion = field(init=False)

    def __post_init__(self) -> None:
        self.document, self.found = self._ask(), {}

    def look(self) -> None:
        before = self.document
        self.document = self._ask()
        self.found = rates(before, self.document)

    def _ask(self) -> Document:
        return only(pages.census(self.client), self.functions)

    def as_json(self) -> str:
        return json.dumps(with_rates(self.document, self.found))


@click.command(
    short_help="Watch contexts and functions, live.",
    epilog="""\b
Examples:
  samovar top
  samovar top --function greet --interval 0.5
  samovar top --once --sort memory
  samovar top --once --json | jq .totals
  samovar top --json --interval 10 >> contexts.jsonl

q or Ctrl-C ends it. Where stdout is no terminal there is one table, as with --once. Counts are
since the engine's start, rates since the last look; times are those of the context that has been
busy, or idle, for longest. «ahead» are invocations on provisioned contexts, «ready» how many of
those there are and are to be. Event source mappings stand below, as in samovar sources list, on
screens that have the lines. Narrow terminals show the columns that matter most. --json is the
document of /_samovar/contexts, one a line, with rates as per_second of each version.""",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=2,
    show_default=True,
    metavar="SECONDS",
    help="between two looks",
)
@click.option("--once", is_flag=True, help="look once, print, and end")
@click.option(
    "--function",
    "functions",
    multiple=True,
    metavar="NAME",
    help="only this function (may be given more than once)",
)
@click.option(
    "--sort",
    type=click.Choice([order.value for order in Order]),
    default=Order.CONTEXTS.value,
    show_default=True,
    help="rows by name, or by what there is most of",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON document a line")
@endpoint_option
def top(
    *,
    interval: float,
    once: bool,
    functions: tuple[str, ...],
    sort: str,
    as_json: bool,
    endpoint_url: str | None,
) -> None:
    """Watch the contexts of a running engine: by function and version their states, how long they
    have been busy or idle, memory, and cold and warm invocations."""
    with connected(endpoint_url, connections=1) as client:
        looks = _Looks(client, tuple(map(_name, functions)))
        screen = console()
        try:
            if as_json:
                _print_documents(looks, None if once else interval)
            elif once or not sys.stdout.isatty() or screen.is_dumb_terminal:
                screen.print(_shown(screen, looks, Order(sort)))
            else:
                _watch(screen, looks, interval, Order(sort))
        except KeyboardInterrupt:
            pass  # how watching ends


def _name(given: str) -> str:
    """A function's name, of that, of an ARN, or of either with a qualifier."""
    return given.rpartition(":function:")[2].partition(":")[0]


def _print_documents(looks: _Looks, interval: float | None) -> None:
    click.echo(looks.as_json())
    while interval is not None:
        time.sleep(interval)
        looks.look()
        click.echo(looks.as_json())


def _shown(
    screen: Console, looks: _Looks, order: Order, height: int | None = None, trouble: str = ""
) -> Group:
    return screen_of(
        screen,
        looks.document,
        looks.found,
        endpoint=looks.client.meta.endpoint_url,
        order=order,
        height=height,
        trouble=trouble,
    )


def _watch(screen: Console, looks: _Looks, interval: float, order: Order) -> None:
    with watched() as wait, Live(console=screen, screen=True, auto_refresh=False) as live:
        trouble = ""
        next_look = time.monotonic() + interval
        while True:
            live.update(_shown(screen, looks, order, screen.height, trouble), refresh=True)
            if wait(max(0.0, next_look - time.monotonic())) in ("q", "Q"):
                return
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + interval
                trouble = _look(looks)


def _look(looks: _Looks) -> str:
    """Look once more; why that could not be, if it could not."""
    try:
        looks.look()
    except BotoCoreError:
        return f"no answer from {looks.client.meta.endpoint_url}; this is how it was; trying again"
    except Failure as failure:  # it is about to stop, for one
        return failure.message
    return ""
