"""Dashboards ask for metrics that there are, by labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samovar.metrics import names
from samovar.metrics.names import Kind

BOARDS = sorted((Path(__file__).resolve().parents[3] / "deploy" / "grafana").glob("*.json"))
OUTCOMES = {
    *("polled", "filtered", "invoked", "failed", "dropped", "delivered", "deleted", "committed")
}
_LABELS_OF_HISTOGRAMS = {"le"}
_SELECTED = re.compile(r"(samovar_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')


def labels_by_name() -> dict[str, set[str]]:
    """What can be selected, and the labels of each."""
    found: dict[str, set[str]] = {}
    for metric in names.ALL:
        labels = set(metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            for suffix in ("_bucket", "_count", "_sum"):
                found[metric.name + suffix] = labels | _LABELS_OF_HISTOGRAMS
        else:
            found[metric.name] = labels
    return found


def expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each with what its legend says."""
    for panel in board["panels"]:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_panel_asks_for_what_is_there(path: Path) -> None:
    known = labels_by_name()
    for expression, legend in expressions(json.loads(path.read_text())):
        selected = _SELECTED.findall(expression)
        assert selected, expression
        for name, labels in selected:
            assert name in known, expression
            assert {label for label, _ in _LABEL.findall(labels)} <= known[name], expression
            kept = set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", expression))))
            assert kept <= known[name], expression
            assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= kept, legend


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_variables_and_panels_fit_together(path: Path) -> None:
    board = json.loads(path.read_text())
    variables = {one["name"]: one for one in board["templating"]["list"]}
    for one in variables.values():
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["query"])
        if found is not None:
            assert found[2] in labels_by_name()[found[1]]
    used = re.findall(r"\$\{?([a-z]\w*)", json.dumps(board["panels"]))
    assert set(used) == {*variables}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len({*ids})
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len({*cells}), "panels lie on each other"
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_of_event_sources_leaves_nothing_out() -> None:
    (path,) = [path for path in BOARDS if path.stem == "event-sources"]
    found = " ".join(expression for expression, _ in expressions(json.loads(path.read_text())))
    for metric in names.ALL:
        if metric.name.startswith("samovar_event_source_"):
            assert metric.name in found
    assert {*re.findall(r'outcome="(\w+)"', found)} == OUTCOMES
    # What the table promises is what the panels show.
    promised = names.SOURCE_EVENTS.help.rpartition(": ")[2]
    assert {*re.findall(r"\w+", promised)} == OUTCOMES
