"""Engines that read a stream are killed in every phase of a batch: no record is skipped, each comes
in its order, and nothing that was written down is run again.

`crashes/stream_nest.py` has the lives and the kills; it can be run by itself for more of them. What
ran is in a file that handlers write and sync; how far shards were read is read from the leases'
file between two lives, and what was given up is fetched from a real queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api import neighbour
from tests.process.crashes.stream_points import BEGINNING, PHASES, RESHARDING
from tests.process.programs import told

pytestmark = pytest.mark.usefixtures("prepared")

PARTS = 3  # each of them far below what a test may take on a busy machine
PATIENCE = 300.0  # seconds; only a nest that hangs takes them
# What is another thing for another source, and what is another thing with lanes.
OF_A_SOURCE = (
    *("shards:after", "iterator:after", "records:after", "handler:began", "handler:done"),
    *("leases.checkpoint:before", "leases.checkpoint:after", "backoff:before", "queue.put:after"),
)
OF_LANES = ("handler:began", "invoke:after", "leases.checkpoint:after", "backoff:before")


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with neighbour.running(tmp_path_factory.mktemp("moto")) as running:
        yield running.url


def nest(directory: Path, url: str, *options: str) -> dict[str, Any]:
    name = "tests.process.crashes.stream_nest"
    return told("-m", name, str(directory), url, *options, patience=PATIENCE)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_in_any_phase_skips_nothing(part: int, moto: str, tmp_path: Path) -> None:
    phases = sorted(PHASES.union(RESHARDING), key=lambda name: (name not in PHASES, name))
    aims = set(phases[part::PARTS])
    options = ("--kills", f"{len(phases)}", "--part", f"{part}", "--of", f"{PARTS}")
    ended = nest(tmp_path, moto, "--kind", "kinesis", *options)
    assert (ended["wrong"], ended["unreached"]) == ([], [])
    assert set(ended["killed"]) == aims
    assert ended["again"] > 0


def test_nor_does_one_in_the_first_look(moto: str, tmp_path: Path) -> None:
    ended = nest(tmp_path, moto, "--kind", "kinesis", "--beginning", "--kills", "0")
    assert (ended["wrong"], ended["unreached"], ended["kills"]) == ([], [], len(BEGINNING))


def test_nor_does_it_with_a_table(moto: str, tmp_path: Path) -> None:
    at = [part for phase in OF_A_SOURCE for part in ("--at", phase)]
    ended = nest(tmp_path, moto, "--kind", "dynamodb", *at)
    assert (ended["wrong"], ended["unreached"], ended["kills"]) == ([], [], len(OF_A_SOURCE))


def test_nor_with_several_batches_of_a_shard_at_once(moto: str, tmp_path: Path) -> None:
    at = [part for phase in OF_LANES for part in ("--at", phase)]
    ended = nest(tmp_path, moto, "--kind", "kinesis", "--lanes", "2", *at)
    assert (ended["wrong"], ended["unreached"], ended["kills"]) == ([], [], len(OF_LANES))


def test_a_checkpoint_before_its_batch_is_found_out(moto: str, tmp_path: Path) -> None:
    at = ("--at", "handler:before", "--at", "invoke:before")
    ended = nest(tmp_path, moto, "--kind", "dynamodb", "--early", *at)
    assert any("the checkpoint has passed" in said for said in ended["wrong"])
    assert any("was skipped" in said for said in ended["wrong"])
