"""Adds dollars to an account: wrong as soon as one event arrives twice.

Event: {"id": "payment-17", "account": "alice", "dollars": 10}
"""

import os

import boto3

balances = boto3.resource("dynamodb").Table(os.environ["BALANCES"])


def handler(event, context):
    """Two deliveries of «add 10» leave 20."""
    answer = balances.update_item(
        Key={"account": event["account"]},
        UpdateExpression="ADD dollars :more",
        ExpressionAttributeValues={":more": event["dollars"]},
        ReturnValues="UPDATED_NEW",
    )
    return {"account": event["account"], "dollars": int(answer["Attributes"]["dollars"])}
