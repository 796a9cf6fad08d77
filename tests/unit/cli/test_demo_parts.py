"""The demo's event is S3's, and what is shown of a message can be read."""

from __future__ import annotations

from samovar.doors.cli.demo.s3_event import object_created
from samovar.doors.cli.demo.told import shortened


def test_an_upload_is_told_as_s3_tells_it() -> None:
    event = object_created(
        "pictures", "a b/é+.jpg", 7, "abc", region="eu-west-1", now=1.5, request_id="R"
    )
    (record,) = event["Records"]
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "1970-01-01T00:00:01.500Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDASAMOVARDEMO"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "RR"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": "pictures",
                "ownerIdentity": {"principalId": "A3SAMOVARDEMO"},
                "arn": "arn:aws:s3:::pictures",
            },
            "object": {
                "key": "a+b/%C3%A9%2B.jpg",
                "size": 7,
                "eTag": "abc",
                "sequencer": "0000000000000005DC",
            },
        },
    }


def test_a_message_is_shortened_where_nobody_reads_on() -> None:
    record = {
        "requestContext": {"functionArn": "arn:" + "x" * 100, "condition": "Success"},
        "requestPayload": {"Records": [{"s3": {"bucket": {}}}]},
        "responsePayload": [{"picture": "a.jpg", "deep": {"er": {"est": 1}}}],
        "text": "y" * 100,
    }
    assert shortened(record) == {
        "requestContext": {"functionArn": "arn:" + "x" * 100, "condition": "Success"},
        "requestPayload": {"Records": "[…]"},
        "responsePayload": [{"picture": "a.jpg", "deep": {"er": "{…}"}}],
        "text": "y" * 59 + "…",
    }
