"""Messages of SQS as functions get them. Pure. Source: recorded events (reference, section 5.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

_MD5_OF_ATTRIBUTES = "MD5OfMessageAttributes"


def record_of(message: Mapping[str, Any], *, arn: str, region: str) -> dict[str, Any]:
    """The record of a message that ReceiveMessage gave (boto3's names)."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    }
    if _MD5_OF_ATTRIBUTES in message:
        record["md5OfMessageAttributes"] = message[_MD5_OF_ATTRIBUTES]
    return record


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "StringValue" in value:
        found["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        found["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    # Both lists are in every recorded event, and empty: SQS has no lists yet.
    return {**found, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
