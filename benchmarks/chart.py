"""The promises as a picture: how much of each limit is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Result
from benchmarks.report import target_text, value_text
from benchmarks.verdict import Verdict, verdicts

_KEPT, _MISSED = "#2a7f62", "#c0392b"
_LONGEST = 3.0  # a bar beyond three times its limit is cut and says so


def draw(results: Sequence[Result], path: Path) -> None:
    """Write a PNG: one bar per promise, drawn as the share of its limit; 1 is the limit itself.

    For «at least» promises the share is limit over value, so that shorter is better everywhere.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [
        (result, verdict)
        for result in results
        for verdict in verdicts(result)
        if verdict.value is not None
    ]
    figure, axes = pyplot.subplots(figsize=(11, 1.2 + 0.38 * max(1, len(rows))))
    for position, (result, verdict) in enumerate(rows):
        share = used_share(verdict)
        axes.barh(position, min(share, _LONGEST), color=_KEPT if verdict.met else _MISSED)
        label = _label(result, verdict) + (" (bar cut)" if share > _LONGEST else "")
        place = min(share, _LONGEST) + 0.03
        text = axes.text(place, position, label, va="center", fontsize=8)
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # over the line
    names = [_name(result, verdict) for result, verdict in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.invert_yaxis()
    axes.axvline(1.0, color="black", linewidth=1.2, zorder=2)
    axes.set_xlim(0, _LONGEST + 0.5)
    axes.set_xlabel("share of the limit used (the line is the limit; shorter is better)")
    axes.set_title("Samovar: promises and measurements")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=140)
    pyplot.close(figure)


def used_share(verdict: Verdict) -> float:
    assert verdict.value is not None
    if verdict.target.at_least:
        return verdict.target.limit / verdict.value
    return verdict.value / verdict.target.limit


def _label(result: Result, verdict: Verdict) -> str:
    assert verdict.value is not None
    if verdict.target.against is None:
        return value_text(verdict.value, result.figure.metric)
    return f"{verdict.value:.2f} x"


def _name(result: Result, verdict: Verdict) -> str:
    target = target_text(verdict.target, result.figure.metric)
    return f"{result.figure.name} ({verdict.placement})\n{target}"
