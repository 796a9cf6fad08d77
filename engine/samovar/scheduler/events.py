"""What can happen, as the scheduler's state sees it. `now` is on the monotonic clock, seconds.

Named tuples: two are made per invocation, and a frozen dataclass costs three times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Ticket = Any  # opaque to the state: whatever the driver wants handed back with a Dispatch


class InvokeRequested(NamedTuple):
    """An invocation wants a context of `pool`."""

    pool: str
    ticket: Ticket
    now: float


class ContextReady(NamedTuple):
    """A starting context can be dispatched to: its init is done, or failed and is to be retried."""

    context: int
    now: float


class InvocationEnded(NamedTuple):
    """A busy context is free again."""

    context: int
    now: float


class ContextDied(NamedTuple):
    """A context is gone for good, in whatever state it was. `lost`: not by what its function did,
    but with its zygote, say."""

    context: int
    reason: str
    now: float
    lost: bool = False


class PoolRetired(NamedTuple):
    """The version was changed or deleted: its contexts drain."""

    pool: str


class IdleDropped(NamedTuple):
    """The pool's idle contexts are to go: who comes next is to have a cold start. Provisioned
    ones stay."""

    pool: str


class ReservedSet(NamedTuple):
    """The function may have at most `reserved` invocations in flight, and nobody else takes their
    places; None: it takes part in what is left."""

    function: str
    reserved: int | None


class FunctionDeleted(NamedTuple):
    """What the function had reserved is free again, once nothing of it is in flight."""

    function: str


class ProvisionRequested(NamedTuple):
    """`wanted` contexts of the pool are to be initialised ahead of need; 0: no more."""

    pool: str
    wanted: int


class MemoryMeasured(NamedTuple):
    """`room`: MB that the host can give to new contexts; below zero it is short of memory.
    `footprints`: the largest context of a pool, MB, of those pools that are measured anew."""

    room: int
    footprints: Mapping[str, int]


class Tick(NamedTuple):
    """Time has passed: contexts idle for too long are to go."""

    now: float


class StopRequested(NamedTuple):
    """The engine stops: idle contexts go now, busy ones when they are done."""


class GraceOver(NamedTuple):
    """The engine ends now: whoever still waits for a context is told; the driver ends the rest."""


Event = (
    InvokeRequested
    | ContextReady
    | InvocationEnded
    | ContextDied
    | PoolRetired
    | IdleDropped
    | ReservedSet
    | FunctionDeleted
    | ProvisionRequested
    | MemoryMeasured
    | Tick
    | StopRequested
    | GraceOver
)
