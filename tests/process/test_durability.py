"""Accepted means durable: engines that are killed at random instants of a change."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.process.programs import CHECKOUT, run

PROGRAM = str(CHECKOUT / "tests" / "process" / "changing_program.py")
ROUNDS = 20


def test_what_was_answered_is_there_after_a_kill_and_nothing_is_half_there(tmp_path: Path) -> None:
    """Code, configuration, tags, policy and settings of each function, by invoking it."""
    seed = random.getrandbits(32)
    done = run(PROGRAM, str(tmp_path / "data"), str(seed), str(ROUNDS))
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}{done.stderr}"
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["answered"] > ROUNDS  # engines got somewhere before they were killed,
    assert summary["cut"] > ROUNDS / 2  # and were killed in the middle of something
