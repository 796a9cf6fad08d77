"""A handler whose init makes a client. Imports nothing of the benchmarks: it is deployed."""

import time
from typing import Any

import boto3

CLIENT = boto3.client(
    "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
)


def handler(event: Any, context: Any = None) -> Any:
    """Give the event back; `until`: keep the context until that epoch time."""
    time.sleep(max(0.0, event.get("until", 0.0) - time.time()))
    return {"event": event, "region": CLIENT.meta.region_name}
