"""What S3 sends when something was uploaded (S3 user guide, «Event message structure», 2.1)."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote_plus


def object_created(
    bucket: str, key: str, size: int, etag: str, *, region: str, now: float, request_id: str
) -> dict[str, Any]:
    """The event of one PUT. S3 invokes the function with it, with `InvocationType=Event`."""
    milliseconds = int(now * 1000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{milliseconds % 1000:03}Z"
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": stamp,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDASAMOVARDEMO"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": request_id * 2},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3SAMOVARDEMO"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": size,
                "eTag": etag,
                "sequencer": f"{milliseconds:018X}",
            },
        },
    }
    return {"Records": [record]}
