"""Run a piece of Python under the interpreters of this machine, with the worker to import."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from samovar.context import launch_plan
from samovar.registry.runtimes import Interpreter, Runtimes
from samovar.settings import Settings

_PATIENCE = 60  # seconds after which a script has hung
# `facts` is what a script has to tell; `given` what it was told.
_FRAME = """
import json, sys
sys.path[:0] = sys.argv[1:]
given = json.loads(sys.stdin.buffer.read())
facts = {}
%s
sys.stdout.flush()
with open(1, "w", encoding="utf-8", closefd=False) as answer:
    print("\\n" + json.dumps(facts), file=answer)
"""


@cache
def found(unused: Path) -> tuple[Interpreter, ...]:
    """Every interpreter that serves a runtime here; at least the running one."""
    return asyncio.run(Runtimes.discover(Settings(data_dir=unused))).served


def run(
    executable: str,
    premises: launch_plan.Premises,
    source: str,
    given: Any = None,
    environment: dict[str, str] | None = None,
) -> Any:
    """The `facts` of `source`, run by `executable` with what a zygote's worker can import."""
    process = subprocess.run(
        [executable, "-S", "-B", "-c", _FRAME % source, premises.worker, premises.runtime],
        input=json.dumps(given).encode(),
        capture_output=True,
        env={"LANG": "en_US.UTF-8"} | (environment or {}),
        cwd=os.sep,
        timeout=_PATIENCE,
        check=False,
    )
    assert process.returncode == 0, process.stderr.decode()
    return json.loads(process.stdout.splitlines()[-1])
