"""The samples as a picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samovar.doors.cli.bench.sample import PHASES, REST, Round, Sample
from samovar.doors.cli.bench.summary import SHARES, percentiles
from samovar.doors.cli.exits import Exit, Failure

_COLOURS = dict(
    zip((*PHASES, REST), ("#30638e", "#d1495b", "#edae49", "#2a7f62", "#b0b0b0"), strict=True)
)


# From this ratio of the slowest to the fastest on, the scale is logarithmic.
_LONG_TAIL = 10


def demand_matplotlib() -> None:
    """Raise Failure if there is none: before anything is measured."""
    try:
        import matplotlib  # noqa: F401, PLC0415
    except ImportError as error:
        install = f"{sys.executable} -m pip install matplotlib"
        raise Failure(Exit.USAGE, f"--png needs matplotlib: {install}") from error


def demand_directory(path: Path) -> None:
    """Raise Failure if `path` can't be made: before anything is measured."""
    if not path.parent.is_dir():
        raise Failure(Exit.USAGE, f"{path} can't be written: {path.parent} is no directory")


def draw(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Write a PNG: each cold start as a bar of its phases, and how many of the warm invocations
    took how long at most. Raises Failure if it can't be written."""
    # Not at the top: it takes half a second, and is an extra.
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    rounds = [
        which
        for which in Round
        if any(sample.round is which and sample.counts for sample in samples)
    ]
    figure, axes = pyplot.subplots(
        1, max(1, len(rounds)), figsize=(6.5 * max(1, len(rounds)), 4.5), squeeze=False
    )
    try:
        for axis, which in zip(axes[0], rounds, strict=False):
            counted = [sample for sample in samples if sample.round is which and sample.counts]
            if which is Round.COLD:
                _draw_cold(axis, counted)
            else:
                _draw_warm(axis, counted)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
        figure.suptitle(title, fontsize=10)
        figure.tight_layout()
        figure.savefig(path, format="png", dpi=130)
    except OSError as error:
        raise Failure(Exit.USAGE, f"{path} can't be written: {error.strerror}") from error
    finally:
        pyplot.close(figure)


def _draw_cold(axis: Any, samples: Sequence[Sample]) -> None:
    positions = range(1, len(samples) + 1)
    below = [0.0] * len(samples)
    for name, colour in _COLOURS.items():
        heights = [sample.parts().get(name, 0.0) for sample in samples]
        axis.bar(positions, heights, bottom=below, color=colour, label=name, width=0.85)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axis.set_ylim(top=1.25 * max(below))  # room for the legend
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel("cold start")
    axis.set_ylabel("ms")
    axis.set_title(f"cold, by phase ({len(samples)})")
    axis.legend(fontsize=8, ncols=5, loc="upper center", frameon=False, columnspacing=1)


def _draw_warm(axis: Any, samples: Sequence[Sample]) -> None:
    totals = sorted(sample.total for sample in samples)
    shares = [100 * (rank + 1) / len(totals) for rank in range(len(totals))]
    axis.step(totals, shares, where="post", color=_COLOURS["handler"])
    for name, value in percentiles(totals).items():
        share = 100 * SHARES[name]
        axis.plot([value], [share], "o", color=_COLOURS["package"], markersize=4)
        # The last two are close to each other, often.
        side, edge = ("right", "bottom") if name == "max" else ("left", "top")
        text = f" {name} {value:.2f} ms "
        axis.annotate(text, (value, share), fontsize=8, ha=side, va=edge)
    axis.set_ylim(top=108)
    if totals[-1] > _LONG_TAIL * totals[0]:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(_plainly)
        axis.xaxis.set_minor_formatter(_plainly)
    axis.set_xlabel("ms that the caller waited")
    axis.set_ylabel("% of the invocations took at most that")
    axis.set_title(f"warm ({len(totals)})")


def _plainly(value: float, _: int) -> str:
    """1, 2, 5, 10 …; nothing for the marks between them, which would stand on each other."""
    text = f"{value:g}"
    return text if text.strip("0.") in ("1", "2", "5") else ""
