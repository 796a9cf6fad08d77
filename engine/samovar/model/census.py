"""The shape of the document of `/_samovar/contexts`; docs/contexts.md says what each key means.

A key that is there stays what it is; SCHEMA changes when one does not.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from samovar.model.event_entries import QueueDepths

SCHEMA = 1


class ContextEntry(TypedDict):
    """One context. `memory_mb` is there where memory was asked for."""

    context: int
    function: str
    version: str
    generation: int
    initialization: str
    state: str
    state_seconds: float | None
    frozen: bool
    pid: int | None
    invocations: int
    cold: int
    warm: int
    memory_mb: NotRequired[float | None]
    max_memory_used_mb: int
    started: str
    history: NotRequired[list[str]]


class ProvisionedEntry(TypedDict):
    """A version's provisioned contexts."""

    requested: int
    ready: int
    busy: int
    failed: bool


class VersionEntry(TypedDict):
    """One version: its contexts now, and what it has had to do since the engine's start."""

    version: str
    contexts: dict[str, int]
    waiting: int
    in_flight: int
    longest_busy_seconds: float | None
    longest_idle_seconds: float | None
    frozen: int
    memory_mb: float
    max_memory_used_mb: int
    invocations: dict[str, int]
    errors: int
    cold_starts: dict[str, int]
    throttles: dict[str, int]
    provisioned: ProvisionedEntry | None
    spillovers: int


def unused(version: str) -> VersionEntry:
    """A version without contexts, that nothing was ever asked of."""
    return {
        "version": version,
        "contexts": {},
        "waiting": 0,
        "in_flight": 0,
        "longest_busy_seconds": None,
        "longest_idle_seconds": None,
        "frozen": 0,
        "memory_mb": 0.0,
        "max_memory_used_mb": 0,
        "invocations": {},
        "errors": 0,
        "cold_starts": {},
        "throttles": {},
        "provisioned": None,
        "spillovers": 0,
    }


class FunctionEntry(TypedDict):
    """One function that has contexts, or has been invoked."""

    name: str
    function: str
    in_flight: int
    reserved_concurrency: int | None
    versions: list[VersionEntry]


class Totals(TypedDict):
    """The same over all functions."""

    contexts: dict[str, int]
    waiting: int
    in_flight: int
    memory_mb: float
    invocations: dict[str, int]
    errors: int
    cold_starts: dict[str, int]
    throttles: dict[str, int]
    claimed_concurrency: int


class Limits(TypedDict):
    """What there may be at most."""

    contexts: int
    account_concurrency: int


class Host(TypedDict):
    """The machine's memory."""

    memory_mb: int
    memory_available_mb: int
    room_mb: int | None


class SourceEntry(TypedDict):
    """An event source mapping, by its UUID, and what came of what it read."""

    mapping: str
    function: str
    source: str
    topic: str | None
    state: str
    last_result: str | None
    pollers: int
    iterator_age_milliseconds: float | None
    offset_lag: int | None
    events: dict[str, int]
    errors: dict[str, int]


class Document(TypedDict):
    """The whole of it."""

    schema: int
    time: str
    uptime_seconds: float
    limits: Limits
    host: Host
    totals: Totals
    queue: QueueDepths
    functions: list[FunctionEntry]
    sources: list[SourceEntry]
    contexts: list[ContextEntry]
