"""Engines that read a topic of Kafka are killed in phases of a batch: no record is skipped, each
comes in the order of its partition, and nothing that was committed is run again.

`crashes/topic_nest.py` has the lives and the kills; it can be run by itself for more of them. A
group waits for its dead member for as long as its session is, so lives take seconds, of which they
sleep most: several engines live at once, each with a topic of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api import neighbour
from tests.process.programs import CHECKOUT, environment

PATIENCE = 300.0  # seconds; only a nest that hangs takes them
# Where each of them is killed, one time after the other.
PHASES = (
    ("handler:began", "commit:before"),
    ("invoke:after", "backoff:before"),
    ("commit:after", "queue.put:after"),
    ("starts:after", "send:after"),
)
EARLY = ("handler:before",)

Nest = subprocess.Popen[str]


@pytest.fixture(scope="module")
def nests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, ...], Nest]]:
    """All of them, begun at once."""
    with neighbour.running(tmp_path_factory.mktemp("moto")) as moto:
        begun: dict[tuple[str, ...], Nest] = {}
        try:
            for phases in PHASES:
                begun[phases] = nest(tmp_path_factory.mktemp("nest"), moto.url, phases)
            directory = tmp_path_factory.mktemp("nest")
            begun[EARLY] = nest(directory, moto.url, EARLY, "--early")
            yield begun
        finally:
            for one in begun.values():
                one.kill()
                one.communicate()


def nest(directory: Path, url: str, phases: tuple[str, ...], *options: str) -> Nest:
    at = [part for phase in phases for part in ("--at", phase)]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.process.crashes.topic_nest", str(directory), url),
            *(*at, *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=CHECKOUT,
    )


def outcome(nest: Nest) -> dict[str, Any]:
    out, err = nest.communicate(timeout=PATIENCE)
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.mark.parametrize("phases", PHASES, ids=lambda phases: phases[0])
def test_a_kill_skips_nothing(phases: tuple[str, ...], nests: dict[tuple[str, ...], Nest]) -> None:
    told = outcome(nests[phases])
    assert (told["wrong"], told["unreached"], told["kills"]) == ([], [], len(phases))
    assert told["again"] > 0


def test_a_commit_before_its_batch_is_found_out(nests: dict[tuple[str, ...], Nest]) -> None:
    told = outcome(nests[EARLY])
    assert any("the checkpoint has passed" in said for said in told["wrong"])
    assert any("was skipped" in said for said in told["wrong"])
