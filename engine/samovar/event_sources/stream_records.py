"""Records of Kinesis and DynamoDB Streams as functions get them, and what is told of those that
were given up. Pure. Source: recorded events and messages (reference, sections 5.3 and 5.4)."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from samovar.event_sources.batching import event_of
from samovar.event_sources.shard_batches import Condition, Dropped
from samovar.invocation.records import PATIENCE, VERSION
from samovar.logs.platform_lines import iso
from samovar.model.event import Channel, Delivery
from samovar.model.event_source import EventSourceMapping, SourceKind
from samovar.model.target import Service, Target
from samovar.stores.invoke_queue import Item, ItemKind

_INFO = {SourceKind.KINESIS: "KinesisBatchInfo", SourceKind.DYNAMODB: "DDBStreamBatchInfo"}


def kinesis_record(
    record: Mapping[str, Any], *, shard: str, arn: str, region: str, role: str
) -> dict[str, Any]:
    """The record that GetRecords gave (boto3's names)."""
    sequence = record["SequenceNumber"]
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": sequence,
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": seconds(record["ApproximateArrivalTimestamp"]),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role,
        "awsRegion": region,
        "eventSourceARN": arn,
    }


def dynamodb_record(record: Mapping[str, Any], *, arn: str, region: str) -> dict[str, Any]:
    """The record that GetRecords gave (boto3's names)."""
    found = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record["eventVersion"],
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": _plain(record["dynamodb"]),
        "eventSourceARN": arn,
    }
    who = record.get("userIdentity")
    if who:
        found["userIdentity"] = {"type": who.get("Type"), "principalId": who.get("PrincipalId")}
    return found


def seconds(moment: datetime) -> float | int:
    """Epoch seconds; whole ones without a fraction, as AWS writes them."""
    found = moment.timestamp()
    return int(found) if found.is_integer() else found


def _plain(value: Any) -> Any:
    """As JSON has it: bytes in base64, times in seconds."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return seconds(value) if isinstance(value, datetime) else value


def failure_record(
    dropped: Dropped,
    mapping: EventSourceMapping,
    shard: str,
    now: float,
    *,
    payload: bytes | None = None,
    new_id: Callable[[], object] = uuid.uuid4,
) -> bytes:
    """The on-failure record, as JSON; with the event, if it is given: a bucket gets it (as a
    string, developer guide), a queue and a topic only hear where the records are.

    What is too old was invoked with once at least, in AWS's words, even if it never was.
    """
    piece, last = dropped.piece, dropped.piece.last
    first, final = piece.records[0], piece.records[-1]
    kind = mapping.source.kind
    found: dict[str, Any] = {
        "requestContext": {
            "requestId": (last.request_id if last is not None else "") or str(new_id()),
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
    found[_INFO[kind]] = {
        "shardId": shard,
        "startSequenceNumber": first.key,
        "endSequenceNumber": final.key,
        "approximateArrivalOfFirstRecord": _arrival(first.arrived, kind),
        "approximateArrivalOfLastRecord": _arrival(final.arrived, kind),
        "batchSize": len(piece.records),
        "streamArn": mapping.source_arn,
    }
    if payload is not None:
        found["payload"] = payload.decode()
    return json.dumps(found, separators=(",", ":")).encode()


def failure_delivery(  # noqa: PLR0917 - what was dropped, of what, whose, when
    dropped: Dropped,
    mapping: EventSourceMapping,
    shard: str,
    role: str,
    now: float,
    node: str,
    time_scale: float = 1.0,
) -> Item:
    """The item that carries an on-failure record to the mapping's destination, which there is."""
    target = mapping.on_failure
    assert target is not None
    payload = None
    if Target.parse(target).service is Service.S3:
        payload = event_of(dropped.piece.records)
    body = failure_record(dropped, mapping, shard, now, payload=payload)
    last = dropped.piece.last
    head = Delivery(
        (last.request_id if last is not None else "") or str(uuid.uuid4()),
        mapping.function_arn,
        Channel.ON_FAILURE,
        target,
        role,
        dropped.condition.value,
        ended=now,
        prefix=f"aws/lambda/{mapping.uuid}/{shard}",
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


def _arrival(moment: float, kind: SourceKind) -> str:
    """DynamoDB's times are of whole seconds."""
    if kind is SourceKind.DYNAMODB:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    return iso(moment)
