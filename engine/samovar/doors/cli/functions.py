"""`samovar functions`: what is deployed, read through the Lambda API."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import click

from samovar.doors.cli import concurrency, event_configs, pages
from samovar.doors.cli.concurrency import (
    PROVISIONED,
    RESERVED,
    provisioned_text,
    reserved_text,
    snap_start_text,
)
from samovar.doors.cli.configs import add_configs
from samovar.doors.cli.event_configs import EVENTS, dead_letter_text, events_text
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.screen import console, print_rows, say, size_text

_AT_ONCE = 8
_LEFT_OUT_FIRST = ("package", "timeout", "memory", "modified (UTC)", "handler", "runtime")
# Shown only where there is something to show.
_OPTIONAL = ("reserved", "provisioned", "SnapStart", "events", "dead letters")


@click.command(
    epilog="""\b
Examples:
  samovar functions
  samovar functions greet
  samovar functions --versions
  samovar functions --json | jq -r '.[].FunctionName'

--json gives the API's own documents (FunctionName, FunctionArn, State, LastUpdateStatus, Runtime,
MemorySize, CodeSize, LastModified …), each with Contexts beside, how many there are by state,
ReservedConcurrentExecutions (null for none), ProvisionedConcurrency and EventInvokeConfigs (lists
of configs). With --versions each version is a line, or an object with its Aliases; * marks a share
by weight.
\b
reserved     invocations at once that are the function's own; off where none are let in
provisioned  contexts that are ready, of how many there are to be, by alias or version
SnapStart    of a version: on, or off where this host has no templates; of a function, whether
             its next version has it
events       retries and age of events where they are not AWS's, and where it is told of their ends,
             by alias or version
dead letters where events go that were given up"""
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--versions", is_flag=True, help="each version, and the aliases that stand for it")
@click.option("--json", "as_json", is_flag=True, help="the API's own documents, as a JSON list")
@endpoint_option
def functions(
    names: tuple[str, ...], versions: bool, as_json: bool, endpoint_url: str | None
) -> None:
    """List the functions of a running engine, or those that are named."""
    with connected(endpoint_url, connections=_AT_ONCE) as client:
        endpoint = client.meta.endpoint_url
        listed = _named(client, names, versions) if names else _all(client, versions)
        found = _with_states(client, listed)
        contexts = by_function(pages.contexts(client), of_versions=versions)
        aliases = _aliases(client, listed) if versions else {}
        asked = {
            PROVISIONED: partial(concurrency.listed, client),
            EVENTS: partial(event_configs.listed, client),
        }
        add_configs(found, aliases, asked, of_versions=versions)
    if as_json:
        for item in found:
            item["Contexts"] = None if contexts is None else contexts.get(item["FunctionArn"], {})
            if versions:
                item["Aliases"] = aliases.get(item["FunctionArn"], [])
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        say(f"no functions at {endpoint}; to deploy one: samovar deploy DIR")
        return
    rows = _without_empty([_row(item, contexts) for item in found])
    if versions:
        rows = [
            {
                "function": item["FunctionName"],
                "version": item["Version"],
                "aliases": ", ".join(aliases.get(item["FunctionArn"], [])) or "-",
                **row,
            }
            for item, row in zip(found, rows, strict=True)
        ]
    left_out = print_rows(
        console(), rows, right=("memory", "timeout", "package"), least=_LEFT_OUT_FIRST
    )
    if left_out:
        say(f"a wider terminal shows {', '.join(left_out)}, too, and --json everything")


def _all(client: Any, versions: bool) -> list[dict[str, Any]]:
    asked = {"FunctionVersion": "ALL"} if versions else {}
    pages = client.get_paginator("list_functions").paginate(**asked)
    return [item for page in pages for item in page["Functions"]]


def _named(client: Any, names: Sequence[str], versions: bool) -> list[dict[str, Any]]:
    """Each once, in the order in which they are named; boto3's error for one that isn't there."""
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys(names):
        if versions:
            pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
            found += [item for page in pages for item in page["Versions"]]
        else:
            found.append(client.get_function_configuration(FunctionName=name))
    return found


def _row(
    item: Mapping[str, Any], contexts: Mapping[str, Mapping[str, int]] | None
) -> dict[str, str]:
    return {
        "function": item["FunctionName"],
        "state": state_text(item),
        "runtime": item.get("Runtime", "-"),
        "handler": item.get("Handler", "-"),
        "memory": f"{item['MemorySize']} MB",
        "timeout": f"{item['Timeout']} s",
        "package": size_text(item["CodeSize"]),
        "contexts": (
            "-" if contexts is None else contexts_text(contexts.get(item["FunctionArn"], {}))
        ),
        "reserved": reserved_text(item[RESERVED]),
        "provisioned": provisioned_text(item[PROVISIONED]),
        "SnapStart": snap_start_text(item),
        "events": events_text(item[EVENTS]),
        "dead letters": dead_letter_text(item),
        # 2026-01-31T12:00:00.123+0000
        "modified (UTC)": item["LastModified"].partition(".")[0].replace("T", " "),
    }


def _without_empty(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    empty = [name for name in _OPTIONAL if all(row[name] == "-" for row in rows)]
    return [{name: text for name, text in row.items() if name not in empty} for row in rows]


def _aliases(client: Any, listed: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The names of aliases by the ARN of the version that they stand for; a share by weight has a
    star."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(item["FunctionName"] for item in listed):
        try:
            pages = list(client.get_paginator("list_aliases").paginate(FunctionName=name))
        except client.exceptions.ResourceNotFoundException:
            continue  # deleted meanwhile
        for alias in (alias for page in pages for alias in page["Aliases"]):
            function = alias["AliasArn"].removesuffix(f":{alias['Name']}")
            others = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            star = "*" if others else ""
            for version in (alias["FunctionVersion"], *others):
                found.setdefault(f"{function}:{version}", []).append(alias["Name"] + star)
    return found


def _with_states(client: Any, listed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same functions with their states and what they have reserved, which ListFunctions leaves
    out; without those that have been deleted meanwhile."""

    def ask(item: dict[str, Any]) -> dict[str, Any] | None:
        try:
            reply = client.get_function(FunctionName=item["FunctionArn"])
        except client.exceptions.ResourceNotFoundException:
            return None
        reserved = (reply.get("Concurrency") or {}).get(RESERVED)
        return {**reply["Configuration"], RESERVED: reserved}

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [item for item in threads.map(ask, listed) if item is not None]


def by_function(
    contexts: Sequence[Mapping[str, Any]] | None, *, of_versions: bool = False
) -> dict[str, dict[str, int]] | None:
    """How many contexts each function has, or each version by its ARN, by state; None where nobody
    tells."""
    if contexts is None:
        return None
    counted: dict[str, Counter[str]] = {}
    for context in contexts:
        arn = context["function"]
        if of_versions:
            arn = f"{arn}:{context['version']}"
        counted.setdefault(arn, Counter())[context["state"]] += 1
    return {name: dict(sorted(states.items())) for name, states in counted.items()}


def contexts_text(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


def state_text(item: Mapping[str, Any]) -> str:
    """The state, and with it an update that isn't through, or failed."""
    state = str(item.get("State", "-"))
    update = item.get("LastUpdateStatus")
    return state if update in (None, "Successful") else f"{state}, update {update}"
