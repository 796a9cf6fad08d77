"""`samovar delete`: functions, versions and aliases, after a question."""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import click

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.screen import say


@click.command(
    short_help="Delete functions, versions or aliases.",
    epilog="""\b
Examples:
  samovar delete greet
  samovar delete greet thumbnail --yes
  samovar delete greet:live greet:1

NAME:1 is the version alone, NAME:live the alias alone; a version that an alias stands for can't be
deleted, unless that alias goes with it. Invocations that run are finished. Without a terminal it
asks nobody, and wants --yes.""",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print what was deleted as a JSON list")
@endpoint_option
def delete(names: tuple[str, ...], yes: bool, as_json: bool, endpoint_url: str | None) -> None:
    """Delete NAME… (names or ARNs): functions, with all that belongs to them, NAME:VERSION or
    NAME:ALIAS."""
    with connected(endpoint_url) as client:
        # All are looked for first: a name that was mistyped leaves the others alone.
        found = [_find(client, name) for name in names]
        # Aliases go first, then versions: the ones stand in the way of the others.
        order = sorted(dict.fromkeys(found), key=lambda one: _ORDER[one.kind])
        arns = [one.arn for one in order]
        if not yes:
            _ask(arns, client.meta.endpoint_url)
        for one in order:
            _delete(client, one)
            say(f"deleted {one.arn}")
    if as_json:
        click.echo(json.dumps(arns))


def _ask(arns: list[str], endpoint: str) -> None:
    if not sys.stdin.isatty():
        raise Failure(Exit.USAGE, "there is no terminal to ask at: say --yes to delete for good")
    for arn in arns:
        say(f"  {arn}")
    if not click.confirm(f"delete at {endpoint} for good?", err=True):
        raise click.Abort


class _Found(NamedTuple):
    """What is to be deleted; `arn` is with its qualifier, if it has one."""

    kind: str
    arn: str


_ORDER = {"alias": 0, "version": 1, "function": 2}
_PARTS = 7  # of a function's ARN without a qualifier


def _find(client: Any, name: str) -> _Found:
    arn: str = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    parts = arn.split(":")
    if len(parts) == _PARTS:
        return _Found("function", arn)
    return _Found("version" if parts[_PARTS].isdecimal() else "alias", arn)


def _delete(client: Any, found: _Found) -> None:
    if found.kind == "function":
        client.delete_function(FunctionName=found.arn)
        return
    function, _, qualifier = found.arn.rpartition(":")
    if found.kind == "version":
        client.delete_function(FunctionName=function, Qualifier=qualifier)
    else:
        client.delete_alias(FunctionName=function, Name=qualifier)
