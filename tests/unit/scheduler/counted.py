"""What the world around the scheduler's state keeps count of."""

from __future__ import annotations

from dataclasses import dataclass, field

from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.scheduler.policy import FOOTPRINT, PROVISION_ATTEMPTS

_S = ContextState


@dataclass(slots=True)
class Body:
    """A context as the world has it: `phase` is moved by what the world does and is told."""

    life: Lifecycle
    pool: str
    provisioned: bool
    phase: ContextState = _S.STARTING
    since: float = 0.0  # idle since
    ticket: int = 0  # which it runs
    used: bool = False

    @property
    def living(self) -> bool:
        return self.phase is not _S.STOPPING


@dataclass(slots=True)
class Promise:
    """What a pool was promised: provisioned contexts. `failures` is how many starts failed in a
    row; once they are too many nothing more is tried, until something is promised anew."""

    target: int = 0
    failures: int = 0
    early: int = 0  # deaths soon after the init, in a row
    wave: int = 0  # the latest context when one was last lost
    kept_up: bool = True

    def failed(self, context: int, latest: int, own: bool) -> None:
        """A start; of those that are `lost` together only the first counts."""
        if own:
            self.failures += 1
        elif context > self.wave:
            self.failures += 1
            self.wave = latest
        self.kept_up = self.kept_up and self.failures < PROVISION_ATTEMPTS

    def died(self, early: bool) -> None:
        """One that was ready, by itself."""
        self.early = self.early + 1 if early else 0
        self.kept_up = self.kept_up and self.early < PROVISION_ATTEMPTS


@dataclass(slots=True)
class Budget:
    """The host's memory, MB: `left` is None until it is measured."""

    left: int | None = None
    measured: dict[str, int] = field(default_factory=dict)

    def footprint(self, pool: str) -> int:
        return self.measured.get(pool, FOOTPRINT)

    def has(self, pool: str) -> bool:
        return self.left is None or self.left >= self.footprint(pool)

    def change(self, by: int) -> None:
        if self.left is not None:
            self.left += by


def function_of(pool: str) -> str:
    return pool.partition(":")[0]
