"""What the observer was told is what Prometheus reads."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from samovar.metrics import names
from samovar.metrics.asynchronous import DELETED
from samovar.metrics.counts import MAX_ERROR_TYPES, Traffic
from samovar.metrics.event_sources import SourceNumbers
from samovar.metrics.freezing import FreezeNumbers
from samovar.metrics.names import Kind, Metric
from samovar.metrics.observer import Observer, SilentObserver
from samovar.metrics.occupancy import NOTHING, Occupancy, ProvisionedUse
from samovar.metrics.prometheus import PrometheusObserver

ROOT = Path(__file__).resolve().parents[3]
LATEST = "$LATEST"
ON_DEMAND = "on-demand"
INVOKED = {"function": "f", "qualifier": LATEST, "version": LATEST}
HOOKS = [name for name in vars(Observer) if not name.startswith("_")]


def samples(observer: PrometheusObserver) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels, read back through Prometheus's own parser."""
    found = {}
    for family in text_string_to_metric_families(observer.text().decode()):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(observer: PrometheusObserver, name: str, **labels: str) -> float:
    return samples(observer)[name, frozenset(labels.items())]


def told_everything() -> PrometheusObserver:
    observer = PrometheusObserver()
    observer.invocation_finished("f", LATEST, LATEST, "cold", 0.2, 0.0001, "Sandbox.Timedout")
    observer.invocation_throttled("f", LATEST, LATEST, "concurrency")
    observer.invocation_failed("f", "start failed")
    observer.invocation_spilled_over("f", "live", "3")
    observer.cold_start("f", LATEST, ON_DEMAND, environment=0.002, package=0.03, init=0.15)
    observer.watch_contexts(lambda: {"starting": 1})
    observer.watch_memory(lambda: 12)
    observer.watch_freezing(lambda: FreezeNumbers(1, 2, {"EPERM": 1}))
    observer.zygote_started("python3.11", "bare")
    observer.zygote_died("python3.11", "bare", expected=False)
    observer.wall("mount namespace", held=True)
    use = ProvisionedUse(requested=5, ready=4, busy=1)
    observer.watch_occupancy(
        lambda: Occupancy(10, {("f", "live", "3"): 2}, 1, 6, {"f": 5}, {("f", "3"): use})
    )
    observer.watch_lost_records(lambda: {("files", "the disk refuses them"): 3})
    told_of_events(observer)
    numbers = SourceNumbers()
    numbers.events["polled"] = numbers.errors["AccessDenied"] = numbers.pollers = 1
    numbers.ages = {"one": 0.25, "other": 0.125, "caught up": 0.0}
    numbers.lags = {"t-0": 7}
    observer.watch_sources(lambda: {"uuid": numbers})
    observer.records_not_delivered("uuid", "sqs")
    observer.watch_queue(lambda: {("event", "waiting"): 7})
    return observer


def told_of_events(observer: PrometheusObserver) -> None:
    observer.event_received("f")
    observer.event_started("f", 0.004)
    observer.event_retried("f", "function error")
    observer.event_dropped("f", "RetriesExhausted")
    observer.recursion_stopped("f")
    observer.delivered("f", "on-failure", "sqs")
    observer.delivery_retried("f", "dead-letter", "sns")
    observer.delivery_failed("f", "dead-letter", "sns")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", [SilentObserver, PrometheusObserver])
def test_observers_have_every_hook_with_the_protocols_signature(kind: type, hook: str) -> None:
    assert inspect.signature(getattr(kind, hook)) == inspect.signature(getattr(Observer, hook))


def test_every_metric_of_the_table_is_scraped_and_no_other() -> None:
    text = told_everything().text().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    table = {metric.name.removesuffix("_total"): metric for metric in names.ALL}
    assert families.keys() == table.keys()
    for name, family in families.items():
        assert family.type == table[name].kind.value
        assert family.documentation == table[name].help
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels == set(table[name].labels)


@pytest.mark.parametrize("metric", names.ALL, ids=lambda metric: metric.name)
def test_names_follow_prometheuss_rules(metric: Metric) -> None:
    assert metric.name.startswith("samovar_")
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.name.endswith("_seconds") == (metric.kind is Kind.HISTOGRAM)
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


def test_the_age_of_a_stream_is_told_in_milliseconds() -> None:
    name = "samovar_event_source_iterator_age_milliseconds"
    assert value(told_everything(), name, mapping="uuid") == 250.0
    observer = PrometheusObserver()
    observer.watch_sources(lambda: {"queue": SourceNumbers()})
    assert not any(sample == name for sample, _ in samples(observer))


def test_records_that_a_destination_was_told_of_count_for_their_mapping() -> None:
    observer, numbers = PrometheusObserver(), SourceNumbers()
    observer.watch_sources(lambda: {"uuid": numbers})
    for mapping in ("uuid", "deleted meanwhile"):
        observer.records_not_delivered(mapping, "sns")
        observer.records_delivered(mapping, 3)
        observer.records_delivered(mapping, 4)
    assert {key: count for key, count in samples(observer).items() if "event_source" in key[0]} == {
        ("samovar_event_source_events_total", of(mapping="uuid", outcome="delivered")): 7.0,
        ("samovar_event_source_delivery_errors_total", of(mapping="uuid", service="sns")): 1.0,
        ("samovar_event_source_pollers", of(mapping="uuid")): 0.0,
    }


def of(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def test_durations_start_at_half_a_millisecond() -> None:
    assert names.INVOCATION_DURATION.buckets[0] == 0.0005


@pytest.mark.parametrize(
    ("seconds", "first_bucket"),
    [(0.0, "0.0005"), (0.0005, "0.0005"), (0.00051, "0.001"), (900.0, "900.0"), (901.0, "+Inf")],
)
def test_a_duration_lands_in_the_bucket_whose_bound_includes_it(
    seconds: float, first_bucket: str
) -> None:
    observer = PrometheusObserver()
    observer.invocation_finished("f", LATEST, LATEST, "warm", seconds, 0.0, "")
    name = "samovar_invocation_duration_seconds"
    buckets = {
        dict(labels)["le"]: count
        for (sample, labels), count in samples(observer).items()
        if sample == f"{name}_bucket"
    }
    holding = {float(bound) for bound, count in buckets.items() if count == 1}
    assert min(holding) == float(first_bucket)
    assert holding == {float(bound) for bound in buckets if float(bound) >= float(first_bucket)}
    assert value(observer, f"{name}_sum", **INVOKED, start="warm") == seconds
    assert value(observer, f"{name}_count", **INVOKED, start="warm") == 1


def test_start_kinds_are_counted_apart_and_the_overhead_together() -> None:
    observer = PrometheusObserver()
    for start in ("cold", "warm", "warm", "provisioned"):
        observer.invocation_finished("f", LATEST, LATEST, start, 0.001, 0.00002, "")
    name = "samovar_invocation_duration_seconds_count"
    counts = {
        start: value(observer, name, **INVOKED, start=start)
        for start in ("cold", "warm", "provisioned")
    }
    assert counts == {"cold": 1, "warm": 2, "provisioned": 1}
    assert value(observer, "samovar_dispatch_overhead_seconds_count") == 4


def test_concurrency_is_asked_for_at_every_scrape() -> None:
    observer = told_everything()
    in_flight = "samovar_concurrent_executions"
    assert value(observer, in_flight, function="f", qualifier="live", version="3") == 2
    # Nothing is in flight there now, but something was.
    assert value(observer, in_flight, **INVOKED) == 0
    account = "samovar_account"
    assert value(observer, f"{account}_concurrent_executions") == 2
    assert value(observer, f"{account}_unreserved_concurrent_executions") == 1
    assert value(observer, f"{account}_claimed_concurrency") == 6
    assert value(observer, f"{account}_concurrency_limit") == 10
    assert value(observer, "samovar_reserved_concurrency", function="f") == 5
    provisioned = "samovar_provisioned_concurrency"
    of_version = {"function": "f", "version": "3"}
    assert value(observer, f"{provisioned}_requested", **of_version) == 5
    assert value(observer, f"{provisioned}_ready", **of_version) == 4
    assert value(observer, f"{provisioned}_utilization_ratio", **of_version) == 0.25
    observer.watch_occupancy(lambda: NOTHING)
    assert value(observer, f"{account}_concurrency_limit") == 0
    assert (f"{provisioned}_ready", frozenset(of_version.items())) not in samples(observer)


def test_nothing_of_none_is_no_utilization() -> None:
    assert ProvisionedUse(requested=5, ready=0, busy=0).utilization == 0


def test_cold_starts_are_told_by_phase() -> None:
    observer = PrometheusObserver()
    observer.cold_start("f", LATEST, ON_DEMAND, environment=0.002, package=0.03, init=0.15)
    observer.cold_start("f", LATEST, ON_DEMAND, environment=0.004, package=0.0, init=0.15)
    name = "samovar_cold_start_phase_seconds_sum"
    assert value(
        observer, name, function="f", version=LATEST, kind=ON_DEMAND, phase="environment"
    ) == pytest.approx(0.006)
    assert value(
        observer, name, function="f", version=LATEST, kind=ON_DEMAND, phase="package"
    ) == pytest.approx(0.03)
    assert value(
        observer, name, function="f", version=LATEST, kind=ON_DEMAND, phase="init"
    ) == pytest.approx(0.3)
    assert (
        value(observer, "samovar_cold_starts_total", function="f", version=LATEST, kind=ON_DEMAND)
        == 2
    )


def test_a_timeout_counts_as_an_error_and_as_a_timeout() -> None:
    observer = PrometheusObserver()
    observer.invocation_finished("f", LATEST, LATEST, "warm", 3.0, 0.0, "Sandbox.Timedout")
    observer.invocation_finished("f", LATEST, LATEST, "warm", 3.0, 0.0, "ValueError")
    assert value(observer, "samovar_timeouts_total", **INVOKED) == 1
    errors = "samovar_function_errors_total"
    assert value(observer, errors, **INVOKED, error_type="Sandbox.Timedout") == 1
    assert value(observer, errors, **INVOKED, error_type="ValueError") == 1


def test_error_types_are_bounded_but_timeouts_are_never_lumped_together() -> None:
    observer = PrometheusObserver()
    for number in range(MAX_ERROR_TYPES + 7):
        observer.invocation_finished("f", LATEST, LATEST, "warm", 0.1, 0.0, f"Error{number}")
    observer.invocation_finished("f", LATEST, LATEST, "warm", 0.1, 0.0, "Sandbox.Timedout")
    errors = "samovar_function_errors_total"
    assert value(observer, errors, **INVOKED, error_type="other") == 7
    assert value(observer, errors, **INVOKED, error_type="Error0") == 1
    assert value(observer, "samovar_timeouts_total", **INVOKED) == 1


def test_contexts_are_asked_for_at_every_scrape() -> None:
    observer = PrometheusObserver()
    states = {"idle": 2}
    observer.watch_contexts(lambda: states)
    assert value(observer, "samovar_contexts", state="idle") == 2
    states = {"idle": 1, "busy": 1}
    assert value(observer, "samovar_contexts", state="idle") == 1
    assert value(observer, "samovar_contexts", state="busy") == 1


def test_freezing_is_asked_for_at_each_scrape() -> None:
    observer = PrometheusObserver()
    assert value(observer, "samovar_contexts_frozen") == 0
    observer.watch_freezing(lambda: FreezeNumbers(3, 40, {"EPERM": 2}))
    assert value(observer, "samovar_contexts_frozen") == 3
    assert value(observer, "samovar_freezes_total") == 40
    assert value(observer, "samovar_freeze_failures_total", error="EPERM") == 2


def test_only_unexpected_deaths_of_zygotes_are_deaths() -> None:
    observer = PrometheusObserver()
    where = {"interpreter": "python3.12", "preload": "boto3"}
    for expected in (True, False):
        observer.zygote_started(**where)
        observer.zygote_died(**where, expected=expected)
    observer.zygote_started(**where)
    assert value(observer, "samovar_zygotes", **where) == 1
    assert value(observer, "samovar_zygote_deaths_total", **where) == 1


def test_walls_say_what_holds() -> None:
    observer = PrometheusObserver()
    observer.wall("pid namespace", held=True)
    observer.wall("mount namespace", held=False)
    assert value(observer, "samovar_wall_held", wall="pid namespace") == 1
    assert value(observer, "samovar_wall_held", wall="mount namespace") == 0


def test_a_deleted_functions_series_are_let_go() -> None:
    observer = told_everything()
    observer.invocation_finished("other", LATEST, LATEST, "warm", 0.1, 0.0, "")
    observer.function_removed("f")
    observer.function_removed("never seen")
    functions = {dict(labels).get("function") for _, labels in samples(observer)}
    # Of "f" there is what is asked for at a scrape, as long as somebody says so.
    told = {name for name, labels in samples(observer) if dict(labels).get("function") == "f"}
    assert all("concurren" in name for name in told)
    observer.watch_occupancy(lambda: NOTHING)
    functions = {dict(labels).get("function") for _, labels in samples(observer)}
    assert functions == {None, "other"}


def test_events_are_counted_by_what_became_of_them() -> None:
    observer = told_everything()
    observer.event_started("f", 61)
    observer.event_dropped("f", "EventAgeExceeded")
    queue = "samovar_async"
    assert value(observer, f"{queue}_events_received_total", function="f") == 1
    assert value(observer, f"{queue}_event_age_seconds_sum", function="f") == 61.004
    assert value(observer, f"{queue}_event_age_seconds_bucket", function="f", le="60.0") == 1
    retries = f"{queue}_event_retries_total"
    assert value(observer, retries, function="f", reason="function error") == 1
    for condition in ("RetriesExhausted", "EventAgeExceeded"):
        dropped = f"{queue}_events_dropped_total"
        assert value(observer, dropped, function="f", condition=condition) == 1
    assert value(observer, "samovar_recursive_invocations_dropped_total", function="f") == 1
    assert value(observer, f"{queue}_queue_items", kind="event", state="waiting") == 7
    sqs = {"function": "f", "channel": "on-failure", "service": "sqs"}
    assert value(observer, f"{queue}_deliveries_total", **sqs) == 1
    sns = {"function": "f", "channel": "dead-letter", "service": "sns"}
    assert value(observer, f"{queue}_delivery_retries_total", **sns) == 1
    assert value(observer, f"{queue}_delivery_failures_total", **sns) == 1


def functions_told_of(observer: PrometheusObserver) -> set[str]:
    return {
        dict(labels)["function"] for _, labels in samples(observer) if "function" in dict(labels)
    }


def test_events_that_outlive_their_functions_are_counted_together() -> None:
    observer = PrometheusObserver()
    for number in range(5):
        observer.event_received(f"f{number}")
        observer.function_removed(f"f{number}")
        observer.event_dropped(f"f{number}", "FunctionDeleted")
        observer.delivered(f"f{number}", "on-failure", "sqs")
    assert functions_told_of(observer) == {DELETED}
    dropped = "samovar_async_events_dropped_total"
    assert value(observer, dropped, function=DELETED, condition="FunctionDeleted") == 5
    for number, comes_back in enumerate(
        (observer.event_received, lambda name: observer.event_started(name, 1.0))
    ):
        comes_back(f"f{number}")
        observer.event_dropped(f"f{number}", "RetriesExhausted")
        assert value(observer, dropped, function=f"f{number}", condition="RetriesExhausted") == 1


def versions_told_of(observer: PrometheusObserver) -> set[tuple[str | None, str | None]]:
    """The qualifiers and versions that there are series of."""
    return {
        (dict(labels).get("qualifier"), dict(labels)["version"])
        for _, labels in samples(observer)
        if "version" in dict(labels)
    }


def of_two_versions() -> PrometheusObserver:
    observer = PrometheusObserver()
    for qualifier, version in (("live", "1"), ("live", "2"), ("1", "1"), (LATEST, LATEST)):
        observer.invocation_finished("f", qualifier, version, "warm", 0.1, 0.0, "ValueError")
        observer.invocation_throttled("f", qualifier, version, "reserved")
        observer.invocation_spilled_over("f", qualifier, version)
    for version in ("1", "2", LATEST):
        observer.cold_start("f", version, ON_DEMAND, environment=0.1, package=0.1, init=0.1)
    return observer


def test_a_deleted_versions_series_are_let_go() -> None:
    observer = of_two_versions()
    observer.version_removed("f", "1")
    observer.version_removed("f", "never seen")
    observer.version_removed("never seen", "1")
    expected = {("live", "2"), (LATEST, LATEST), (None, "2"), (None, LATEST)}
    assert versions_told_of(observer) == expected


@pytest.mark.parametrize(
    ("leads_to", "left"),
    [
        (frozenset({"2"}), {("live", "2")}),
        (frozenset({"1", "2"}), {("live", "1"), ("live", "2")}),
        (frozenset[str](), set()),
    ],
    ids=["moved", "weighted", "deleted"],
)
def test_an_alias_has_series_of_the_versions_that_it_leads_to(
    leads_to: frozenset[str], left: set[tuple[str, str]]
) -> None:
    observer = of_two_versions()
    observer.alias_changed("f", "live", leads_to)
    observer.alias_changed("never seen", "live", leads_to)
    of_no_alias = {("1", "1"), (LATEST, LATEST), (None, "1"), (None, "2"), (None, LATEST)}
    assert versions_told_of(observer) == left | of_no_alias


def test_a_functions_traffic_is_told_by_version() -> None:
    found = of_two_versions().traffic()["f"]
    assert set(found) == {"1", "2", LATEST}
    assert found["1"] == Traffic(
        invocations={"warm": 2},
        errors=2,
        spillovers=2,
        cold_starts={ON_DEMAND: 1},
        throttles={"reserved": 2},
    )


def test_names_with_quotes_and_line_breaks_survive_the_text_format() -> None:
    observer = PrometheusObserver()
    error_type = 'Odd"Name\\with\nbreak'
    observer.invocation_finished("f", LATEST, LATEST, "warm", 0.1, 0.0, error_type)
    assert value(observer, "samovar_function_errors_total", **INVOKED, error_type=error_type)


def test_a_registry_of_the_users_own_refuses_a_clash_of_names() -> None:
    registry = CollectorRegistry()
    Counter("samovar_cold_starts", "somebody else's", registry=registry)
    with pytest.raises(ValueError, match="samovar_cold_starts"):
        registry.register(PrometheusObserver())


def test_the_documentation_carries_the_table() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert names.markdown_table() in page, "docs/metrics.md: replace its table by markdown_table()"
