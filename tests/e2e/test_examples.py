"""The examples that are programs: run as they are, beside an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.house import Engine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 60  # seconds


def run(engine: Engine, program: str) -> list[str]:
    """What it prints, by lines."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program)],
        capture_output=True,
        text=True,
        check=False,
        env=engine.environment(),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_examples(engine: Engine) -> None:
    kept, taken_back = run(engine, "canary/canary.py")
    # Of 200 calls at a tenth none at all comes to the new version once in a thousand million times.
    assert re.fullmatch(r"edition 2: [1-9]\d* of 200 calls, 0 errors; live is version 2", kept)
    found = re.fullmatch(
        r"edition 3: (\d+) of 200 calls, (\d+) errors; live is version 2", taken_back
    )
    assert found is not None, taken_back
    assert found[1] == found[2] != "0"

    lines = run(engine, "head-start/head_start.py")
    # A host without the leave to make user namespaces has no templates.
    kinds = ("on-demand", "provisioned-concurrency", "(snap-start|on-demand)")
    for number, (kind, line) in enumerate(zip(kinds, lines, strict=True), 1):
        # Where two take longer to come than the first one works, they share a context.
        pattern = rf"version {number}, {kind}: [12] contexts, \d+ ms beside the work"
        assert re.fullmatch(pattern, line)
    client = engine.client()
    try:
        assert client.list_functions()["Functions"] == []
    finally:
        client.close()
