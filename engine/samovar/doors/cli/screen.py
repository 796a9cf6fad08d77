"""Where the commands write: results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys

import click
from rich.console import Console
from rich.table import Table

# Rich takes 80 columns where nobody says how many there are, and would cut tables in a pipe.
_WIDTH_OF_A_PIPE = 200


def console(*, stderr: bool = False) -> Console:
    """A console for stdout or stderr. Without a terminal, and with NO_COLOR, it uses no colours."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty() or os.environ.get("COLUMNS"):
        return Console(stderr=stderr)
    return Console(stderr=stderr, width=_WIDTH_OF_A_PIPE)


def say(text: str) -> None:
    """A line about what happens, on stderr."""
    click.echo(text, err=True)


def new_table(*headings: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines; the columns named in `right` hold numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def size_text(size: int) -> str:
    """Bytes for a person: `1.2 kB`, `34.5 MB`."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
