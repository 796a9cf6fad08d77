"""What is said of contexts that are frozen between invocations: read when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from samovar.metrics import names
from samovar.metrics.families import Page


class FreezeNumbers(NamedTuple):
    """`frozen`: contexts that are, now; `freezes`: how often one was, or was about to be;
    `failures`: how often something could not be stopped, by errno's name."""

    frozen: int
    freezes: int
    failures: Mapping[str, int]


NONE = FreezeNumbers(0, 0, {})


def add_freezing(page: Page, seen: FreezeNumbers) -> None:
    """Write them on a scrape's page, from whichever thread."""
    page.add(names.FROZEN, (), seen.frozen)
    page.add(names.FREEZES, (), seen.freezes)
    for reason, count in list(seen.failures.items()):
        page.add(names.FREEZE_FAILURES, (reason,), count)
