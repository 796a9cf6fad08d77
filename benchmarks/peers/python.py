"""Which interpreter runs the peers, and whether it has them."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.remote import UnavailableError

VARIABLE = "BENCHMARKS_PEER_PYTHON"


def peer_python(module: str, package: str) -> str:
    """The interpreter that has `module`; raises UnavailableError saying how to get `package`.

    `BENCHMARKS_PEER_PYTHON` keeps the peers' dependencies out of the engine's environment.
    """
    python = os.environ.get(VARIABLE, sys.executable)
    check = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    if check.returncode != 0:
        raise UnavailableError(
            f"{package} is not installed for {os.path.basename(python)}: pip install {package}, "
            f"or name an interpreter that has it in {VARIABLE}"
        )
    return python
