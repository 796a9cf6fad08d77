"""The option that gives an event: a file, stdin, or the JSON itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


def read_event(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> bytes | None:
    """A click callback: the event's bytes. A file's are taken as they are; the engine reads them.

    What begins like an object, an array or a string is JSON; anything else is a file if there is
    one of that name, and JSON if there is none (`-e 7`). Raises BadParameter.
    """
    if text is None:
        return None
    if text == "-":
        return sys.stdin.buffer.read()
    inline = text.lstrip()[:1] in ("{", "[", '"')
    try:
        if not inline:
            return Path(text).read_bytes()
    except (FileNotFoundError, ValueError):
        pass
    except OSError as error:
        raise click.BadParameter(f"{text}: {error.strerror}", context, parameter) from error
    try:
        json.loads(text)
    except ValueError as error:
        reason = f"not JSON: {error}" if inline else f"{text} is neither a file nor JSON"
        raise click.BadParameter(reason, context, parameter) from error
    return text.encode()


event_option = click.option(
    "-e",
    "--event",
    callback=read_event,
    help="the event: a file, - for stdin, or the JSON itself; without it the handler gets {}",
)
qualifier_option = click.option("--qualifier", help="a version or an alias; without it $LATEST")
