"""Sets the dollars of an account: right however often one event arrives.

Event: {"id": "correction-4", "account": "alice", "dollars": 20}
"""

import os

import boto3

balances = boto3.resource("dynamodb").Table(os.environ["BALANCES"])


def handler(event, context):
    """Two deliveries of «set to 20» leave 20: it says where to arrive, not how far to go."""
    balances.put_item(Item={"account": event["account"], "dollars": event["dollars"]})
    return {"account": event["account"], "dollars": event["dollars"]}
