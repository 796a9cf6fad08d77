"""`samovar delete`: functions, after a question."""

from __future__ import annotations

import json
import sys

import click

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.screen import say


@click.command(
    short_help="Delete functions, with all that belongs to them.",
    epilog="""\b
Examples:
  samovar delete greet
  samovar delete greet thumbnail --yes

Invocations that run are finished. Without a terminal it asks nobody, and wants --yes.""",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print what was deleted as a JSON list")
@endpoint_option
def delete(names: tuple[str, ...], yes: bool, as_json: bool, endpoint_url: str | None) -> None:
    """Delete the functions NAME… (names or ARNs), with all that belongs to them."""
    arns = []
    with connected(endpoint_url) as client:
        # All are looked for first: a name that was mistyped leaves the others alone.
        for name in names:
            found = client.get_function_configuration(FunctionName=name)
            arns.append(found["FunctionArn"])
        if not yes:
            _ask(arns, client.meta.endpoint_url)
        for arn in arns:
            client.delete_function(FunctionName=arn)
            say(f"deleted {arn}")
    if as_json:
        click.echo(json.dumps(arns))


def _ask(arns: list[str], endpoint: str) -> None:
    if not sys.stdin.isatty():
        raise Failure(Exit.USAGE, "there is no terminal to ask at: say --yes to delete for good")
    for arn in arns:
        say(f"  {arn}")
    if not click.confirm(f"delete at {endpoint} for good?", err=True):
        raise click.Abort
