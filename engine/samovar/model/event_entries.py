"""The shapes of the documents of `/_samovar/events`; docs/events.md says what each key means.

A key that is there stays what it is; SCHEMA changes when one does not.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

SCHEMA = 1


class Depths(TypedDict):
    """How many items of one kind there are, by state."""

    waiting: int
    claimed: int
    dead: int


class QueueDepths(TypedDict):
    """What the queue of asynchronous invocation holds."""

    events: Depths
    deliveries: Depths


class EventEntry(TypedDict):
    """An accepted event. `payload` is there where one was asked for by its id."""

    kind: Literal["event"]
    id: str
    state: str
    function: str
    function_arn: str
    qualifier: str
    accepted: str
    due: str | None
    expires: str
    invoked: int
    errors: int
    puts_off: int
    condition: str | None
    error_type: str | None
    error_message: str | None
    trace: str
    payload: NotRequired[str]


class DeliveryEntry(TypedDict):
    """What became of an event, on its way. `payload` is there as for an EventEntry."""

    kind: Literal["delivery"]
    id: str
    state: str
    event: str
    function: str
    function_arn: str
    channel: str
    target: str
    condition: str
    accepted: str
    due: str | None
    expires: str
    failures: int
    failure: str | None
    payload: NotRequired[str]


Entry = EventEntry | DeliveryEntry


class EventList(TypedDict):
    """A page of entries; `next` is what to ask for the next page with, None on the last."""

    schema: int
    time: str
    queue: QueueDepths
    events: list[Entry]
    next: str | None


class EventDetails(TypedDict):
    """One entry, and what is still to be sent of it, or could not be."""

    schema: int
    time: str
    event: Entry
    deliveries: list[DeliveryEntry]
