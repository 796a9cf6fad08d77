"""An Observer that Prometheus can scrape.

prometheus-client's own Histogram and Counter take a lock and about 2 µs per observation. Here an
observation is a bisect and an addition to a plain list; the families are rendered only when
somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from samovar.metrics import names
from samovar.metrics.asynchronous import AsynchronousCounts
from samovar.metrics.counts import (
    MEMORY_ERROR,
    TIMEOUT_ERROR,
    FunctionCounts,
    Histogram,
    Traffic,
    traffic,
)
from samovar.metrics.event_sources import SourceNumbers, add_sources
from samovar.metrics.families import Page, family_of
from samovar.metrics.freezing import NONE, FreezeNumbers, add_freezing
from samovar.metrics.names import Metric
from samovar.metrics.occupancy import NOTHING, Occupancy

_DURATION_BOUNDS = names.INVOCATION_DURATION.buckets
_OVERHEAD_BOUNDS = names.DISPATCH_OVERHEAD.buckets
_MB = 1 << 20


class PrometheusObserver(AsynchronousCounts, Collector):
    """Counts what the engine tells; a Collector for any prometheus_client registry.

    All hooks are to be called from one thread; scrapes may come from any.
    """

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[str, FunctionCounts] = {}
        self._overhead = Histogram(_OVERHEAD_BOUNDS)
        self._contexts: Callable[[], Mapping[str, int]] = dict
        self._freezing: Callable[[], FreezeNumbers] = lambda: NONE
        self._memory: Callable[[], int | None] = lambda: None
        self._occupancy: Callable[[], Occupancy] = lambda: NOTHING
        self._sources: Callable[[], Mapping[str, SourceNumbers]] = dict
        self._zygotes: dict[tuple[str, str], int] = {}
        self._zygote_deaths: dict[tuple[str, str], int] = {}
        self._walls: dict[str, bool] = {}
        self._lost_records: Callable[[], Mapping[tuple[str, str], int]] = dict

    def watch_contexts(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        """Ask `by_state` for the number of contexts in each state, at every scrape: four changes of
        state per invocation would cost more to count than the rest together."""
        self._contexts = by_state

    def watch_freezing(self, read: Callable[[], FreezeNumbers]) -> None:
        """Ask `read` how many contexts are frozen, at every scrape."""
        self._freezing = read

    def watch_memory(self, room: Callable[[], int | None]) -> None:
        """Ask `room` for the MB that new contexts may take (None: not known), at every scrape."""
        self._memory = room

    def watch_sources(self, read: Callable[[], Mapping[str, SourceNumbers]]) -> None:
        """Ask `read` for the numbers of all event source mappings, by UUID, at every scrape, and
        when something is to be counted there."""
        self._sources = read

    def watch_occupancy(self, read: Callable[[], Occupancy]) -> None:
        """Ask `read` how much concurrency is taken, at every scrape, for the same reason."""
        self._occupancy = read

    def watch_lost_records(self, counts: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Ask `counts` for the log records lost so far by place and reason, at every scrape."""
        self._lost_records = counts

    # What the engine tells: see Observer.

    def invocation_finished(  # noqa: PLR0917 - see Observer
        self,
        function: str,
        qualifier: str,
        version: str,
        start: str,
        duration: float,
        overhead: float,
        error_type: str,
    ) -> None:
        try:
            histogram = self._functions[function].durations[qualifier, version, start]
        except KeyError:
            histogram = Histogram(_DURATION_BOUNDS)
            self._function(function).durations[qualifier, version, start] = histogram
        histogram.counts[bisect_left(_DURATION_BOUNDS, duration)] += 1
        histogram.total += duration
        histogram = self._overhead
        histogram.counts[bisect_left(_OVERHEAD_BOUNDS, overhead)] += 1
        histogram.total += overhead
        if error_type:
            self._functions[function].error(qualifier, version, error_type)

    def invocation_throttled(
        self, function: str, qualifier: str, version: str, reason: str
    ) -> None:
        throttles = self._function(function).throttles
        key = (qualifier, version, reason)
        throttles[key] = throttles.get(key, 0) + 1

    def invocation_failed(self, function: str, kind: str) -> None:
        errors = self._function(function).engine_errors
        errors[kind] = errors.get(kind, 0) + 1

    def invocation_spilled_over(self, function: str, qualifier: str, version: str) -> None:
        spillovers = self._function(function).spillovers
        key = (qualifier, version)
        spillovers[key] = spillovers.get(key, 0) + 1

    def cold_start(
        self,
        function: str,
        version: str,
        kind: str,
        *,
        environment: float,
        package: float,
        init: float,
    ) -> None:
        self._function(function).cold_start(version, kind, (environment, package, init))

    # A mapping that is deleted meanwhile has no numbers any more.

    def records_delivered(self, mapping: str, records: int) -> None:
        if (numbers := self._sources().get(mapping)) is not None:
            numbers.events["delivered"] += records

    def records_not_delivered(self, mapping: str, service: str) -> None:
        if (numbers := self._sources().get(mapping)) is not None:
            numbers.delivery_errors[service] += 1

    def unsigned_deployment(self, function: str) -> None:
        self._function(function).unsigned += 1

    def zygote_started(self, interpreter: str, preload: str) -> None:
        key = (interpreter, preload)
        self._zygotes[key] = self._zygotes.get(key, 0) + 1
        self._zygote_deaths.setdefault(key, 0)

    def zygote_died(self, interpreter: str, preload: str, expected: bool) -> None:
        key = (interpreter, preload)
        self._zygotes[key] = self._zygotes.get(key, 0) - 1
        if not expected:
            self._zygote_deaths[key] = self._zygote_deaths.get(key, 0) + 1

    def wall(self, name: str, held: bool) -> None:
        self._walls[name] = held

    def function_removed(self, function: str) -> None:
        self._functions.pop(function, None)
        self.forget_events(function)

    def version_removed(self, function: str, version: str) -> None:
        if function in self._functions:
            self._functions[function].forget_version(version)

    def alias_changed(self, function: str, alias: str, versions: frozenset[str]) -> None:
        if function in self._functions:
            self._functions[function].forget_alias(alias, versions)

    def traffic(self) -> dict[str, dict[str, Traffic]]:
        """What each function had to do since the engine's start, by its name and version."""
        return {name: traffic(counted) for name, counted in list(self._functions.items())}

    # What Prometheus reads.

    def text(self) -> bytes:
        """All metrics in Prometheus's text format (content type `CONTENT_TYPE_LATEST`)."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> Iterable[Family]:
        """The families without samples, so that a registry can refuse a clash of names."""
        return [family_of(metric) for metric in names.ALL]

    def collect(self) -> Iterator[Family]:
        page = Page()
        # list() copies a dict in one step: a scrape may run beside the loop's thread.
        for name, counted in list(self._functions.items()):
            _add_function(page, name, counted)
        self.add_events(page)
        add_sources(page, self._sources())
        _add_occupancy(page, self._occupancy(), self._invoked())
        page.histogram(names.DISPATCH_OVERHEAD, (), self._overhead)
        for state, count in self._contexts().items():
            page.add(names.CONTEXTS, (state,), count)
        add_freezing(page, self._freezing())
        if (room := self._memory()) is not None:
            page.add(names.MEMORY_ROOM, (), room * _MB)
        for family, count in list(self._zygotes.items()):
            page.add(names.ZYGOTES, family, count)
        for family, count in list(self._zygote_deaths.items()):
            page.add(names.ZYGOTE_DEATHS, family, count)
        for wall, held in list(self._walls.items()):
            page.add(names.WALL, (wall,), int(held))
        for where, count in self._lost_records().items():
            page.add(names.LOG_RECORDS_LOST, where, count)
        yield from page.families.values()

    def _invoked(self) -> Iterator[tuple[str, str, str]]:
        """What has been invoked so far, by function, qualifier and version."""
        for name, counted in list(self._functions.items()):
            for qualifier, version, _ in list(counted.durations):
                yield name, qualifier, version

    def _function(self, name: str) -> FunctionCounts:
        counted = self._functions.get(name)
        if counted is None:
            counted = self._functions[name] = FunctionCounts()
        return counted


def _add_function(page: Page, name: str, counted: FunctionCounts) -> None:
    for metric, histograms in (
        (names.INVOCATION_DURATION, counted.durations),
        (names.COLD_START_PHASE, counted.phases),
    ):
        for key, histogram in list(histograms.items()):
            page.histogram(metric, (name, *key), histogram)
    tables: tuple[tuple[Metric, Mapping[Any, int]], ...] = (
        (names.FUNCTION_ERRORS, counted.errors),
        (names.THROTTLES, counted.throttles),
        (names.TIMEOUTS, counted.errors_of(TIMEOUT_ERROR)),
        (names.OUT_OF_MEMORY, counted.errors_of(MEMORY_ERROR)),
        (names.SPILLOVERS, counted.spillovers),
        (names.COLD_STARTS, counted.cold_starts),
    )
    for metric, counts in tables:
        for labels, count in list(counts.items()):
            page.add(metric, (name, *labels), count)
    for kind, count in list(counted.engine_errors.items()):
        page.add(names.ENGINE_ERRORS, (name, kind), count)
    page.add(names.UNSIGNED_DEPLOYMENTS, (name,), counted.unsigned)


def _add_occupancy(page: Page, seen: Occupancy, invoked: Iterable[tuple[str, str, str]]) -> None:
    # A gauge that came and went with its invocations would leave gaps.
    for key in {*invoked, *seen.in_flight}:
        page.add(names.CONCURRENT_EXECUTIONS, key, seen.in_flight.get(key, 0))
    for metric, value in (
        (names.ACCOUNT_IN_FLIGHT, sum(seen.in_flight.values())),
        (names.ACCOUNT_UNRESERVED, seen.unreserved),
        (names.ACCOUNT_CLAIMED, seen.claimed),
        (names.ACCOUNT_LIMIT, seen.limit),
    ):
        page.add(metric, (), value)
    for name, reserved in seen.reserved.items():
        page.add(names.RESERVED, (name,), reserved)
    for pair, use in seen.provisioned.items():
        page.add(names.PROVISIONED_REQUESTED, pair, use.requested)
        page.add(names.PROVISIONED_READY, pair, use.ready)
        page.add(names.PROVISIONED_UTILIZATION, pair, use.utilization)
