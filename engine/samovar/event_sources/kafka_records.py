"""Records of Kafka as functions get them, and where those are that were given up. Pure. Source: the
developer guide's events and invocation records (reference, sections 5.3 and 5.4)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from samovar.event_sources.batching import Form
from samovar.event_sources.failures import failure_record
from samovar.event_sources.shard_batches import Dropped, ShardRecord
from samovar.event_sources.streams import StreamRecord
from samovar.logs.platform_lines import iso
from samovar.model.event_source import EventSourceMapping, SourceKind

_NAMES = {SourceKind.MSK: "aws:kafka", SourceKind.KAFKA: "SelfManagedKafka"}
_TIMES = ("CREATE_TIME", "LOG_APPEND_TIME")


class Consumed(Protocol):
    """What aiokafka gives of a record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Message(NamedTuple):
    """What is written to a topic."""

    key: bytes | None
    value: bytes


def kafka_record(found: Consumed) -> StreamRecord:
    """A record that was read. Its time is that of its producer or of its broker, in ms."""
    event = {
        "topic": found.topic,
        "partition": found.partition,
        "offset": found.offset,
        "timestamp": found.timestamp,
        "timestampType": _TIMES[found.timestamp_type == 1],
        "key": _encoded(found.key),
        "value": _encoded(found.value),
        "headers": [{name: _signed(value)} for name, value in found.headers],
    }
    return StreamRecord.of(str(found.offset), found.timestamp / 1000.0, event, "")


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _signed(data: bytes | None) -> list[int] | None:
    """As AWS has them: Java's bytes, of which half are below zero."""
    return None if data is None else [byte - 256 if byte > 127 else byte for byte in data]


def place_of(topic: str, partition: int) -> str:
    """A partition in AWS's words."""
    return f"{topic}-{partition}"


def form_of(mapping: EventSourceMapping, servers: str, place: str) -> Form:
    """Of events with records of one partition. `servers` are separated by commas."""
    source = mapping.source
    head: dict[str, Any] = {"eventSource": _NAMES[source.kind]}
    if source.arn:
        head["eventSourceArn"] = source.arn
    head["bootstrapServers"] = servers
    text = json.dumps({**head, "records": {place: []}}, separators=(",", ":"))
    cut = text.rindex("]")
    return Form(text[:cut].encode(), text[cut:].encode(), partial(_named, place))


def _named(place: str, item: object) -> object:
    """The key of what an answer names as {"partition": "topic-0", "offset": 100}."""
    if not isinstance(item, dict) or item.get("partition") != place:
        return None
    offset = item.get("offset")
    return str(offset) if isinstance(offset, int) and not isinstance(offset, bool) else None


def failure_info(
    dropped: Dropped, mapping: EventSourceMapping, servers: str, place: str, size: int
) -> dict[str, Any]:
    """Where records are that were given up, as AWS tells queues, topics of SNS and buckets. `size`
    is that of the event, bytes."""
    records = dropped.piece.records
    first, final = records[0], records[-1]
    info = {
        "firstRecordOffset": first.key,
        "lastRecordOffset": final.key,
        "firstRecordTimestamp": iso(first.arrived),
        "lastRecordTimestamp": iso(final.arrived),
    }
    return _info(mapping, servers, len(records), size, {"recordsInfo": {place: info}})


def failure_messages(
    dropped: Dropped, mapping: EventSourceMapping, servers: str, form: Form, now: float
) -> list[Message]:
    """What a topic of the same cluster is told: a message for each record, with its key."""
    found = []
    for record in dropped.piece.records:
        event = form.event([record])
        about = {"recordInfo": {"offset": record.key, "timestamp": iso(record.arrived)}}
        info = _info(mapping, servers, 1, len(event), about)
        body = failure_record(dropped, mapping, info, now, payload=json.loads(event))
        found.append(Message(_key(record), body))
    return found


def _info(
    mapping: EventSourceMapping, servers: str, count: int, size: int, about: dict[str, Any]
) -> dict[str, Any]:
    arn = {"eventSourceArn": mapping.source_arn} if mapping.source_arn else {}
    about = {"batchSize": count, **arn, "bootstrapServers": servers, "payloadSize": size, **about}
    return {"KafkaBatchInfo": about}


def _key(record: ShardRecord) -> bytes | None:
    key = json.loads(record.text)["key"]
    return None if key is None else base64.b64decode(key)
