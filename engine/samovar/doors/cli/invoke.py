"""`samovar invoke`: one invocation, through the same API that everybody else uses."""

from __future__ import annotations

import base64
import sys
from typing import Any, BinaryIO

import click

from samovar.doors.cli.exits import Exit, failures
from samovar.doors.cli.headers import read_details
from samovar.doors.cli.remote import endpoint_of, lambda_client


@click.command(
    epilog="""\b
Examples:
  samovar invoke thumbnail -e event.json
  echo '{"name": "tea"}' | samovar invoke greet -e - --log
  samovar invoke greet --qualifier 3 --endpoint-url http://127.0.0.1:9000

The result goes to stdout, everything else to stderr; an error of the function's ends with exit
code 1, and its error document is the result."""
)
@click.argument("name")
@click.option(
    "-e",
    "--event",
    type=click.File("rb"),
    help="file with the event's JSON, - for stdin; without it the handler gets {}",
)
@click.option("--qualifier", help="a version or an alias; without it $LATEST")
@click.option("--log", "with_log", is_flag=True, help="show the last 4 KB of the invocation's log")
@click.option(
    "--endpoint-url",
    help="where the engine listens  [AWS_ENDPOINT_URL_LAMBDA; default: http://127.0.0.1:4566]",
)
def invoke(
    name: str,
    event: BinaryIO | None,
    qualifier: str | None,
    with_log: bool,
    endpoint_url: str | None,
) -> None:
    """Invoke the function NAME (a name or an ARN) and print its result."""
    endpoint = endpoint_of(endpoint_url)
    parameters: dict[str, Any] = {"FunctionName": name, "LogType": "Tail" if with_log else "None"}
    if event is not None:
        parameters["Payload"] = event.read()
    if qualifier is not None:
        parameters["Qualifier"] = qualifier
    with failures(endpoint):
        client = lambda_client(endpoint)
        try:
            reply = client.invoke(**parameters)
            payload = reply["Payload"].read()
        finally:
            client.close()
    if with_log:
        tail = base64.b64decode(reply.get("LogResult", ""))
        click.echo(tail.decode(errors="replace").rstrip("\n"), err=True)
        click.echo(read_details(reply).sentence(), err=True)
    sys.stdout.buffer.write(payload)
    if sys.stdout.isatty():
        click.echo()
    sys.stdout.flush()
    if "FunctionError" in reply:
        raise SystemExit(Exit.FUNCTION_ERROR)
