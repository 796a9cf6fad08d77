"""What is told of records that were given up, and how it gets to the mapping's destination. Source:
recorded messages (reference, section 5.4) and the developer guide."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from samovar.clock import Clock
from samovar.errors import ClientError
from samovar.event_sources.shard_batches import Condition, Dropped
from samovar.invocation.records import PATIENCE, VERSION
from samovar.logs.platform_lines import iso
from samovar.model.event import Channel, Delivery
from samovar.model.event_source import EventSourceMapping
from samovar.model.target import Service, Target
from samovar.neighbours import Caller
from samovar.stores.invoke_queue import Item, ItemKind

_log = logging.getLogger(__name__)

Deliver = Callable[[Item], Awaitable[None]]
"""Has a delivery be sent; returns when it is durable."""


class Failures:
    """Tells destinations, as durably as what becomes of events."""

    def __init__(self, deliver: Deliver, clock: Clock, *, node: str, time_scale: float) -> None:
        self._deliver = deliver
        self._clock = clock
        self._node = node
        self._time_scale = time_scale

    async def tell(  # noqa: PLR0917 - what was given up, of what and where, whose
        self,
        dropped: Dropped,
        mapping: EventSourceMapping,
        part: str,
        info: Mapping[str, Any],
        event: bytes,
        caller: Callable[[], Caller],
    ) -> None:
        """Tell a mapping's destination, which there is, with the rights of the function's role;
        returns when that is sure to come. `part` is the shard or the partition, `info` says in
        AWS's form where the records are, and `event` carries them."""
        try:
            role = caller().role
        except ClientError as error:
            _log.warning(
                "nobody is told of %d records of %s of %s that were given up: %s",
                *(len(dropped.piece.records), part, mapping.source_name, error),
            )
            return
        now = self._clock.wall()
        await self._deliver(
            failure_delivery(
                *(dropped, mapping, part, info, event, role, now, self._node, self._time_scale)
            )
        )


def request_id_of(dropped: Dropped) -> str:
    """That of the last run; empty if there was none."""
    last = dropped.piece.last
    return "" if last is None else last.request_id


def failure_record(
    dropped: Dropped,
    mapping: EventSourceMapping,
    info: Mapping[str, Any],
    now: float,
    *,
    payload: Any = None,
    request_id: str = "",
) -> bytes:
    """The on-failure record, as JSON; with `payload` if that is given. `request_id` stands for what
    never ran.

    What is too old was invoked with once at least, in AWS's words, even if it never was.
    """
    piece, last = dropped.piece, dropped.piece.last
    found: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id_of(dropped) or request_id or str(uuid.uuid4()),
            "functionArn": mapping.function_arn,
            "condition": dropped.condition.value,
            "approximateInvokeCount": max(1, piece.runs),
        }
    }
    if last is not None and dropped.condition is Condition.RETRIES:
        found["responseContext"] = {
            "statusCode": 200,
            "executedVersion": last.executed_version,
            "functionError": last.error,
        }
    found["version"] = VERSION
    found["timestamp"] = iso(now)
    found.update(info)
    if payload is not None:
        found["payload"] = payload
    return json.dumps(found, separators=(",", ":")).encode()


def failure_delivery(  # noqa: PLR0917 - what was dropped, of what, whose, when
    dropped: Dropped,
    mapping: EventSourceMapping,
    part: str,
    info: Mapping[str, Any],
    event: bytes,
    role: str,
    now: float,
    node: str,
    time_scale: float = 1.0,
) -> Item:
    """The item that carries an on-failure record to the mapping's destination, which there is. A
    bucket gets the event with it (as a string, developer guide); a queue and a topic only hear
    where the records are."""
    target = mapping.on_failure
    assert target is not None
    payload = event.decode() if Target.parse(target).service is Service.S3 else None
    request_id = request_id_of(dropped) or str(uuid.uuid4())
    body = failure_record(dropped, mapping, info, now, payload=payload, request_id=request_id)
    head = Delivery(
        request_id,
        mapping.function_arn,
        Channel.ON_FAILURE,
        target,
        role,
        dropped.condition.value,
        ended=now,
        prefix=f"aws/lambda/{mapping.uuid}/{part}",
        mapping=mapping.uuid,
        records=len(dropped.piece.records),
    )
    return Item(
        str(uuid.uuid4()),
        ItemKind.DELIVERY,
        target,
        head.pack(),
        body,
        now,
        now,
        now + PATIENCE * (time_scale or 1.0),
        node,
    )
