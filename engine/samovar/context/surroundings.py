"""What all contexts of an engine share."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.clock import Clock
from samovar.context.deadlines import Deadlines
from samovar.context.freezing import Freezer
from samovar.logs.stream import Journal


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Without a `freezer` nothing is stopped between two invocations."""

    clock: Clock
    deadlines: Deadlines
    init_timeout: float
    journal: Journal | None
    freezer: Freezer | None = None
