"""One invocation as it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Where a cold start's time goes, in order; the engine measures them. `environment`: from the
# decision to start a context until its process answers; `package`: extracting the code, the first
# time, and mounting it; `init`: importing the handler's module; `handler`: the invocation itself.
PHASES = ("environment", "package", "init", "handler")
# What is left of the caller's time: HTTP on both sides, queues, the pipe to the context.
REST = "rest"


PROVISIONED = "provisioned"  # the engine's word for a start on a provisioned context


class Round(StrEnum):
    """What an invocation was made to measure: what comes after a pause, when no idle context is
    left, and what comes right after another one."""

    COLD = "cold"
    WARM = "warm"


@dataclass(frozen=True, slots=True)
class Sample:
    """`start` and `phases` are the engine's words; times are milliseconds, and `total` is what the
    caller waited. `error` is the function's error type, «» for none."""

    round: Round
    start: str
    context: str
    request_id: str
    total: float
    phases: Mapping[str, float]
    error: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is what it was made to measure: a warm one may have found no idle context.
        Provisioned contexts are there in either case."""
        return self.start in (self.round.value, PROVISIONED)

    def parts(self) -> dict[str, float]:
        """The phases that there were, and the rest."""
        found = {name: self.phases[name] for name in PHASES if name in self.phases}
        return {**found, REST: max(0.0, self.total - sum(found.values()))}
