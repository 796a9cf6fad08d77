"""Nothing that was accepted is lost, wherever an engine, a zygote or a worker is killed.

`crashes/nest.py` has the lives and the kills; it can be run by itself for thousands of them. An
event is accepted once its future is done, as for a 202; that it ran is told by its handler to a
socket outside of all engines, and what was delivered is fetched from real neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api import neighbour
from tests.process.programs import told

pytestmark = pytest.mark.usefixtures("prepared")

PATIENCE = 300.0  # seconds; only a nest that hangs takes them
PARTS, KILLS = 4, 48  # and 8 behind walls: 200


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with neighbour.running(tmp_path_factory.mktemp("moto")) as running:
        yield running.url


def nest(directory: Path, url: str, *options: str) -> dict[str, Any]:
    name = "tests.process.crashes.nest"
    return told("-m", name, str(directory), url, *options, patience=PATIENCE)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_at_any_point_loses_nothing(part: int, moto: str, tmp_path: Path) -> None:
    ended = nest(tmp_path, moto, "--kills", f"{KILLS}", "--part", f"{part}", "--of", f"{PARTS}")
    assert ended["lost"] == []
    assert (ended["kills"], ended["unreached"]) == (KILLS, [])
    assert ended["accepted"] > KILLS


def test_so_it_is_behind_walls(moto: str, tmp_path: Path) -> None:
    ended = nest(tmp_path, moto, "--kills", "8", "--seed", "1", "--walled")
    assert (ended["lost"], ended["kills"]) == ([], 8)
