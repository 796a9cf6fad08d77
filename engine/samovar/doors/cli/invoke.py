"""`samovar invoke`: one invocation, through the same API that everybody else uses."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from samovar.doors.cli.event import event_option, qualifier_option
from samovar.doors.cli.exits import Exit
from samovar.doors.cli.headers import read_details
from samovar.doors.cli.remote import connected, endpoint_option


@click.command(
    short_help="Invoke a function and print its result.",
    epilog="""\b
Examples:
  samovar invoke thumbnail -e event.json
  samovar invoke greet -e '{"name": "tea"}' --log
  echo '{"name": "tea"}' | samovar invoke greet -e -
  samovar invoke greet --json | jq .Samovar.start
  samovar invoke greet:live -e '{"name": "tea"}'
  samovar invoke greet --qualifier 3 --endpoint-url http://127.0.0.1:9000
  samovar invoke thumbnail -e event.json --async

The result goes to stdout, everything else to stderr; an error of the function's ends with exit
code 1, and its error document is the result. --json prints one object: StatusCode,
ExecutedVersion, FunctionError (null if there is none), RequestId, Payload (text where it is no
JSON), Log (the last 4 KB) and Samovar (context, start, and phases in milliseconds).

With --async the function runs later, and again if it fails: what is printed, once the event is on
disk, is its request id, and with --json StatusCode and RequestId. `samovar events show ID` says
where it is.""",
)
@click.argument("name")
@event_option
@qualifier_option
@click.option(
    "--client-context",
    metavar="JSON",
    help='what the handler finds in context.client_context, like {"custom": {"a": "b"}}',
)
@click.option("--log", "with_log", is_flag=True, help="show the last 4 KB of the invocation's log")
@click.option(
    "--async", "as_event", is_flag=True, help="do not wait for it to run; print the request id"
)
@click.option("--json", "as_json", is_flag=True, help="print the whole reply as one JSON object")
@endpoint_option
def invoke(
    *,
    name: str,
    event: bytes | None,
    qualifier: str | None,
    client_context: str | None,
    with_log: bool,
    as_event: bool,
    as_json: bool,
    endpoint_url: str | None,
) -> None:
    """Invoke the function NAME (a name, NAME:VERSION, NAME:ALIAS or an ARN), print its result."""
    if as_event:
        for given, option in ((with_log, "--log"), (client_context, "--client-context")):
            if given:
                raise click.UsageError(f"{option} has no effect on an event that runs later")
        _accept(name, event, qualifier, as_json, endpoint_url)
        return
    log_type = "Tail" if with_log or as_json else "None"
    parameters: dict[str, Any] = {"FunctionName": name, "LogType": log_type}
    if event is not None:
        parameters["Payload"] = event
    if qualifier is not None:
        parameters["Qualifier"] = qualifier
    if client_context is not None:
        parameters["ClientContext"] = _encoded(client_context)
    with connected(endpoint_url) as client:
        reply = client.invoke(**parameters)
        payload: bytes = reply["Payload"].read()
    log = base64.b64decode(reply.get("LogResult", "")).decode(errors="replace")
    if with_log:
        click.echo(log.rstrip("\n"), err=True)
        click.echo(read_details(reply).sentence(), err=True)
    if as_json:
        click.echo(json.dumps(_document(reply, payload, log), indent=2))
    else:
        sys.stdout.buffer.write(payload)
        if sys.stdout.isatty():
            click.echo()
        sys.stdout.flush()
    if "FunctionError" in reply:
        raise SystemExit(Exit.FUNCTION_ERROR)


def _accept(
    name: str, event: bytes | None, qualifier: str | None, as_json: bool, endpoint_url: str | None
) -> None:
    parameters: dict[str, Any] = {"FunctionName": name, "InvocationType": "Event"}
    if event is not None:
        parameters["Payload"] = event
    if qualifier is not None:
        parameters["Qualifier"] = qualifier
    with connected(endpoint_url) as client:
        reply = client.invoke(**parameters)
    request_id = reply["ResponseMetadata"]["RequestId"]
    if as_json:
        document = {"StatusCode": reply["StatusCode"], "RequestId": request_id}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(request_id)


def _encoded(client_context: str) -> str:
    try:
        json.loads(client_context)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--client-context") from error
    return base64.b64encode(client_context.encode()).decode()


def _document(reply: Mapping[str, Any], payload: bytes, log: str) -> dict[str, Any]:
    details = read_details(reply)
    samovar = {
        "context": details.context,
        "start": details.start,
        "phases": dict(details.phases),
    }
    return {
        "StatusCode": reply["StatusCode"],
        "ExecutedVersion": reply.get("ExecutedVersion"),
        "FunctionError": reply.get("FunctionError"),
        "RequestId": reply["ResponseMetadata"]["RequestId"],
        "Payload": _parsed(payload),
        "Log": log,
        "Samovar": samovar if details.start else None,
    }


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
