"""What is to be done, as the scheduler's state decides it; the driver does it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from samovar.context.lifecycle import Lifecycle
from samovar.scheduler.events import Ticket


class Refusal(Enum):
    """Why a ticket gets no context."""

    ACCOUNT = "account concurrency"  # as many in flight as the account may have
    RESERVED = "reserved concurrency"  # as many in flight as the function has reserved
    SCALING_RATE = "scaling rate"  # the function has started too many contexts of late
    REQUEST_RATE = "request rate"  # the function has had too many requests of late
    # The same of functions with reserved concurrency, by which their rates are counted.
    RESERVED_SCALING_RATE = "reserved scaling rate"
    RESERVED_REQUEST_RATE = "reserved request rate"
    CONTEXTS = "contexts"  # as many contexts as may be, none idle
    MEMORY = "memory"  # the host has none for another context, and none is idle
    START_FAILED = "start failed"  # contexts of this pool can't be started
    STOPPING = "stopping"  # the engine is going down


class StartContext(NamedTuple):
    """Make a context for the pool that `lifecycle` names, provisioned if that says so."""

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


class ProvisionedChanged(NamedTuple):
    """The pool has another number of initialised provisioned contexts, or has failed to get one
    initialised."""

    pool: str


Command = StartContext | Dispatch | StopContext | Reject | WakeAt | ProvisionedChanged
