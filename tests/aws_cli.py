"""Version 2 of the AWS CLI, where this machine has one: no package index has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_USUAL = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/snap/bin")
_PATIENCE = 60.0  # seconds; only one that hangs takes them


def version_2() -> Path:
    """The program; skips the test where there is none."""
    found, seen = _found()
    if found is None:
        pytest.skip(f"no version 2 of the AWS CLI here (`aws logs tail` needs it); there is {seen}")
    return found


@cache
def _found() -> tuple[Path | None, str]:
    """The first program that says it is one, or none and what the others say."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), *_USUAL]
    programs = (shutil.which("aws", path=place) for place in dict.fromkeys(places) if place)
    said = []
    for program in dict.fromkeys(item for item in programs if item is not None):
        told = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        ).stdout.strip()
        if told.startswith("aws-cli/2."):
            return Path(program), ""
        said.append(f"{program} ({told.split(' ')[0] or 'which does not run'})")
    return None, ", ".join(said) or "no other either"
