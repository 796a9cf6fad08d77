"""`samovar logs`: what functions logged, from the data directory's files."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from samovar.doors.cli.arrivals import arrivals
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.options import read_settings, setting_flags
from samovar.doors.cli.screen import say
from samovar.logs.keeping import DIRECTORY
from samovar.logs.platform_lines import iso
from samovar.logs.reader import Kept, Reader, Wanted, functions, moment
from samovar.model.function import LATEST
from samovar.settings import Settings

_REQUEST_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_WRONG = re.compile(
    r"^\[(ERROR|CRITICAL)\]|\"(log_)?level\": ?\"(ERROR|CRITICAL)\"|Status: (error|timeout)"
    r"|\"status\":\"(error|timeout|failure)\"|^LOGS_DROPPED "
)
_PLATFORM = re.compile(r"^(INIT_START|INIT_REPORT|START|END|REPORT) |^{\"time\":.*\"platform\.")
# Told apart at a glance; red and the platform's grey mean something already.
_COLOURS = ("green", "yellow", "blue", "magenta", "cyan")
# A terminal does what it is told: colours of the function's own are welcome, nothing else.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]*m)")
_OTHERS = {item.name for item in fields(Settings)} - {"data_dir"}


@click.command(
    short_help="Show what a function logged.",
    epilog="""\b
Examples:
  samovar logs thumbnail -f
  samovar logs thumbnail:3
  samovar logs thumbnail --since 10m --filter ERROR
  samovar logs thumbnail --request-id 8f507cfc-xmpl-4697-b07a-ac58fc914c95
  samovar logs thumbnail --json | jq -r .message

Reads the files that `samovar start` keeps, with or without it running. Times are UTC.""",
)
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="go on with what is logged from now on")
@click.option("--since", help="from this long ago (30s, 10m, 2h, 1d) or from an ISO time on")
@click.option("--request-id", default="", help="of this invocation only")
@click.option("--filter", "text", default="", help="events that have this text in them")
@click.option("--json", "as_json", is_flag=True, help="one JSON object an event")
@setting_flags(leave_out=_OTHERS)
def logs(
    name: str,
    *,
    follow: bool,
    since: str | None,
    request_id: str,
    text: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show what the function NAME (a name or an ARN, of one version with :VERSION) logged."""
    directory = read_settings(flags).data_dir / DIRECTORY
    function, version = _meant(name)
    try:
        wanted = Wanted(moment(since, time.time()) if since else 0, request_id, text, version)
    except ValueError as error:
        raise click.BadParameter(
            f"{since!r} is neither like 10m nor an ISO time", param_hint="--since"
        ) from error
    try:
        _demand_known(directory, function)
        _show(Reader(directory, function), wanted, follow=follow, as_json=as_json)
    except PermissionError as error:
        raise Failure(Exit.SETTINGS, f"the logs may not be read: {error}") from error


def _meant(name: str) -> tuple[str, str]:
    """The function and the version of it, «» for all of them."""
    parts = name.split(":")
    if "function" in parts[:-1]:  # an ARN, or a part of one
        parts = parts[parts.index("function") + 1 :]
    function, version, *_ = (*parts, "")
    if version and version != LATEST and not version.isdecimal():
        # The files don't know what an alias stood for when.
        say(
            f"logs are of versions, and {version} is an alias: these are of all versions. Of one: "
            f"samovar logs {function}:VERSION (which one: samovar functions --versions)"
        )
        return function, ""
    return function, version


def _demand_known(directory: Path, function: str) -> None:
    known = functions(directory)
    if function in known:
        return
    near = difflib.get_close_matches(function, known, n=5, cutoff=0.5)
    advice = ""
    if near:
        advice = f" Did you mean {', '.join(near)}?"
    elif not known:
        advice = " There are none at all: is it the --data-dir of an engine that keeps log files?"
    raise Failure(Exit.USAGE, f"no logs of a function {function!r} in {directory}.{advice}")


def _show(reader: Reader, wanted: Wanted, *, follow: bool, as_json: bool) -> None:
    terminal = sys.stdout.isatty()
    coloured = terminal and not os.environ.get("NO_COLOR")

    def show_new() -> None:
        for event in reader.read(wanted):
            if as_json:
                click.echo(_as_json(event))
            else:
                click.echo(_as_text(event, terminal=terminal, coloured=coloured), color=True)
        sys.stdout.flush()

    if not follow:
        show_new()
        return
    try:
        for _ in arrivals(reader.directory):
            show_new()
    except KeyboardInterrupt:
        pass  # how following ends


def _as_json(event: Kept) -> str:
    return json.dumps(
        {
            "time": iso(event.time / 1000),
            "function": event.function,
            "logGroup": event.group,
            "logStream": event.stream,
            "requestId": event.request_id or None,
            "message": event.message,
        },
        ensure_ascii=False,
    )


def _as_text(event: Kept, *, terminal: bool, coloured: bool) -> str:
    stamp = iso(event.time / 1000)
    message = _CONTROL.sub("\ufffd", event.message) if terminal else event.message
    if not coloured:
        return f"{stamp} {message}"
    base: dict[str, Any] = {}
    if _WRONG.search(message):
        base = {"fg": "red"}
    elif _PLATFORM.search(message):
        base = {"fg": "bright_black"}
    parts = [click.style(stamp, dim=True), " "]
    at = 0
    for found in _REQUEST_ID.finditer(message):
        parts.append(click.style(message[at : found.start()], **base))
        parts.append(click.style(found[0], fg=_colour_of(found[0]), bold=True))
        at = found.end()
    parts.append(click.style(message[at:], **base))
    return "".join(parts)


def _colour_of(request_id: str) -> str:
    return _COLOURS[int(request_id.replace("-", ""), 16) % len(_COLOURS)]
