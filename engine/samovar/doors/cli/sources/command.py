"""`samovar sources`: which queues, streams and topics are read for functions, and how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.text import Text

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import endpoint_option
from samovar.doors.cli.screen import console, print_rows, say
from samovar.doors.cli.sources import asking, shown
from samovar.doors.cli.sources.asking import Shown, mappings_at
from samovar.doors.cli.sources.topics import source, topic_options
from samovar.doors.cli.sources.wishes import read_position, setting_options, wishes

Command = TypeVar("Command", bound=Callable[..., Any])


def _json_option(command: Command) -> Command:
    return click.option(
        "--json", "as_json", is_flag=True, help="print the API's own document, as JSON"
    )(command)


def _no_wait_option(command: Command) -> Command:
    return click.option("--no-wait", is_flag=True, help="do not wait until it is so")(command)


@click.group(
    short_help="Have queues, streams and topics be read for functions.",
    epilog="""\b
Examples:
  samovar sources create thumbnail arn:aws:sqs:us-east-1:000000000000:uploads
  samovar sources list
  samovar sources disable 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e
  samovar sources delete 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e

An event source mapping says that a queue of SQS, a stream of Kinesis or DynamoDB, or a topic of
Kafka is read for a function. It is named by its UUID, and outlives its function.
docs/event-sources.md says what it promises; where sources are: --aws-endpoint and --endpoints of
samovar start.""",
)
def sources() -> None:
    """Look at event source mappings, make and change them."""


@sources.command(
    name="list",
    short_help="List event source mappings.",
    epilog="""\b
Examples:
  samovar sources list
  samovar sources list --function thumbnail
  samovar sources list --json | jq -r '.[].UUID'

\b
batch        records in a batch, at most
last result  of a stream or a topic: how the last batch ended
age          of a stream or a topic: how old the last record was that the
             function got
lag          of a topic: records that are not committed
polled …     records since the engine's start, by what came of them; what is
             tried again and fails counts each time
errors       how often the source could not be read, and what it said

--json gives the API's own documents as a list, each with Metrics beside (null where the engine
tells none).""",
)
@click.option("--function", metavar="NAME", help="a function's (a name, NAME:ALIAS or an ARN)")
@click.option("--source", metavar="ARN", help="those of a queue, a stream or a cluster")
@_json_option
@endpoint_option
def list_(
    *, function: str | None, source: str | None, as_json: bool, endpoint_url: str | None
) -> None:
    """List event source mappings, and what came of what they read."""
    with mappings_at(endpoint_url) as client:
        found = asking.listed(client, function, source)
        counted = asking.counts(client)
    if as_json:
        click.echo(shown.as_json(asking.with_counts(found, counted)))
        return
    if not found:
        if function or source:
            say("no such event source mappings")
        else:
            say("no event source mappings; to make one: samovar sources create NAME SOURCE_ARN")
        return
    rows = shown.rows(found, counted)
    left_out = print_rows(console(), rows, right=shown.RIGHT, least=shown.LEFT_OUT_FIRST)
    if left_out:
        say(f"a wider terminal shows {', '.join(left_out)}, too, and --json everything")


@sources.command(
    short_help="Show one, with what came of what it read.",
    epilog="""\b
Examples:
  samovar sources show 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e
  samovar sources show 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e --json

What a batch logged: samovar logs FUNCTION. What was given up of a stream and could not be told to
its destination: samovar events list --kind delivery""",
)
@click.argument("uuid", metavar="UUID")
@_json_option
@endpoint_option
def show(*, uuid: str, as_json: bool, endpoint_url: str | None) -> None:
    """Show one event source mapping: what it says, how it stands, what is counted of it."""
    with mappings_at(endpoint_url) as client:
        one = shown.without_metadata(client.get_event_source_mapping(UUID=uuid))
        counted = asking.counts(client)
    if as_json:
        click.echo(shown.as_json(asking.with_counts([one], counted)[0]))
        return
    screen = console()
    for name, text in shown.details(one, (counted or {}).get(uuid)):
        screen.print(Text.assemble((f"{name:<13}", "bold"), text), soft_wrap=True)


@sources.command(
    short_help="Have a queue, a stream or a topic be read.",
    epilog="""\b
Examples:
  samovar sources create thumbnail arn:aws:sqs:us-east-1:000000000000:uploads
  samovar sources create greet:live arn:aws:sqs:us-east-1:000000000000:tea \\
      --batch-size 100 --window 5 --filter '{"body": {"kind": ["green"]}}'
  samovar sources create audit \\
      arn:aws:kinesis:us-east-1:000000000000:stream/clicks \\
      --starting-position TRIM_HORIZON --retries 3 --bisect \\
      --on-failure arn:aws:sqs:us-east-1:000000000000:failed
  samovar sources create audit --bootstrap-server 127.0.0.1:9092 \\
      --topic clicks --starting-position latest \\
      --access VPC_SUBNET=subnet:none

It returns once the source is read, and prints the UUID. FUNCTION may be NAME:ALIAS or
NAME:VERSION. The source is looked for, with the rights of the function's role where there is an STS
among the endpoints. Kafka has an ARN at MSK only; another cluster is named by its servers, and why
one can't be read is the last result of samovar sources show.""",
)
@click.argument("function", metavar="FUNCTION")
@click.argument("source_arn", metavar="[SOURCE_ARN]", required=False)
@topic_options
@click.option(
    "--starting-position",
    "position",
    metavar="POSITION",
    callback=read_position,
    help="of a stream or a topic: TRIM_HORIZON, LATEST, or a moment (not of DynamoDB; ISO, in UTC "
    "by default)",
)
@setting_options
@click.option("--disabled", is_flag=True, help="do not read it yet")
@_no_wait_option
@_json_option
@endpoint_option
def create(
    *,
    function: str,
    source_arn: str | None,
    position: dict[str, Any],
    disabled: bool,
    no_wait: bool,
    as_json: bool,
    endpoint_url: str | None,
    **given: Any,
) -> None:
    """Make an event source mapping: have what comes into a queue, a stream or a topic be handed to
    a function."""
    asked = {**source(source_arn, given), **position, **wishes(given), "Enabled": not disabled}
    with mappings_at(endpoint_url) as client:
        made = client.create_event_source_mapping(FunctionName=function, **asked)
        _tell(client, made, no_wait=no_wait, as_json=as_json)


@sources.command(
    short_help="Change what a mapping says.",
    epilog="""\b
Examples:
  samovar sources update 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e --batch-size 5
  samovar sources update 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e --filter none
  samovar sources update 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e \\
      --function thumbnail:live --no-report-failures

What is not given stays. It is read on meanwhile, from where it is.""",
)
@click.argument("uuid", metavar="UUID")
@click.option("--function", metavar="NAME", help="another function, version or alias")
@setting_options
@_no_wait_option
@_json_option
@endpoint_option
def update(
    *,
    uuid: str,
    function: str | None,
    no_wait: bool,
    as_json: bool,
    endpoint_url: str | None,
    **given: Any,
) -> None:
    """Change an event source mapping."""
    asked = wishes(given) | ({"FunctionName": function} if function else {})
    if not asked:
        raise click.UsageError("say what is to change (samovar sources update --help has it all)")
    with mappings_at(endpoint_url) as client:
        made = client.update_event_source_mapping(UUID=uuid, **asked)
        _tell(client, made, no_wait=no_wait, as_json=as_json)


def _switch(uuid: str, on: bool, *, no_wait: bool, as_json: bool, endpoint_url: str | None) -> None:
    with mappings_at(endpoint_url) as client:
        made = client.update_event_source_mapping(UUID=uuid, Enabled=on)
        _tell(client, made, no_wait=no_wait, as_json=as_json)


@sources.command(
    short_help="Read a source again.",
    epilog="""\b
Example:
  samovar sources enable 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e

A stream or a topic is read on from where it was disabled.""",
)
@click.argument("uuid", metavar="UUID")
@_no_wait_option
@_json_option
@endpoint_option
def enable(*, uuid: str, no_wait: bool, as_json: bool, endpoint_url: str | None) -> None:
    """Have the source of an event source mapping be read again."""
    _switch(uuid, True, no_wait=no_wait, as_json=as_json, endpoint_url=endpoint_url)


@sources.command(
    short_help="Do not read a source for a while.",
    epilog="""\b
Example:
  samovar sources disable 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e

It returns once what is in hand is done. What comes meanwhile stays in the source.""",
)
@click.argument("uuid", metavar="UUID")
@_no_wait_option
@_json_option
@endpoint_option
def disable(*, uuid: str, no_wait: bool, as_json: bool, endpoint_url: str | None) -> None:
    """Have the source of an event source mapping not be read until it is enabled."""
    _switch(uuid, False, no_wait=no_wait, as_json=as_json, endpoint_url=endpoint_url)


@sources.command(
    short_help="Delete a mapping.",
    epilog="""\b
Examples:
  samovar sources delete 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e
  samovar sources delete 91eaeb7e-xmpl-4c8e-9a4f-1c5b0b6f4d7e --yes --json

It returns once what is in hand is done. The source stays, and what is in it; how far a stream was
read is forgotten. Without a terminal it asks nobody, and wants --yes.""",
)
@click.argument("uuid", metavar="UUID")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@_no_wait_option
@_json_option
@endpoint_option
def delete(*, uuid: str, yes: bool, no_wait: bool, as_json: bool, endpoint_url: str | None) -> None:
    """Delete an event source mapping."""
    with mappings_at(endpoint_url) as client:
        if not yes:
            _confirm(client.get_event_source_mapping(UUID=uuid))
        gone = client.delete_event_source_mapping(UUID=uuid)
        if not no_wait:
            asking.settled(client, gone)
    say(
        f"{'being deleted' if no_wait else 'deleted'}: {shown.source_text(gone)} is not read "
        f"for {shown.function_text(gone)} any more"
    )
    if as_json:
        click.echo(shown.as_json(shown.without_metadata(gone)))


def _confirm(one: Shown) -> None:
    if not sys.stdin.isatty():
        raise Failure(Exit.USAGE, "there is no terminal to ask at: say --yes to delete for good")
    say(f"  {shown.said(one)}")
    if not click.confirm(f"delete {one['UUID']}?", err=True):
        raise click.Abort


def _tell(client: Any, made: Shown, *, no_wait: bool, as_json: bool) -> None:
    """Wait until it is so, and say what it is: its UUID is what scripts go on with."""
    found = made if no_wait else asking.settled(client, made)
    if found is None:
        raise Failure(Exit.REFUSED, f"{made['UUID']} was deleted meanwhile")
    say(shown.said(found))
    one = shown.without_metadata(found)
    click.echo(shown.as_json(one) if as_json else one["UUID"])
