"""`samovar events`: what waits, what was given up and why, and having it run again."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from rich.text import Text

from samovar.doors.cli.events import shown
from samovar.doors.cli.events.asking import Events, events_at
from samovar.doors.cli.events.each import do_each
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import endpoint_option
from samovar.doors.cli.screen import console, print_rows, say
from samovar.model.event import Condition
from samovar.model.event_entries import Entry
from samovar.stores.invoke_queue import ItemKind, ItemState

Command = TypeVar("Command", bound=Callable[..., Any])


def _filters(command: Command) -> Command:
    kinds = click.Choice([kind.value for kind in ItemKind])
    conditions = click.Choice([one.value for one in Condition])
    for option in (
        click.option(
            "--condition", type=conditions, metavar="CONDITION", help="those that ended so"
        ),
        click.option("--kind", type=kinds, help="events, or deliveries of what became of them"),
        click.option("--function", metavar="NAME", help="a function's (a name or an ARN)"),
    ):
        command = option(command)
    return command


def _of_the_dead(command: Command) -> Command:
    """Which ones are meant, for what is done with dead ones."""
    for decorate in (
        endpoint_option,
        click.option(
            "--json", "as_json", is_flag=True, help="print what was done as one JSON object"
        ),
        click.option("-y", "--yes", is_flag=True, help="do not ask"),
        click.option("--all", "everything", is_flag=True, help="all that is dead"),
        _filters,
        click.argument("ids", nargs=-1, metavar="[ID…]"),
    ):
        command = decorate(command)
    return command


@click.group(
    short_help="Look at asynchronous invocations, run them again.",
    epilog="""\b
Examples:
  samovar events list
  samovar events list --state dead --function thumbnail
  samovar events show 8f507cfc-xmpl-4697-b07a-ac58fc914c95
  samovar events redrive --function thumbnail --yes

An event is here from its 202 until it ended well. One that was given up stays as «dead», with its
payload, until it is redriven or forgotten, or --dead-events-size of samovar start has no place for
it any more. A delivery is what is sent of an end: to a destination or a dead-letter queue.""",
)
def events() -> None:
    """Look at asynchronous invocations, and have those that were given up run again."""


@events.command(
    name="list",
    short_help="List what waits, and what was given up.",
    epilog="""\b
Examples:
  samovar events list
  samovar events list --state dead --condition RetriesExhausted
  samovar events list --kind delivery --json | jq -r '.events[].failure'

\b
CONDITION is RetriesExhausted, EventAgeExceeded, ZeroReservedConcurrency,
RecursiveInvocation, FunctionDeleted or InvalidEvent; or Success, of a
delivery that tells of one.

\b
what   event, or what it is sent to: on-success, on-failure, dead-letter
state  waiting (for its time, or for room), claimed (in hand), dead (given up)
tries  how often its function was run with it; how often a delivery failed

--json gives the document of docs/events.md; with `next` as --after comes the next page.""",
)
@click.option(
    "--state", type=click.Choice([state.value for state in ItemState]), help="those alone"
)
@_filters
@click.option("--after", metavar="NEXT", help="begin behind this: `next` of the page before")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="how many to show, at most",
)
@click.option("--json", "as_json", is_flag=True, help="print the page as JSON")
@endpoint_option
def list_(
    *, limit: int, after: str | None, as_json: bool, endpoint_url: str | None, **filters: str | None
) -> None:
    """List events that are not over, and those that were given up."""
    with events_at(endpoint_url) as asked:
        page = asked.page(filters, limit, after)
    if as_json:
        click.echo(shown.as_json(page, _encoding()))
        return
    if page["events"]:
        rows = shown.rows(page["events"], page["time"])
        left_out = print_rows(console(), rows, right=shown.RIGHT, least=shown.LEFT_OUT_FIRST)
        if left_out:
            say(f"a wider terminal shows {', '.join(left_out)}, too, and --json everything")
    else:
        say("no such events" if any(filters.values()) or after else "no events")
    say(f"in all: {shown.depths_line(page['queue'])}")
    if page["next"] is not None:
        say(f"there are more: --after {page['next']}")


@events.command(
    short_help="Show one, with its payload.",
    epilog="""\b
Examples:
  samovar events show 8f507cfc-xmpl-4697-b07a-ac58fc914c95
  samovar events show 8f507cfc-xmpl-4697-b07a-ac58fc914c95 --json | jq .event

The payload goes to stdout, the rest to stderr: «> event.json» keeps the event alone, as it came. A
terminal gets it with line breaks. What an attempt logged: samovar logs FUNCTION --request-id
ID.""",
)
@click.argument("event_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="print everything as one JSON object")
@endpoint_option
def show(event_id: str, as_json: bool, endpoint_url: str | None) -> None:
    """Show one event (ID is its request id) or delivery: how it stands, why, and its payload."""
    with events_at(endpoint_url) as asked:
        found = asked.details(event_id)
    if as_json:
        click.echo(shown.as_json(found, _encoding()))
        return
    screen = console(stderr=True)
    for name, text in shown.details(found):
        screen.print(Text.assemble((f"{name:<15}", "bold"), text), soft_wrap=True)
    entry = found["event"]
    # To be read; a file, or the next program, gets what is kept: JSON that was read and written
    # again need not be the same.
    shape = shown.pretty if sys.stdout.isatty() else shown.plain
    click.echo(shape(entry.get("payload", ""), _encoding()))
    if entry["state"] == ItemState.DEAD:
        say(f"to have it {_verb(entry)} again: samovar events redrive {entry['id']}")


@events.command(
    short_help="Have dead ones run or be sent again.",
    epilog="""\b
Examples:
  samovar events redrive 8f507cfc-xmpl-4697-b07a-ac58fc914c95
  samovar events redrive --function thumbnail --condition RetriesExhausted
  samovar events redrive --kind delivery --all --yes

An event runs again under its request id, as if it had just come in: it has all its retries before
it, and its function runs as it is now. A delivery is sent again. Those that are chosen by a filter
are counted, and asked about; without a terminal that wants --yes. --json prints `redriven` (a list
of ids) and `failed` (messages by id), also where the engine goes away before all of it is done.""",
)
@_of_the_dead
def redrive(
    *,
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    as_json: bool,
    endpoint_url: str | None,
    **filters: str | None,
) -> None:
    """Have dead events run again, and dead deliveries sent again."""
    with events_at(endpoint_url) as asked:
        chosen = _chosen(asked, ids, filters, everything=everything, yes=yes, what="redrive")
        do_each(chosen, asked.redrive, "redriven", as_json=as_json)


@events.command(
    short_help="Delete dead ones for good.",
    epilog="""\b
Examples:
  samovar events forget 8f507cfc-xmpl-4697-b07a-ac58fc914c95
  samovar events forget --function thumbnail --yes

It is gone for good, payload and all. Those that are chosen by a filter are counted, and asked
about; without a terminal that wants --yes. --json prints `forgotten` and `failed`, as redrive.""",
)
@_of_the_dead
def forget(
    *,
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    as_json: bool,
    endpoint_url: str | None,
    **filters: str | None,
) -> None:
    """Delete dead events and deliveries for good."""
    with events_at(endpoint_url) as asked:
        chosen = _chosen(asked, ids, filters, everything=everything, yes=yes, what="forget")
        do_each(chosen, asked.forget, "forgotten", as_json=as_json)


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def _verb(entry: Entry) -> str:
    return "run" if entry["kind"] == "event" else "sent"


def _chosen(
    asked: Events,
    ids: Sequence[str],
    filters: dict[str, str | None],
    *,
    everything: bool,
    yes: bool,
    what: str,
) -> Sequence[str]:
    filtered = everything or any(filters.values())
    if ids and filtered:
        raise click.UsageError("name the ones that are meant, or choose by options: not both")
    if ids:
        return list(dict.fromkeys(ids))
    if not filtered:
        raise click.UsageError(
            "which ones? ID…, --function, --kind, --condition, or --all (samovar events list "
            "--state dead shows them)"
        )
    found = asked.all({**filters, "state": ItemState.DEAD.value})
    if found and not yes:
        _confirm(found, what)
    return [entry["id"] for entry in found]


def _confirm(found: Sequence[Entry], what: str) -> None:
    if not sys.stdin.isatty():
        raise Failure(
            Exit.USAGE,
            f"there is no terminal to ask at: say --yes to {what} {len(found):,} of them",
        )
    for (function, kind, condition), count in sorted(
        Counter((one["function"], one["kind"], one["condition"] or "-") for one in found).items()
    ):
        say(f"  {count:,} of {function}: {kind}, {condition}")
    if not click.confirm(f"{what} these {len(found):,}?", err=True):
        raise click.Abort
