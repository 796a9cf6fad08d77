"""Sends what became of an event to where it is to go, in each service's own form.

Forms: recorded messages (reference, section 4); the S3 key and permissions: developer guide.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from samovar.invocation.delivery_errors import NotTaken, Undeliverable
from samovar.model.event import Channel, Condition, Delivery
from samovar.model.target import Service, Target
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.neighbours.queues import queue_url
from samovar.neighbours.recent import Recent
from samovar.stores.invoke_queue import Item

# Recorded in November 2025; the newest pages say aws.lambda.
_SOURCE = "lambda"
_DETAIL_TYPE = "Lambda Function Invocation Result - {}"
_NAMES = {
    Service.SQS: "SQS",
    Service.SNS: "SNS",
    Service.EVENTS: "EventBridge",
    Service.S3: "S3",
    Service.LAMBDA: "Lambda",
}
_MOST_URLS = 500  # of queues, that are kept
_ACCEPTED = 202  # Lambda's status for an event
# A trace header as services take it; one that they do not know would cost the message.
_TRACE = re.compile(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}(;[!-:<>-~]+=[!-:<-~]*)*", re.IGNORECASE)
_LONGEST_TRACE = 500
# What EventBridge says of single entries that it may well take the next time.
_NOT_NOW = frozenset({"InternalException", "InternalFailure", "ThrottlingException"})


Send = Callable[[Item, Delivery, Target], Awaitable[None]]


class Senders:
    """Sends deliveries to services beside the engine; its own functions are not among them.

    `send` raises Undeliverable, SamovarError, and whatever a client raises.
    """

    def __init__(self, neighbours: AsyncNeighbours) -> None:
        self._neighbours = neighbours
        self._queue_urls: Recent[str, str] = Recent(_MOST_URLS)
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
            url = await self._queue_url(delivery, target)
            self._queue_urls.put(target.arn, url)
        system: dict[str, Any] = {}
        if _is_trace(delivery.trace):
            header = {"DataType": "String", "StringValue": delivery.trace}
            system["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        try:
            reply = await self._call(
                *("send_message", delivery, target),
                QueueUrl=url,
                MessageBody=_text(item.body),
                MessageAttributes=_attributes(delivery),
                **system,
            )
            _demanded(reply, "MessageId", target)
        except Exception:
            # It may be another one by now: a deleted queue, an emulator on another port. That it
            # has to be asked for again costs less than to know all the words for it.
            self._queue_urls.forget(target.arn)
            raise

    async def _queue_url(self, delivery: Delivery, target: Target) -> str:
        url = await queue_url(
            self._neighbours, _caller(delivery), target.region, target.account, target.name
        )
        if not url:
            raise _no_answer({}, target)
        return url

    async def _to_topic(self, item: Item, delivery: Delivery, target: Target) -> None:
        reply = await self._call(
            *("publish", delivery, target),
            TopicArn=target.arn,
            Message=_text(item.body),
            MessageAttributes=_attributes(delivery),
        )
        _demanded(reply, "MessageId", target)

    async def _to_bus(self, item: Item, delivery: Delivery, target: Target) -> None:
        success = delivery.condition == Condition.SUCCESS
        entry: dict[str, Any] = {
            "EventBusName": target.arn,
            "Source": _SOURCE,
            "DetailType": _DETAIL_TYPE.format("Success" if success else "Failure"),
            "Resources": [target.arn, delivery.function_arn],
            "Detail": item.body.decode(),
        }
        if _is_trace(delivery.trace):
            entry["TraceHeader"] = delivery.trace
        reply = await self._call("put_events", delivery, target, Entries=[entry])
        told: dict[str, Any] = next(iter(reply.get("Entries") or ()), {})
        code = told.get("ErrorCode")
        if code:
            error = NotTaken if code in _NOT_NOW else Undeliverable
            raise error(f"{code}: {told.get('ErrorMessage', 'the bus says no more')}")
        if not told.get("EventId"):
            raise _no_answer(reply, target)

    async def _to_bucket(self, item: Item, delivery: Delivery, target: Target) -> None:
        # Of the end's time and the delivery's id: sent twice, or redriven, it is one object.
        name = delivery.function_arn.split(":")[6]
        prefix = delivery.prefix or f"aws/lambda/async/{name}"
        ended = time.gmtime(delivery.ended or item.accepted)
        moment = time.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S", ended)
        reply = await self._call(
            *("put_object", delivery, target),
            Bucket=target.name,
            Key=f"{prefix}/{moment}-{item.id}",
            Body=item.body,
            ContentType="application/json",
        )
        _demanded(reply, "ETag", target)

    async def _to_function(self, item: Item, delivery: Delivery, target: Target) -> None:
        """One of another engine's, or of AWS's."""
        reply = await self._call(
            *("invoke", delivery, target),
            FunctionName=target.arn,
            InvocationType="Event",
            Payload=item.body,
        )
        if reply.get("StatusCode") != _ACCEPTED:
            raise _no_answer(reply, target)

    async def _call(
        self, operation: str, delivery: Delivery, target: Target, **given: Any
    ) -> dict[str, Any]:
        try:
            return await self._neighbours.call(
                *(target.service.value, operation, _caller(delivery)),
                region=target.region,
                **given,
            )
        except (
            LookupError,
            TypeError,
            AttributeError,
        ) as error:  # botocore's, of what is no answer
            raise _no_answer({}, target) from error


def _caller(delivery: Delivery) -> Caller:
    """As AWS does, in a session of the role that is named after the function."""
    return Caller(delivery.role, delivery.function_arn.split(":")[6], delivery.trace)


def _demanded(reply: dict[str, Any], key: str, target: Target) -> Any:
    """What a service says when it has taken something. A proxy's page, too, may have the status
    200, and what was sent there is nowhere."""
    found = reply.get(key)
    if not found:
        raise _no_answer(reply, target)
    return found


def _no_answer(reply: dict[str, Any], target: Target) -> NotTaken:
    status = reply.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
    name = _NAMES[target.service]
    return NotTaken(f"{name} answered {status}, but not as {name} does")


def _is_trace(trace: str) -> bool:
    return len(trace) <= _LONGEST_TRACE and _TRACE.fullmatch(trace) is not None


def _text(body: bytes) -> str:
    """JSON as SQS and SNS take it: these two characters of it they do not, but their escapes."""
    return body.decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _attributes(delivery: Delivery) -> dict[str, Any]:
    """A dead letter's; a record has none."""
    if delivery.channel is not Channel.DEAD_LETTER:
        return {}
    return {
        "RequestID": {"DataType": "String", "StringValue": delivery.event},
        "ErrorCode": {"DataType": "Number", "StringValue": delivery.error_code},
        "ErrorMessage": {"DataType": "String", "StringValue": delivery.error_message},
    }
