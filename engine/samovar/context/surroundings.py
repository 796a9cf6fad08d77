"""What all contexts of an engine share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from samovar.clock import Clock
from samovar.context.deadlines import Deadlines
from samovar.context.freezing import Freezer
from samovar.context.limiter import Limited
from samovar.context.limits import Limits
from samovar.context.memory_guard import Guard, NoGuard
from samovar.logs.stream import Journal


class Limiting(Protocol):
    """Whoever holds contexts to their limits: a `samovar.context.limiter.Limiter`."""

    @property
    def held(self) -> Sequence[str]:
        """The limits that hold, as they are called among the walls."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Those that do not, and why."""

    async def try_out(self, pid: int) -> None:
        """Have one of our processes join a group and leave it: what that shows is missing."""

    @property
    def guard(self) -> Guard:
        """Whom to tell of code that runs."""

    def enter(self, context: Limited, pid: int) -> None:
        """A process was forked for it; 0: it is gone already."""

    def limit(self, context: Limited, limits: Limits) -> None:
        """Whose it is is known."""

    def opened(self, context: Limited) -> None:
        """Its init is over."""

    def killed(self, context: Limited) -> bool:
        """Whether the kernel has killed one of its processes for its memory."""

    def leave(self, context: Limited) -> None:
        """Nothing of it runs any more; idempotent."""


class NoLimits:
    """For contexts that nobody limits."""

    guard: Guard = NoGuard()
    held: Sequence[str] = ()
    missing: Mapping[str, str] = MappingProxyType({})

    async def try_out(self, pid: int) -> None:
        """Part of Limiting."""

    def enter(self, context: Limited, pid: int) -> None:
        """Part of Limiting."""

    def limit(self, context: Limited, limits: Limits) -> None:
        """Part of Limiting."""

    def opened(self, context: Limited) -> None:
        """Part of Limiting."""

    def killed(self, context: Limited) -> bool:
        """Part of Limiting."""
        return False

    def leave(self, context: Limited) -> None:
        """Part of Limiting."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`init_timeout`: seconds; without a `freezer` nothing is stopped between two invocations."""

    clock: Clock
    deadlines: Deadlines
    init_timeout: float
    journal: Journal | None
    limiter: Limiting = field(default_factory=NoLimits)
    freezer: Freezer | None = None
