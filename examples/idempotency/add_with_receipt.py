"""Adds dollars once for each event's id, even if the function dies in the middle.

The change and the note that it was made are one transaction: both are there, or neither is.

Event: {"id": "payment-17", "account": "alice", "dollars": 10}
"""

import os

import boto3

balances = boto3.resource("dynamodb").Table(os.environ["BALANCES"])
dynamodb = balances.meta.client


def handler(event, context):
    """Two deliveries of «add 10» leave 10, whatever happened between them."""
    try:
        dynamodb.transact_write_items(TransactItems=[receipt(event), change(event)])
        return {"account": event["account"], "added": event["dollars"]}
    except dynamodb.exceptions.TransactionCanceledException as cancelled:
        if cancelled.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
            raise
        return {"account": event["account"], "added": 0, "before": True}


def receipt(event):
    """A note of the event's id, which there may be only one of."""
    return {
        "Put": {
            "TableName": os.environ["SEEN"],
            "Item": {"id": event["id"]},
            "ConditionExpression": "attribute_not_exists(id)",
        }
    }


def change(event):
    return {
        "Update": {
            "TableName": os.environ["BALANCES"],
            "Key": {"account": event["account"]},
            "UpdateExpression": "ADD dollars :more",
            "ExpressionAttributeValues": {":more": event["dollars"]},
        }
    }
