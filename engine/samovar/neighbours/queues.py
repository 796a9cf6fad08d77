"""Where a queue of SQS is."""

from __future__ import annotations

from samovar.neighbours.answers import is_refusal
from samovar.neighbours.asynchronous import AsyncNeighbours, Caller


async def queue_url(
    neighbours: AsyncNeighbours, caller: Caller, region: str, account: str, name: str
) -> str:
    """What a queue says its URL is. A role that may not ask gets it from where queues are: AWS asks
    of it the rights to send, or to receive, and no more; whether there is such a queue is for the
    answer to that to say. Empty where what answered is no SQS. Raises what `AsyncNeighbours.call`
    does."""
    try:
        reply = await neighbours.call(
            *("sqs", "get_queue_url", caller),
            region=region,
            QueueName=name,
            QueueOwnerAWSAccountId=account,
        )
    except Exception as error:
        if not is_refusal(error):
            raise
        return f"{neighbours.endpoint('sqs').rstrip('/')}/{account}/{name}"
    return str(reply.get("QueueUrl", ""))
