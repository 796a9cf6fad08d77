"""`samovar`: the commands, wired together."""

from __future__ import annotations

from typing import Any

import click

from samovar.doors.cli import (
    bench,
    delete,
    demo,
    deploy,
    doctor,
    exits,
    functions,
    invoke,
    logs,
    start,
)
from samovar.doors.cli.report import own_version


class _Commands(click.Group):
    """A group whose commands end with 130 on Ctrl-C, as a shell expects; click's own say 1."""

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
    """


for command in (
    start.start,
    demo.demo,
    doctor.doctor,
    deploy.deploy,
    invoke.invoke,
    functions.functions,
    delete.delete,
    logs.logs,
    bench.bench,
):
    main.add_command(command)
