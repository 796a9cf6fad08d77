"""What is counted of event source mappings, and read at a scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from samovar.metrics import names
from samovar.metrics.families import Page


class SourceNumbers:
    """Those of one mapping. `events`: records by what came of them (AWS's event metrics: polled,
    filtered, invoked, failed, deleted, committed, dropped, delivered); `errors`: failures to read,
    by what was said; `delivery_errors`: failures to tell an on-failure destination, by its service;
    `pollers`: how many there are; `iterator_age`: of a stream, how many seconds ago the last record
    of the batch that was last handed to the function had come in; `lags`: of Kafka, how many
    records each partition has that are not committed."""

    __slots__ = ("delivery_errors", "errors", "events", "iterator_age", "lags", "pollers")

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.delivery_errors: Counter[str] = Counter()
        self.pollers = 0
        self.iterator_age: float | None = None
        self.lags: dict[str, int] = {}


def add_sources(page: Page, numbers: Mapping[str, SourceNumbers]) -> None:
    """Write those of all mappings, by UUID, on a scrape's page, from whichever thread."""
    for mapping, one in list(numbers.items()):
        page.add(names.SOURCE_POLLERS, (mapping,), one.pollers)
        if one.iterator_age is not None:
            page.add(names.SOURCE_AGE, (mapping,), one.iterator_age * 1000.0)
        lags = list(one.lags.values())
        if lags:
            page.add(names.SOURCE_LAG, (mapping, "max"), max(lags))
            page.add(names.SOURCE_LAG, (mapping, "sum"), sum(lags))
        for what, count in list(one.events.items()):
            page.add(names.SOURCE_EVENTS, (mapping, what), count)
        for error, count in list(one.errors.items()):
            page.add(names.SOURCE_ERRORS, (mapping, error), count)
        for service, count in list(one.delivery_errors.items()):
            page.add(names.SOURCE_DELIVERY_ERRORS, (mapping, service), count)
