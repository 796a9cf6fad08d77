"""What is counted of asynchronous invocation, for the Observer that Prometheus scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from samovar.metrics import names
from samovar.metrics.counts import Histogram
from samovar.metrics.families import Page
from samovar.metrics.names import Metric

DELETED = "(deleted)"  # no function's name can be this

_BOUNDS = names.EVENT_AGE.buckets
# An event may outlive its function by hours: whoever deletes functions all day long must not leave
# series of each behind, and neither may what keeps them from it grow without end.
_DELETED_KNOWN = 10_000


class AsynchronousCounts:
    """The hooks of asynchronous invocation; what they mean says `Observer`.

    What is told of a function that was deleted is counted under DELETED, until the function is
    heard of again.
    """

    def __init__(self) -> None:
        self._received: Counter[str] = Counter()
        self._ages: dict[str, Histogram] = {}
        self._stops: Counter[str] = Counter()
        self._retries: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._delivered: Counter[tuple[str, str, str]] = Counter()
        self._delivery_retries: Counter[tuple[str, str, str]] = Counter()
        self._delivery_failures: Counter[tuple[str, str, str]] = Counter()
        self._deleted: dict[str, None] = {}
        self._depths: Callable[[], Mapping[tuple[str, str], int]] = dict

    def watch_queue(self, depths: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Ask `depths` for the number of items by kind and state, at every scrape."""
        self._depths = depths

    def event_received(self, function: str) -> None:
        self._received[function] += 1
        if self._deleted:
            self._deleted.pop(function, None)

    def event_started(self, function: str, age: float) -> None:
        histogram = self._ages.get(function)
        if histogram is None:
            # Only what exists is started.
            self._deleted.pop(function, None)
            histogram = self._ages[function] = Histogram(_BOUNDS)
        histogram.counts[bisect_left(_BOUNDS, age)] += 1
        histogram.total += age

    def event_retried(self, function: str, reason: str) -> None:
        self._retries[self._known(function), reason] += 1

    def event_dropped(self, function: str, condition: str) -> None:
        self._dropped[self._known(function), condition] += 1

    def recursion_stopped(self, function: str) -> None:
        self._stops[self._known(function)] += 1

    def delivered(self, function: str, channel: str, service: str) -> None:
        self._delivered[self._known(function), channel, service] += 1

    def delivery_retried(self, function: str, channel: str, service: str) -> None:
        self._delivery_retries[self._known(function), channel, service] += 1

    def delivery_failed(self, function: str, channel: str, service: str) -> None:
        self._delivery_failures[self._known(function), channel, service] += 1

    def forget_events(self, function: str) -> None:
        """Let go of all that is counted under a function's name."""
        self._ages.pop(function, None)
        for counts in (self._received, self._stops):
            counts.pop(function, None)
        for pairs in (self._retries, self._dropped):
            for pair in [key for key in pairs if key[0] == function]:
                del pairs[pair]
        for threes in (self._delivered, self._delivery_retries, self._delivery_failures):
            for three in [key for key in threes if key[0] == function]:
                del threes[three]
        if len(self._deleted) >= _DELETED_KNOWN:
            del self._deleted[next(iter(self._deleted))]
        self._deleted[function] = None

    def add_events(self, page: Page) -> None:
        """Write it all on a scrape's page, from whichever thread."""
        for name, histogram in list(self._ages.items()):
            page.histogram(names.EVENT_AGE, (name,), histogram)
        for metric, counts in (
            (names.EVENTS_RECEIVED, self._received),
            (names.RECURSION_STOPS, self._stops),
        ):
            for name, count in list(counts.items()):
                page.add(metric, (name,), count)
        tables: tuple[tuple[Metric, Mapping[Any, int]], ...] = (
            (names.EVENT_RETRIES, self._retries),
            (names.EVENTS_DROPPED, self._dropped),
            (names.DELIVERIES, self._delivered),
            (names.DELIVERY_RETRIES, self._delivery_retries),
            (names.DELIVERY_FAILURES, self._delivery_failures),
            (names.QUEUE_ITEMS, self._depths()),
        )
        for metric, table in tables:
            for labels, count in list(table.items()):
                page.add(metric, labels, count)

    def _known(self, function: str) -> str:
        return DELETED if function in self._deleted else function
