"""Sends what became of an event to where it is to go, in each service's own form.

Forms: recorded messages (reference, section 4); the S3 key and permissions: developer guide.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from samovar.errors import SamovarError
from samovar.model.event import Channel, Condition, Delivery
from samovar.model.target import Service, Target
from samovar.neighbours import AsyncNeighbours
from samovar.stores.invoke_queue import Item

# Recorded in November 2025; the newest pages say aws.lambda.
_SOURCE = "lambda"
_DETAIL_TYPE = "Lambda Function Invocation Result - {}"


class Undeliverable(SamovarError):
    """It can't be sent, and trying again would not help; the message says why."""


Send = Callable[[Item, Delivery, Target], Awaitable[None]]


class Senders:
    """Sends deliveries to services beside the engine; its own functions are not among them.

    `send` raises Undeliverable, SamovarError, and whatever a client raises.
    """

    def __init__(self, neighbours: AsyncNeighbours, wall: Callable[[], float] = time.time) -> None:
        self._neighbours = neighbours
        self._wall = wall
        self._queue_urls: dict[tuple[str, str], str] = {}
        self._ways: dict[Service, Send] = {
            Service.SQS: self._to_queue,
            Service.SNS: self._to_topic,
            Service.EVENTS: self._to_bus,
            Service.S3: self._to_bucket,
            Service.LAMBDA: self._to_function,
        }

    async def send(self, item: Item, delivery: Delivery, target: Target) -> None:
        """Send a delivery once."""
        if target.is_fifo:
            raise Undeliverable(f"{target.arn} is FIFO, which takes nothing of an event (AWS)")
        await self._ways[target.service](item, delivery, target)

    async def _to_queue(self, item: Item, delivery: Delivery, target: Target) -> None:
        client = await self._client(delivery, target)
        key = delivery.role, target.arn
        url = self._queue_urls.get(key)
        if url is None:
            reply = await client.get_queue_url(
                QueueName=target.name, QueueOwnerAWSAccountId=target.account
            )
            url = self._queue_urls[key] = reply["QueueUrl"]
        system = {}
        if delivery.trace:
            header = {"DataType": "String", "StringValue": delivery.trace}
            system["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        try:
            await client.send_message(
                QueueUrl=url,
                MessageBody=item.body.decode(),
                MessageAttributes=_attributes(item, delivery),
                **system,
            )
        except Exception:
            self._queue_urls.pop(key, None)  # it may be another one by now
            raise

    async def _to_topic(self, item: Item, delivery: Delivery, target: Target) -> None:
        client = await self._client(delivery, target)
        await client.publish(
            TopicArn=target.arn,
            Message=item.body.decode(),
            MessageAttributes=_attributes(item, delivery),
        )

    async def _to_bus(self, item: Item, delivery: Delivery, target: Target) -> None:
        client = await self._client(delivery, target)
        success = delivery.condition == Condition.SUCCESS
        entry = {
            "EventBusName": target.arn,
            "Source": _SOURCE,
            "DetailType": _DETAIL_TYPE.format("Success" if success else "Failure"),
            "Resources": [target.arn, delivery.function_arn],
            "Detail": item.body.decode(),
        }
        if delivery.trace:
            entry["TraceHeader"] = delivery.trace
        reply = await client.put_events(Entries=[entry])
        if reply.get("FailedEntryCount"):
            failed = reply["Entries"][0]
            raise Undeliverable(f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")

    async def _to_bucket(self, item: Item, delivery: Delivery, target: Target) -> None:
        client = await self._client(delivery, target)
        now = time.gmtime(self._wall())
        name = delivery.function_arn.split(":")[6]
        day = time.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S", now)
        await client.put_object(
            Bucket=target.name,
            Key=f"aws/lambda/async/{name}/{day}-{uuid.uuid4()}",
            Body=item.body,
            ContentType="application/json",
        )

    async def _to_function(self, item: Item, delivery: Delivery, target: Target) -> None:
        """One of another engine's, or of AWS's."""
        client = await self._client(delivery, target)
        await client.invoke(FunctionName=target.arn, InvocationType="Event", Payload=item.body)

    async def _client(self, delivery: Delivery, target: Target) -> Any:
        return await self._neighbours.client(
            target.service.value, region=target.region, role=delivery.role
        )


def _attributes(item: Item, delivery: Delivery) -> dict[str, Any]:
    """A dead letter's; a record has none."""
    if delivery.channel is not Channel.DEAD_LETTER:
        return {}
    return {
        "RequestID": {"DataType": "String", "StringValue": delivery.event},
        "ErrorCode": {"DataType": "Number", "StringValue": delivery.error_code},
        "ErrorMessage": {"DataType": "String", "StringValue": delivery.error_message or "null"},
    }
