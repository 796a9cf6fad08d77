"""The numbers that decide, apart from the state they decide about."""

from __future__ import annotations

from dataclasses import dataclass

# A context that can't even be started is our fault, not the function's: worth a second and a third
# try (a zygote may just have been killed and respawned), not an endless loop.
START_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """`idle_timeout`: seconds an idle context is kept; `max_contexts`: how many may exist;
    `max_waiting`: how many invocations may wait for one of them once they all exist and are busy
    (0: none, they are throttled, as on AWS)."""

    idle_timeout: float
    max_contexts: int
    max_waiting: int = 0
