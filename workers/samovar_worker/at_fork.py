"""`os.register_at_fork`, held back while the zygote imports.

What `threading` and `logging` do after a fork costs each child 400 KB of copied pages, and is for
forks of programs with threads: the zygote has one thread and holds no lock. A child renews what
must differ from its siblings (random seeds), and the function's own forks find all that was
registered.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_NEEDLESS = ("threading", "logging")

_register = os.register_at_fork
_held: list[dict[str, Callable[[], object]]] = []


def _hold(**hooks: Callable[[], object]) -> None:
    _held.append(hooks)


def hold_back() -> None:
    """Call it before the first import that may register something."""
    os.register_at_fork = _hold  # type: ignore[assignment]


def hand_over() -> None:
    """In the child: run what has to be run, and register everything for real."""
    os.register_at_fork = _register
    for hooks in _held:
        renew = hooks.get("after_in_child")
        if renew is not None and getattr(renew, "__module__", "") not in _NEEDLESS:
            renew()
        _register(**hooks)
