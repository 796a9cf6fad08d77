"""`samovar`: the commands, wired together."""

from __future__ import annotations

import click

from samovar.doors.cli import demo, doctor, exits, functions, invoke, logs, start
from samovar.doors.cli.report import own_version


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n" + exits.table(),
)
@click.version_option(own_version(), prog_name="samovar")
def main() -> None:
    """A Lambda-compatible execution engine that keeps contexts hot: no Docker, no account.

    \b
    samovar demo                       see it work on a real function
    samovar start                      serve the Lambda API on http://127.0.0.1:4566
    samovar invoke NAME -e event.json  run a function once
    samovar logs NAME -f               follow what it logs
    """


main.add_command(start.start)
main.add_command(demo.demo)
main.add_command(doctor.doctor)
main.add_command(invoke.invoke)
main.add_command(functions.functions)
main.add_command(logs.logs)
