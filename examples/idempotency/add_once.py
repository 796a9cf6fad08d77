"""Adds dollars once for each event's id, by Powertools' idempotency.

Powertools writes down the id before the handler runs and its answer afterwards. A second delivery
gets the answer of the first, and the handler does not run.

Event: {"id": "payment-17", "account": "alice", "dollars": 10}
"""

import os

import add
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)

balances = add.balances
seen = DynamoDBPersistenceLayer(table_name=os.environ["SEEN"])


@idempotent(persistence_store=seen, config=IdempotencyConfig(event_key_jmespath="id"))
def handler(event, context):
    """Two deliveries of «add 10» leave 10."""
    return add.handler(event, context)
