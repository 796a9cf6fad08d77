"""Tables on narrow terminals."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from samovar.doors.cli.screen import print_rows

ROWS = [{"name": "greet", "size": "12 kB", "state": "Active", "changed": "long ago"}]


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (40, []),
        (30, []),
        (29, ["size"]),
        (20, ["size", "changed"]),
        (8, ["size", "changed"]),  # it folds, and loses nothing more
    ],
)
def test_columns_that_matter_least_are_left_out(width: int, left_out: list[str]) -> None:
    screen = Console(file=StringIO(), width=width)
    assert print_rows(screen, ROWS, right=("size",), least=("size", "changed")) == left_out
    assert isinstance(screen.file, StringIO)
    headings = screen.file.getvalue().splitlines()[0].split()
    if width > 8:
        assert headings == [name for name in ROWS[0] if name not in left_out]
