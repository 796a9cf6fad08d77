"""Sends what became of an event to where it is to go, in each service's own form.

Forms: recorded messages (reference, section 4); the S3 key and permissions: developer guide.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from samovar.errors import SamovarError
from samovar.model.event import Channel, Condition, Delivery
from samovar.model.target import Service, Target
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.stores.invoke_queue import Item

# Recorded in November 2025; the newest pages say aws.lambda.
_SOURCE = "lambda"
_DETAIL_TYPE = "Lambda Function Invocation Result - {}"
# What EventBridge says of single entries that it may well take the next time.
_NOT_NOW = frozenset({"InternalException", "InternalFailure", "ThrottlingException"})


class Undeliverable(SamovarError):
    """It can't be sent, and trying again would not help; the message says why."""


class NotTaken(SamovarError):
    """It was not taken this time; the message says why."""


Send = Callable[[Item, Delivery, Target], Awaitable[None]]


class Senders:
    """Sends deliveries to services beside the engine; its own functions are not among them.

    `send` raises Undeliverable, SamovarError, and whatever a client raises.
    """

    def __init__(self, neighbours: AsyncNeighbours) -> None:
        self._neighbours = neighbours
        self._queue_urls: dict[str, str] = {}
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
            raise Undeliverable(
                f"{target.arn} is FIFO: AWS sends nothing of an asynchronous invocation there"
            )
        await self._ways[target.service](item, delivery, target)

    async def _to_queue(self, item: Item, delivery: Delivery, target: Target) -> None:
        url = self._queue_urls.get(target.arn)
        if url is None:
            reply = await self._call(
                *("get_queue_url", delivery, target),
                QueueName=target.name,
                QueueOwnerAWSAccountId=target.account,
            )
            url = self._queue_urls[target.arn] = reply["QueueUrl"]
        system: dict[str, Any] = {}
        if delivery.trace:
            header = {"DataType": "String", "StringValue": delivery.trace}
            system["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        try:
            await self._call(
                *("send_message", delivery, target),
                QueueUrl=url,
                MessageBody=item.body.decode(),
                MessageAttributes=_attributes(delivery),
                **system,
            )
        except Exception:
            # It may be another one by now: a deleted queue, an emulator on another port. That it
            # has to be asked for again costs less than to know all the words for it.
            self._queue_urls.pop(target.arn, None)
            raise

    async def _to_topic(self, item: Item, delivery: Delivery, target: Target) -> None:
        await self._call(
            *("publish", delivery, target),
            TopicArn=target.arn,
            Message=item.body.decode(),
            MessageAttributes=_attributes(delivery),
        )

    async def _to_bus(self, item: Item, delivery: Delivery, target: Target) -> None:
        success = delivery.condition == Condition.SUCCESS
        entry: dict[str, Any] = {
            "EventBusName": target.arn,
            "Source": _SOURCE,
            "DetailType": _DETAIL_TYPE.format("Success" if success else "Failure"),
            "Resources": [target.arn, delivery.function_arn],
            "Detail": item.body.decode(),
        }
        if delivery.trace:
            entry["TraceHeader"] = delivery.trace
        reply = await self._call("put_events", delivery, target, Entries=[entry])
        if reply.get("FailedEntryCount"):
            failed = next(one for one in reply["Entries"] if one.get("ErrorCode"))
            code = failed["ErrorCode"]
            error = NotTaken if code in _NOT_NOW else Undeliverable
            raise error(f"{code}: {failed.get('ErrorMessage', 'the bus says no more')}")

    async def _to_bucket(self, item: Item, delivery: Delivery, target: Target) -> None:
        # Of the delivery's own time and id: sent twice, it is one object.
        name = delivery.function_arn.split(":")[6]
        prefix = delivery.prefix or f"aws/lambda/async/{name}"
        moment = time.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S", time.gmtime(item.accepted))
        await self._call(
            *("put_object", delivery, target),
            Bucket=target.name,
            Key=f"{prefix}/{moment}-{item.id}",
            Body=item.body,
            ContentType="application/json",
        )

    async def _to_function(self, item: Item, delivery: Delivery, target: Target) -> None:
        """One of another engine's, or of AWS's."""
        await self._call(
            *("invoke", delivery, target),
            FunctionName=target.arn,
            InvocationType="Event",
            Payload=item.body,
        )

    async def _call(
        self, operation: str, delivery: Delivery, target: Target, **given: Any
    ) -> dict[str, Any]:
        """As AWS does, in a session of the role that is named after the function."""
        name = delivery.function_arn.split(":")[6]
        caller = Caller(delivery.role, name, delivery.trace)
        return await self._neighbours.call(
            *(target.service.value, operation, caller), region=target.region, **given
        )


def _attributes(delivery: Delivery) -> dict[str, Any]:
    """A dead letter's; a record has none."""
    if delivery.channel is not Channel.DEAD_LETTER:
        return {}
    return {
        "RequestID": {"DataType": "String", "StringValue": delivery.event},
        "ErrorCode": {"DataType": "Number", "StringValue": delivery.error_code},
        "ErrorMessage": {"DataType": "String", "StringValue": delivery.error_message},
    }
