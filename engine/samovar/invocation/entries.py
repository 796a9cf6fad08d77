"""Items of the queue as people see them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from samovar.logs.platform_lines import iso
from samovar.model.event import Delivery, QueuedEvent
from samovar.model.event_entries import DeliveryEntry, Depths, Entry, EventEntry
from samovar.stores.invoke_queue import Found, ItemKind, ItemState


def depths_of(found: Mapping[tuple[ItemKind, ItemState], int], kind: ItemKind) -> Depths:
    """How many items of a kind there are, by state."""
    return {
        "waiting": found.get((kind, ItemState.WAITING), 0),
        "claimed": found.get((kind, ItemState.CLAIMED), 0),
        "dead": found.get((kind, ItemState.DEAD), 0),
    }


def entry_of(found: Found) -> Entry:
    """An item as it is shown, without its payload."""
    return _event(found) if found.item.kind is ItemKind.EVENT else delivery_of(found)


def _event(found: Found) -> EventEntry:
    item = found.item
    try:
        event = QueuedEvent.unpack(item.head)
    except (ValueError, TypeError) as error:  # it is not run, and is there to be seen
        name = item.lane.rpartition(":")[2]
        event = QueuedEvent(name, item.lane, error_type="Unreadable", error_message=str(error))
    return {
        "kind": "event",
        "id": item.id,
        "state": found.state.value,
        "function": event.name,
        "function_arn": event.function_arn,
        "qualifier": event.qualifier,
        "accepted": iso(item.accepted),
        "due": _due(found),
        "expires": iso(item.expires),
        "invoked": event.invoked,
        "errors": event.errors,
        "puts_off": event.puts_off,
        "condition": event.condition or None,
        "error_type": event.error_type or None,
        "error_message": event.error_message or None,
        "trace": event.trace,
    }


def delivery_of(found: Found) -> DeliveryEntry:
    """A delivery as it is shown; of one that can't be read, what the queue knows."""
    item = found.item
    entry: DeliveryEntry = {
        "kind": "delivery",
        "id": item.id,
        "state": found.state.value,
        "event": "",
        "function": "",
        "function_arn": "",
        "channel": "unknown",
        "target": item.lane,
        "condition": "",
        "accepted": iso(item.accepted),
        "due": _due(found),
        "expires": iso(item.expires),
        "failures": 0,
        "failure": None,
    }
    try:
        delivery = Delivery.unpack(item.head)
    except (ValueError, TypeError) as error:
        entry["failure"] = str(error)
        return entry
    entry["event"] = delivery.event
    entry["function"] = delivery.function_arn.split(":")[6]
    entry["function_arn"] = delivery.function_arn
    entry["channel"] = delivery.channel.value
    entry["condition"] = delivery.condition
    entry["failures"] = delivery.failures
    entry["failure"] = delivery.failure or None
    return entry


def _due(found: Found) -> str | None:
    return iso(found.item.due) if found.state is ItemState.WAITING else None
