"""Hostile functions: each module is an attack, whose handler says how far it came.

An answer is `{what was tried: how it ended}`: «done», or the name of the error. The event names
what is aimed at (see `tests/process/attack_program.py`). `tests/process/test_attacks.py` says which
end is promised where.
"""

from __future__ import annotations

from pathlib import Path

_PLACE = Path(__file__).parent
_SHARED = "tried"
ALL = sorted(path.stem for path in _PLACE.glob("*.py") if path.stem not in ("__init__", _SHARED))


def code_of(attack: str) -> dict[str, bytes]:
    """The files of its package, by their names."""
    return {f"{part}.py": (_PLACE / f"{part}.py").read_bytes() for part in (attack, _SHARED)}
