"""What is sent of an event's end: the invocation record, and the dead letter. Pure.

Payloads are not read: they go into the record as they are. Source: recorded messages (reference,
section 4).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator

from samovar.errors import AWS
from samovar.invocation.error_text import shortened
from samovar.invocation.json_text import is_json
from samovar.logs.platform_lines import iso
from samovar.model.event import Channel, Condition, Delivery, Ending, QueuedEvent
from samovar.model.function import LATEST
from samovar.stores.invoke_queue import Item, ItemKind
from samovar_worker.wire.event_json import InvalidEvent, load_event

VERSION = "1.0"
# AWS says nowhere for how long it tries to deliver: as long as an event itself may wait.
PATIENCE = 21600.0
# SQS takes the characters of XML alone, and refuses a message for a colour code in an attribute.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A dead letter's ErrorCode where the function did not speak last. 200 is recorded, of a function's
# error; the others are unconfirmed: what a caller would have got in the event's place.
_CODES = {
    Condition.ZERO_RESERVED_CONCURRENCY: 429,
    Condition.RECURSIVE_INVOCATION: 400,
    Condition.INVALID_EVENT: 400,
}
_UNSAID = {
    Condition.EVENT_AGE_EXCEEDED: "The event was too old to be tried again.",
    Condition.ZERO_RESERVED_CONCURRENCY: "The function has a reserved concurrency of zero.",
}


def record(item: Item, event: QueuedEvent, ending: Ending, now: float) -> bytes:
    """The invocation record, as JSON."""
    function_arn = f"{item.lane}:{event.qualifier or LATEST}"
    parts = [
        b'{"version":"%b","timestamp":"%b"' % (VERSION.encode(), iso(now).encode()),
        b',"requestContext":',
        _json(
            {
                "requestId": item.id,
                "functionArn": function_arn,
                "condition": ending.condition.value,
                "approximateInvokeCount": ending.invoke_count,
            }
        ),
        b',"requestPayload":',
        _as_json(item.body or b"{}"),
    ]
    if ending.executed_version:
        context: dict[str, object] = {
            "statusCode": 200,
            "executedVersion": ending.executed_version,
        }
        if ending.function_error is not None:
            context["functionError"] = ending.function_error
        parts += [b',"responseContext":', _json(context), b',"responsePayload":']
        parts.append(_as_json(ending.payload))
    parts.append(b"}")
    return b"".join(parts)


def error_code(event: QueuedEvent, ending: Ending) -> int:
    """A dead letter's ErrorCode: an HTTP status. It goes by whoever spoke last, as the message
    does: an event that grew too old after its function had failed has the function's."""
    if ending.condition in _CODES:
        return _CODES[ending.condition]
    if ending.executed_version or (event.errors and not event.puts_off):
        return 200
    return AWS.TOO_MANY_REQUESTS.status if event.error_type == AWS.TOO_MANY_REQUESTS.code else 500


def deliveries(
    item: Item,
    event: QueuedEvent,
    ending: Ending,
    targets: list[tuple[Channel, str]],
    *,
    role: str,
    now: float,
    time_scale: float = 1.0,
    new_id: Callable[[], object] = uuid.uuid4,
) -> Iterator[Item]:
    """The items that carry an ending to its `targets` (ARNs), with the rights of `role`."""
    for channel, target in targets:
        dead_letter = channel is Channel.DEAD_LETTER
        head = Delivery(
            item.id,
            f"{item.lane}:{event.qualifier or LATEST}",
            channel,
            target,
            role,
            ending.condition.value,
            event.trace,
            f"{error_code(event, ending)}" if dead_letter else "",
            _message(event, ending) if dead_letter else "",
            ended=now,
        )
        body = item.body if dead_letter else record(item, event, ending, now)
        yield Item(
            str(new_id()),
            ItemKind.DELIVERY,
            target,
            head.pack(),
            body,
            now,
            now,
            now + PATIENCE * (time_scale or 1.0),
            item.node,
        )


def targets(
    ending: Ending, on_success: str | None, on_failure: str | None, dead_letter: str
) -> list[tuple[Channel, str]]:
    """Where an ending is to go. Both the dead-letter queue and the destination get it, where both
    are set (documented as independent; that both are sent was not seen in a recording).

    What is none of JSON, or came in a loop, fails like anything else. What a deleted function
    leaves goes nowhere: its destinations and its role went with it.
    """
    if ending.condition is Condition.SUCCESS:
        return [(Channel.ON_SUCCESS, on_success)] if on_success else []
    found = [(Channel.DEAD_LETTER, dead_letter)] if dead_letter else []
    return [*found, (Channel.ON_FAILURE, on_failure)] if on_failure else found


def _message(event: QueuedEvent, ending: Ending) -> str:
    """A dead letter's ErrorMessage. SQS takes no empty one."""
    text = event.error_message
    if not text or ending.condition is Condition.ZERO_RESERVED_CONCURRENCY:
        text = _UNSAID.get(ending.condition) or ending.condition.value
    return shortened(_NO_XML.sub("\ufffd", text))


def _as_json(payload: bytes) -> bytes:
    """A payload as it is, or as a string if it is none of JSON: functions may return bytes."""
    if is_json(payload):
        return payload
    try:
        load_event(payload)  # what is_json is stricter about: an escape for half a character
    except InvalidEvent:
        return _json(payload.decode(errors="replace"))
    return payload or _json("")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
