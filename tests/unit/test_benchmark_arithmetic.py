"""The arithmetic under the benchmark report: a wrong percentile would be a false promise."""

from __future__ import annotations

import json

import pytest
from benchmarks import chart, figures, report
from benchmarks.harness import Contender, Figure, Placement, Result, without
from benchmarks.measures import Batch, Metric, Role, Target, percentile, summarise
from benchmarks.verdict import ratio, verdicts


def _figure(metric: Metric = Metric.P50, *targets: Target) -> Figure:
    def no_probe(remote: object) -> object:
        raise AssertionError("nothing is measured here")

    contenders = tuple(
        Contender(name, role, "nowhere:Nobody", no_probe)  # type: ignore[arg-type]
        for name, role in (("Samovar", Role.SAMOVAR), ("floor", Role.FLOOR))
    )
    return Figure("name", "Title", metric, contenders, targets, rounds=3, batch=1, warm_up=0)


def _result(ours: list[float], theirs: list[float], *targets: Target) -> Result:
    result = Result(_figure(Metric.ELAPSED, *targets))
    result.summaries[Placement.FREE] = {
        name: summarise([Batch(1, value) for value in values], Metric.ELAPSED)
        for name, values in (("Samovar", ours), ("floor", theirs))
    }
    return result


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7], 1) == percentile([7], 99) == 7


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_values_of_a_batch() -> None:
    batch = Batch(4, 2.0, [1_000, 2_000, 3_000, 4_000], size=7.0, engine_cpu=8.0)
    assert batch.value(Metric.P50) == pytest.approx(2e-6)
    assert batch.value(Metric.P99) == pytest.approx(4e-6)
    assert batch.value(Metric.RATE) == 2.0
    assert batch.value(Metric.ELAPSED) == 2.0
    assert batch.value(Metric.BYTES) == 7.0
    assert batch.value(Metric.CPU) == 2.0


def test_a_batch_does_not_invent_what_was_not_measured() -> None:
    with pytest.raises(ValueError, match="no p50"):
        Batch(1, 1.0).value(Metric.P50)
    with pytest.raises(ValueError, match="no bytes"):
        Batch(1, 1.0).value(Metric.BYTES)


def test_quantiles_are_over_all_calls_of_all_rounds() -> None:
    summary = summarise([Batch(3, 1.0, [1, 1, 1]), Batch(3, 1.0, [9, 9, 5])], Metric.P50)
    assert summary.p50 == pytest.approx(1e-9)
    assert summary.p90 == pytest.approx(9e-9)
    assert list(summary.values) == pytest.approx([1e-9, 9e-9])


def test_quantiles_of_a_load_generator_are_the_median_of_the_rounds() -> None:
    batches = [Batch(1, 1.0, quantiles={50: value, 99: 1.0}) for value in (0.1, 0.9, 0.2)]
    assert summarise(batches, Metric.P50).p50 == 0.2


def test_cpu_is_weighed_by_invocations() -> None:
    batches = [Batch(1, 1.0, engine_cpu=1.0), Batch(9, 1.0, engine_cpu=1.0, tree_cpu=5.0)]
    summary = summarise(batches, Metric.ELAPSED)
    assert summary.engine_cpu == pytest.approx(0.2)
    assert summary.tree_cpu == pytest.approx(0.5)


def test_ratios_are_paired_by_round() -> None:
    # Both slow down tenfold in the last round: paired, the ratio stays 2 throughout.
    found = ratio(_result([2, 4, 40], [1, 2, 20]), Placement.FREE, "floor")
    assert found is not None
    assert (found.median, found.lower, found.upper) == (2, 2, 2)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target(2.0, "floor"), True),
        (Target(1.9, "floor"), False),
        (Target(2.0, "floor", at_least=True), True),
        (Target(2.1, "floor", at_least=True), False),
        (Target(4.0), True),
        (Target(3.9), False),
    ],
)
def test_verdicts(target: Target, met: bool) -> None:
    (verdict,) = verdicts(_result([4, 4, 4], [2, 2, 2], target))
    assert verdict.met is met


@pytest.mark.parametrize("target", [Target(100.0), Target(100.0, "floor")])
def test_a_promise_nobody_checked_is_not_kept(target: Target) -> None:
    result = _result([1], [1], target)
    del result.summaries[Placement.FREE]["Samovar"]
    (verdict,) = verdicts(result)
    assert verdict.value is None
    assert not verdict.met


def test_a_missing_floor_leaves_its_target_unmeasured() -> None:
    result = _result([1], [1], Target(100.0, "floor"))
    del result.summaries[Placement.FREE]["floor"]
    assert verdicts(result)[0].value is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (12.34e-6, "12.3 us"), (1.5e-3, "1.5 ms"), (2.0, "2 s"), (0.0, "0 us")],
)
def test_durations_as_text(seconds: float | None, text: str) -> None:
    assert report.duration(seconds) == text


def test_targets_as_text() -> None:
    assert report.target_text(Target(0.6, "loop", at_least=True), Metric.RATE) == ">= 0.6 x loop"
    assert report.target_text(Target(1.5e6), Metric.BYTES) == "<= 1.5 MB"


def test_the_json_is_json_and_complete() -> None:
    result = _result([4, 4, 4], [2, 2, 2], Target(2.0, "floor"))
    result.missing["peer"] = "not installed"
    document = json.loads(json.dumps(report.as_json([result], {"cores": 2})))
    (figure,) = document["figures"]
    assert figure["verdicts"] == [
        {"placement": "free", "target": "<= 2 x floor", "value": 2.0, "met": True}
    ]
    free = figure["contenders"]["floor"]["placements"]["free"]
    assert free["values"] == [2, 2, 2]
    assert free["samovar_over_this"] == {"median": 2.0, "lower": 2.0, "upper": 2.0}
    assert figure["missing"] == {"peer": "not installed"}


def test_leaving_a_role_out() -> None:
    assert [c.name for c in without(_figure(), {Role.FLOOR}).contenders] == ["Samovar"]


@pytest.mark.parametrize(
    ("target", "share"),
    [(Target(4.0, "floor"), 0.5), (Target(4.0, "floor", at_least=True), 2.0)],
)
def test_bars_are_shares_of_the_limit(target: Target, share: float) -> None:
    (verdict,) = verdicts(_result([4, 4, 4], [2, 2, 2], target))
    assert chart.used_share(verdict) == share


@pytest.mark.parametrize("quick", [True, False])
def test_every_figure_is_well_formed(quick: bool) -> None:
    built = figures.build(quick)
    assert len({figure.name for figure in built}) == len(built)
    for figure in built:
        names = [contender.name for contender in figure.contenders]
        assert len(set(names)) == len(names)
        roles = [contender.role for contender in figure.contenders]
        assert roles.count(Role.SAMOVAR) == 1
        assert figure.targets
        for target in figure.targets:
            assert target.against is None or target.against in names
