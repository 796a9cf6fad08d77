"""What is to be done, as the scheduler's state decides it; the driver does it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from samovar.context.lifecycle import Lifecycle
from samovar.scheduler.events import Ticket


class Refusal(Enum):
    """Why a ticket gets no context."""

    CONCURRENCY = "concurrency"  # as many contexts as may be, none idle
    START_FAILED = "start failed"  # contexts of this pool can't be started
    STOPPING = "stopping"  # the engine is going down


class StartContext(NamedTuple):
    """Make a context for the pool that `lifecycle` names."""

    lifecycle: Lifecycle


class Dispatch(NamedTuple):
    """Run the ticket's invocation on the context, which is RESERVED for it."""

    context: int
    ticket: Ticket


class StopContext(NamedTuple):
    """End the context's process and let its /tmp go."""

    context: int
    reason: str


class Reject(NamedTuple):
    """Answer the ticket without having run anything."""

    ticket: Ticket
    refusal: Refusal
    reason: str


class WakeAt(NamedTuple):
    """A Tick is wanted at `when` (monotonic seconds); replaces an earlier wish."""

    when: float


Command = StartContext | Dispatch | StopContext | Reject | WakeAt
