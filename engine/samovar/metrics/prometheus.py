"""An Observer that Prometheus can scrape.

prometheus-client's own Histogram and Counter take a lock and about 2 µs per observation. Here an
observation is a bisect and an addition to a plain list; the families are rendered only when
somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from samovar.metrics import names
from samovar.metrics.names import Kind, Metric

TIMEOUT_ERROR = "Sandbox.Timedout"  # AWS's error type of a timeout
OTHER = "other"
# Error types are class names of users' code: without a bound one function could fill the memory.
MAX_ERROR_TYPES = 50

_PHASES = ("environment", "package", "init")
_DURATION_BOUNDS = names.INVOCATION_DURATION.buckets
_OVERHEAD_BOUNDS = names.DISPATCH_OVERHEAD.buckets
_PHASE_BOUNDS = names.COLD_START_PHASE.buckets


class _Histogram:
    """Counts per bucket (not cumulated; the last one is +Inf) and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class _Function:
    """All that is counted under one function's name."""

    __slots__ = (
        "cold_starts",
        "durations",
        "engine_errors",
        "errors",
        "phases",
        "throttles",
        "unsigned",
    )

    def __init__(self) -> None:
        self.durations: dict[str, _Histogram] = {}
        self.phases: dict[str, _Histogram] = {}
        self.cold_starts = 0
        self.errors: dict[str, int] = {}
        self.throttles: dict[str, int] = {}
        self.engine_errors: dict[str, int] = {}
        self.unsigned = 0


_MB = 1 << 20


class PrometheusObserver(Collector):
    """Counts what the engine tells; a Collector for any prometheus_client registry.

    All hooks are to be called from one thread; scrapes may come from any.
    """

    def __init__(self) -> None:
        self._functions: dict[str, _Function] = {}
        self._overhead = _Histogram(_OVERHEAD_BOUNDS)
        self._contexts: Callable[[], Mapping[str, int]] = dict
        self._memory: Callable[[], int | None] = lambda: None
        self._zygotes: dict[tuple[str, str], int] = {}
        self._zygote_deaths: dict[tuple[str, str], int] = {}
        self._walls: dict[str, bool] = {}
        self._lost_records: Callable[[], Mapping[tuple[str, str], int]] = dict

    def watch_contexts(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        """Ask `by_state` for the number of contexts in each state, at every scrape: four changes of
        state per invocation would cost more to count than the rest together."""
        self._contexts = by_state

    def watch_memory(self, room: Callable[[], int | None]) -> None:
        """Ask `room` for the MB that new contexts may take (None: not known), at every scrape."""
        self._memory = room

    def watch_lost_records(self, counts: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Ask `counts` for the log records lost so far by place and reason, at every scrape."""
        self._lost_records = counts

    # What the engine tells: see Observer.

    def invocation_finished(
        self, function: str, start: str, duration: float, overhead: float, error_type: str
    ) -> None:
        try:
            histogram = self._functions[function].durations[start]
        except KeyError:
            histogram = self._new_duration(function, start)
        histogram.counts[bisect_left(_DURATION_BOUNDS, duration)] += 1
        histogram.total += duration
        histogram = self._overhead
        histogram.counts[bisect_left(_OVERHEAD_BOUNDS, overhead)] += 1
        histogram.total += overhead
        if error_type:
            errors = self._functions[function].errors
            if error_type not in errors and len(errors) >= MAX_ERROR_TYPES:
                # Timeouts have a metric of their own, read from here: never lumped together.
                error_type = error_type if error_type == TIMEOUT_ERROR else OTHER
            errors[error_type] = errors.get(error_type, 0) + 1

    def invocation_throttled(self, function: str, reason: str) -> None:
        throttles = self._function(function).throttles
        throttles[reason] = throttles.get(reason, 0) + 1

    def invocation_failed(self, function: str, kind: str) -> None:
        errors = self._function(function).engine_errors
        errors[kind] = errors.get(kind, 0) + 1

    def cold_start(self, function: str, environment: float, package: float, init: float) -> None:
        counted = self._function(function)
        counted.cold_starts += 1
        for phase, value in zip(_PHASES, (environment, package, init), strict=True):
            histogram = counted.phases.get(phase)
            if histogram is None:
                histogram = counted.phases[phase] = _Histogram(_PHASE_BOUNDS)
            histogram.counts[bisect_left(_PHASE_BOUNDS, value)] += 1
            histogram.total += value

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

    # What Prometheus reads.

    def text(self) -> bytes:
        """All metrics in Prometheus's text format (content type `CONTENT_TYPE_LATEST`)."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> Iterable[Family]:
        """The families without samples, so that a registry can refuse a clash of names."""
        return [_family(metric) for metric in names.ALL]

    def collect(self) -> Iterator[Family]:
        # list() copies a dict in one step: a scrape may run beside the loop's thread.
        functions = list(self._functions.items())
        durations = _family(names.INVOCATION_DURATION)
        phases = _family(names.COLD_START_PHASE)
        cold_starts = _family(names.COLD_STARTS)
        errors = _family(names.FUNCTION_ERRORS)
        timeouts = _family(names.TIMEOUTS)
        throttles = _family(names.THROTTLES)
        engine_errors = _family(names.ENGINE_ERRORS)
        unsigned = _family(names.UNSIGNED_DEPLOYMENTS)
        for name, counted in functions:
            for start, histogram in list(counted.durations.items()):
                _add_histogram(durations, (name, start), _DURATION_BOUNDS, histogram)
            for phase, histogram in list(counted.phases.items()):
                _add_histogram(phases, (name, phase), _PHASE_BOUNDS, histogram)
            _add(cold_starts, (name,), counted.cold_starts)
            for error_type, count in list(counted.errors.items()):
                _add(errors, (name, error_type), count)
            _add(timeouts, (name,), counted.errors.get(TIMEOUT_ERROR, 0))
            for reason, count in list(counted.throttles.items()):
                _add(throttles, (name, reason), count)
            for kind, count in list(counted.engine_errors.items()):
                _add(engine_errors, (name, kind), count)
            _add(unsigned, (name,), counted.unsigned)
        overhead = _family(names.DISPATCH_OVERHEAD)
        _add_histogram(overhead, (), _OVERHEAD_BOUNDS, self._overhead)
        contexts = _family(names.CONTEXTS)
        for state, count in self._contexts().items():
            _add(contexts, (state,), count)
        memory = _family(names.MEMORY_ROOM)
        if (room := self._memory()) is not None:
            _add(memory, (), room * _MB)
        zygotes = _family(names.ZYGOTES)
        for key, count in list(self._zygotes.items()):
            _add(zygotes, key, count)
        deaths = _family(names.ZYGOTE_DEATHS)
        for key, count in list(self._zygote_deaths.items()):
            _add(deaths, key, count)
        walls = _family(names.WALL)
        for wall, held in list(self._walls.items()):
            _add(walls, (wall,), int(held))
        yield from (durations, overhead, phases, cold_starts, errors, timeouts)
        lost = _family(names.LOG_RECORDS_LOST)
        for key, count in self._lost_records().items():
            _add(lost, key, count)
        yield from (throttles, engine_errors, unsigned, contexts, memory)
        yield from (zygotes, deaths, walls, lost)

    def _function(self, name: str) -> _Function:
        counted = self._functions.get(name)
        if counted is None:
            counted = self._functions[name] = _Function()
        return counted

    def _new_duration(self, function: str, start: str) -> _Histogram:
        histogram = _Histogram(_DURATION_BOUNDS)
        self._function(function).durations[start] = histogram
        return histogram


def _family(metric: Metric) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def _add(family: Family, labels: tuple[str, ...], value: float) -> None:
    assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
    family.add_metric(labels, value)


def _add_histogram(
    family: Family, labels: tuple[str, ...], bounds: tuple[float, ...], histogram: _Histogram
) -> None:
    assert isinstance(family, HistogramMetricFamily)
    cumulated = 0
    buckets: list[tuple[str, float]] = []
    bound_names = [*(repr(bound) for bound in bounds), "+Inf"]
    for name, count in zip(bound_names, list(histogram.counts), strict=True):
        cumulated += count
        buckets.append((name, cumulated))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.total)
