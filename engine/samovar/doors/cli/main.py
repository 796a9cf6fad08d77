"""`samovar`: the commands, each imported when it is asked for: none waits for what others need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from samovar.doors.cli import exits
from samovar.doors.cli.report import own_version

# Each is an attribute of the module of the same name beside this one.
NAMES = (
    "bench",
    "delete",
    "demo",
    "deploy",
    "doctor",
    "events",
    "functions",
    "invoke",
    "logs",
    "sources",
    "start",
    "top",
)


def command(name: str) -> click.Command:
    """One of NAMES."""
    found: click.Command = getattr(import_module(f"samovar.doors.cli.{name}"), name)
    return found


class _Commands(click.Group):
    """A group whose commands end with 130 on Ctrl-C, as a shell expects; click's own say 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return command(cmd_name) if cmd_name in NAMES else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("samovar: interrupted", err=True)
            raise click.exceptions.Exit(exits.Exit.INTERRUPTED) from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n" + exits.table(),
)
@click.version_option(own_version(), prog_name="samovar")
def main() -> None:
    """A Lambda-compatible execution engine that keeps contexts hot: no Docker, no account.

    \b
    samovar demo                       see it work on a real function
    samovar start                      serve the Lambda API on 127.0.0.1:4566
    samovar deploy DIR                 create or update a function
    samovar invoke NAME -e event.json  run a function once
    samovar logs NAME -f               follow what it logs
    samovar events list                what waits, and what was given up
    samovar sources list               what is read for functions
    samovar top                        watch contexts and functions
    """
