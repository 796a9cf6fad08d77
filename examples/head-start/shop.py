"""A function whose init takes longer than its work, as those that use boto3 do.

Event: {"seconds": 0.5}, for how long it works
Result: how its context was initialised, and an id that no other context has.
"""

import os
import time
import uuid

import boto3
from snapshot_restore_py import register_after_restore

bucket = boto3.resource("s3", region_name="us-east-1").Bucket("any")
context_id = str(uuid.uuid4())  # made by the init: with SnapStart once for all contexts


@register_after_restore
def renew():
    """Runs in each context that is forked from the template, before its first invocation."""
    global context_id  # noqa: PLW0603 # what a context keeps is global
    context_id = str(uuid.uuid4())


def handler(event, context):
    time.sleep(event["seconds"])
    kind = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
    return {"kind": kind, "context": context_id, "bucket": bucket.name}
