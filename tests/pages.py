"""Pages that are made from tables in whole or in part: `python -m tests.pages` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.api import coverage

from samovar.doors.cli import options
from samovar.doors.http.api_model import operation_models
from samovar.metrics import names

CHECKOUT = Path(__file__).resolve().parents[1]
COVERAGE = "docs/api-coverage.md"
# Tables that stand in a page; the first line of each tells it from others there.
TABLES: dict[str, Callable[[], str]] = {
    "docs/settings.md": options.markdown_table,
    "docs/metrics.md": names.markdown_table,
}


def renewed(path: str, text: str) -> str:
    """What a page that says `text` should say."""
    if path == COVERAGE:
        return coverage.page(coverage.named(text))
    table = TABLES[path]()
    header = table.partition("\n")[0]
    before, found, after = text.partition(header + "\n")
    assert found, f"{path} has no table that begins with {header}"
    lines = after.splitlines(keepends=True)
    rest = next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return before + table + "\n" + "".join(lines[rest:])


def main() -> None:
    os.environ.pop("XDG_DATA_HOME", None)  # defaults are shown as they are without it
    for path in TABLES:
        place = CHECKOUT / path
        place.write_text(renewed(path, place.read_text()))
    (CHECKOUT / COVERAGE).write_text(coverage.page(set(operation_models())))


if __name__ == "__main__":
    main()
