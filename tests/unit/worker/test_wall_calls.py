"""The calls that walls are made of, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).resolve().parents[3] / "workers"


def run(source: str) -> Any:
    """What a fresh interpreter prints, as JSON."""
    program = f"import ctypes, json, os, sys\nsys.path.insert(0, {str(WORKERS)!r})\n{source}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


KEYRINGS = """
from samovar_worker import walls
def session():
    return ctypes.CDLL(None).syscall(walls._NR_KEYCTL, 0, -3, 1)
before = session()
walls.leave_session_keyring()
print(json.dumps([before, session()]))
"""


def test_a_new_session_keyring_is_another() -> None:
    before, after = run(KEYRINGS)
    assert before != after
    assert after > 0
