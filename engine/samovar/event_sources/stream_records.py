"""Records of Kinesis and DynamoDB Streams as functions get them, and where those are that were
given up. Pure. Source: recorded events and messages (reference, sections 5.3 and 5.4)."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from samovar.event_sources import windows
from samovar.event_sources.batching import RECORDS
from samovar.event_sources.shard_batches import Dropped, Piece
from samovar.logs.platform_lines import iso
from samovar.model.event_source import EventSourceMapping, SourceKind

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


def failure_info(dropped: Dropped, mapping: EventSourceMapping, shard: str) -> dict[str, Any]:
    """Where records are that were given up, as AWS tells of it."""
    piece, kind = dropped.piece, mapping.source.kind
    info = {
        "shardId": shard,
        **_place(piece, kind),
        "batchSize": len(piece.records),
        "streamArn": mapping.source_arn,
    }
    if dropped.turn is not None and dropped.turn.final:  # unconfirmed
        info["window"] = windows.bounds(dropped.turn.window)
    return {_INFO[kind]: info}


def _place(piece: Piece, kind: SourceKind) -> dict[str, Any]:
    """Where records are in their shard. The end of a window is of none (unconfirmed)."""
    first, last = (piece.records[0], piece.records[-1]) if piece.records else (None, None)
    return {
        "startSequenceNumber": first and first.key,
        "endSequenceNumber": last and last.key,
        "approximateArrivalOfFirstRecord": first and _arrival(first.arrived, kind),
        "approximateArrivalOfLastRecord": last and _arrival(last.arrived, kind),
    }


def event_of(dropped: Dropped, mapping: EventSourceMapping, shard: str) -> bytes:
    """The event that was given up."""
    records, turn = dropped.piece.records, dropped.turn
    if turn is None:
        return RECORDS.event(records)
    return windows.event_of(records, turn, shard, mapping.source_arn)


def _arrival(moment: float, kind: SourceKind) -> str:
    """DynamoDB's times are of whole seconds."""
    if kind is SourceKind.DYNAMODB:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    return iso(moment)
