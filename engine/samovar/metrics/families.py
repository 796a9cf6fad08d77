"""The families of one scrape, as prometheus-client renders them."""

from __future__ import annotations

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)

from samovar.metrics import names
from samovar.metrics.counts import Histogram
from samovar.metrics.names import Kind, Metric


class Page:
    """All families of one scrape."""

    def __init__(self) -> None:
        self.families = {metric.name: family_of(metric) for metric in names.ALL}

    def add(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        family = self.families[metric.name]
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
        family.add_metric(labels, value)

    def histogram(self, metric: Metric, labels: tuple[str, ...], histogram: Histogram) -> None:
        family = self.families[metric.name]
        assert isinstance(family, HistogramMetricFamily)
        cumulated = 0
        buckets: list[tuple[str, float]] = []
        bounds = [*(repr(bound) for bound in metric.buckets), "+Inf"]
        for bound, count in zip(bounds, list(histogram.counts), strict=True):
            cumulated += count
            buckets.append((bound, cumulated))
        family.add_metric(labels, buckets=buckets, sum_value=histogram.total)


def family_of(metric: Metric) -> Family:
    """A family without samples."""
    if metric.kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
