"""What doctor finds: facts, each with a verdict and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """How bad a fact is."""

    OK = "ok"
    WARNING = "warning"  # works, but less well than it could
    MISSING = "missing"  # functions can't run, or not as they should


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that doctor tried; `advice` says what to do where it isn't ok."""

    subject: str
    finding: str
    verdict: Verdict = Verdict.OK
    advice: str = ""


def number(path: str) -> int | None:
    """The number in one of the kernel's files; None where there is no such file, or no number."""
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def existing_part(directory: Path) -> Path:
    """`directory`, or the nearest directory above it that exists."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory
