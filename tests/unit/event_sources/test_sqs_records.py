"""Messages as functions get them."""

from __future__ import annotations

from samovar.event_sources.sqs_records import record_of

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
LEAST = {"MessageId": "m", "ReceiptHandle": "r", "Body": "tea", "MD5OfBody": "5"}


def test_the_least_that_a_message_has() -> None:
    assert record_of(LEAST, arn=ARN, region="us-east-1") == {
        "messageId": "m",
        "receiptHandle": "r",
        "body": "tea",
        "attributes": {},
        "messageAttributes": {},
        "md5OfBody": "5",
        "eventSource": "aws:sqs",
        "eventSourceARN": ARN,
        "awsRegion": "us-east-1",
    }


def test_attributes_of_every_kind() -> None:
    message = {
        **LEAST,
        "Attributes": {"SentTimestamp": "1", "MessageGroupId": "g"},
        "MessageAttributes": {
            "text": {"DataType": "String.kind", "StringValue": "x"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
        "MD5OfMessageAttributes": "6",
    }
    record = record_of(message, arn=ARN, region="us-east-1")
    assert record["attributes"] == {"SentTimestamp": "1", "MessageGroupId": "g"}
    empty: dict[str, list[str]] = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "text": {"stringValue": "x", **empty, "dataType": "String.kind"},
        "bytes": {"binaryValue": "AP8=", **empty, "dataType": "Binary"},
    }
    assert record["md5OfMessageAttributes"] == "6"
