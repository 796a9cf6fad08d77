"""Where the commands write: results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

from samovar.model.event_entries import Depths

# Rich takes 80 columns where nobody says how many there are, and would cut tables in a pipe.
_WIDTH_OF_A_PIPE = 200
_ANY_WIDTH = 10_000


def console(*, stderr: bool = False) -> Console:
    """A console for stdout or stderr. Without a terminal, and with NO_COLOR, it uses no colours."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty() or os.environ.get("COLUMNS"):
        return Console(stderr=stderr, highlight=False)
    return Console(stderr=stderr, highlight=False, width=_WIDTH_OF_A_PIPE)


def say(text: str) -> None:
    """A line about what happens, on stderr."""
    click.echo(text, err=True)


def new_table(*headings: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines; the columns named in `right` hold numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def fitted(
    screen: Console,
    rows: Sequence[Mapping[str, str]],
    *,
    right: tuple[str, ...],
    least: Sequence[str] = (),
) -> tuple[Table, list[str]]:
    """`rows`, all with the same headings, as a table.

    Where the screen is too narrow the columns of `least` are left out, the first one first. Gives
    those that were, too.
    """
    shown = list(rows[0])
    table = new_table()
    for gone in range(len(least) + 1):
        shown = [heading for heading in rows[0] if heading not in least[:gone]]
        table = new_table(*shown, right=right)
        for row in rows:
            table.add_row(*(row[heading] for heading in shown))
        wanted = screen.measure(table, options=screen.options.update(max_width=_ANY_WIDTH))
        if wanted.maximum <= screen.width:
            break
    return table, [heading for heading in rows[0] if heading not in shown]


def print_rows(
    screen: Console,
    rows: Sequence[Mapping[str, str]],
    *,
    right: tuple[str, ...],
    least: Sequence[str] = (),
) -> list[str]:
    """Print `rows` as `fitted` has them; gives the columns that were left out."""
    table, left_out = fitted(screen, rows, right=right, least=least)
    screen.print(table)
    return left_out


def size_text(size: int) -> str:
    """Bytes for a person: `1.2 kB`, `34.5 MB`."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def depths_text(depths: Depths) -> str:
    """What the queue holds of one kind: `3 waiting, 1 in hand, 2 dead`."""
    counts = (
        (depths["waiting"], "waiting"),
        (depths["claimed"], "in hand"),
        (depths["dead"], "dead"),
    )
    return ", ".join(f"{count:,} {name}" for count, name in counts if count) or "none"


def age(seconds: float) -> str:
    """A length of time at a glance: `4.2 s`, `45 s`, `12 min`, `5 h`, `3 d`."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            digits = 1 if seconds < 10 else 0
            return f"{seconds / unit:.{digits}f} {name}"
    return f"{seconds / 86_400:.0f} d"
