"""The states of an execution context, as a table; every pair that is not in it raises."""

from __future__ import annotations

from collections import deque
from enum import Enum

from samovar.errors import SamovarError


class ContextState(Enum):
    """Where a context stands. Keep-alive and eviction look at IDLE alone."""

    # Members are singletons; Enum's own hash is a Python function, and three transitions per
    # invocation would cost two microseconds of it.
    __hash__ = object.__hash__

    STARTING = "starting"
    INITIALIZING = "initializing"
    IDLE = "idle"
    RESERVED = "reserved"
    BUSY = "busy"
    STOPPING = "stopping"
    DEAD = "dead"


BEFORE_READY = (ContextState.STARTING, ContextState.INITIALIZING)
IN_FLIGHT = (ContextState.RESERVED, ContextState.BUSY)  # an invocation has it

_S = ContextState
LEGAL: frozenset[tuple[ContextState, ContextState]] = frozenset(
    {
        (_S.STARTING, _S.INITIALIZING),
        (_S.INITIALIZING, _S.IDLE),
        (_S.IDLE, _S.RESERVED),
        (_S.RESERVED, _S.BUSY),
        (_S.BUSY, _S.IDLE),
        (_S.STARTING, _S.STOPPING),
        (_S.INITIALIZING, _S.STOPPING),
        (_S.IDLE, _S.STOPPING),
        (_S.BUSY, _S.STOPPING),
        *((state, _S.DEAD) for state in _S if state is not _S.DEAD),
    }
)
_HISTORY = 16


class IllegalTransition(SamovarError):
    """A bug of ours: the message carries the context's last transitions."""


class Lifecycle:
    """One context's state, guarded, with its last transitions.

    `pool` is the pool's key; `provisioned`: it was started ahead of need and never expires;
    `awaited`: an invocation waited for it to get ready. Times are on the monotonic clock: `asked`
    is when its start was; `idle_since` and `stopped` mean something in IDLE and STOPPING. (When a
    run began, the run knows: nothing is noted per invocation here.)
    """

    __slots__ = (
        "_history",
        "asked",
        "awaited",
        "context",
        "idle_since",
        "pool",
        "provisioned",
        "reason",
        "state",
        "stopped",
    )

    def __init__(self, context: int, pool: str, *, provisioned: bool = False) -> None:
        self.context = context
        self.pool = pool
        self.provisioned = provisioned
        self.state = ContextState.STARTING
        self.asked = 0.0
        self.idle_since = 0.0
        self.stopped = 0.0
        self.awaited = False
        self.reason = ""
        self._history: deque[ContextState] = deque([self.state], maxlen=_HISTORY)

    @property
    def history(self) -> tuple[ContextState, ...]:
        """Its last states, at most 16, the present one last."""
        return tuple(self._history)

    @property
    def is_unused(self) -> bool:
        """Whether it is idle, and has been from its init on: nothing was run on it."""
        history = self._history
        return self.state is ContextState.IDLE and history[-2] is ContextState.INITIALIZING

    def move(self, state: ContextState, reason: str = "") -> None:
        """Change state; raises IllegalTransition for a pair that is not in LEGAL."""
        if (self.state, state) not in LEGAL:
            path = " -> ".join(item.value for item in self._history)
            raise IllegalTransition(
                f"context {self.context}: {self.state.value} -> {state.value} is not legal"
                f" (so far: {path})"
            )
        self.state = state
        if reason:
            self.reason = reason
        self._history.append(state)

    def __repr__(self) -> str:
        return f"<context {self.context} {self.state.value} of {self.pool}>"
