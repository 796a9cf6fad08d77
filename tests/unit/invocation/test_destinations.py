"""What is asked of each service for a delivery, and how its answers are understood."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.neighbours.recording import RecordingNeighbours

from samovar.invocation.deliveries import may_pass
from samovar.invocation.destinations import Senders, Undeliverable
from samovar.model.event import Channel, Delivery
from samovar.model.target import Target
from samovar.stores.invoke_queue import Item, ItemKind

FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST"
DELIVERY = Delivery("e", FUNCTION, Channel.ON_FAILURE, "", "role", "EventAgeExceeded")
BUS = "arn:aws:events:us-east-1:111111111111:event-bus/b"
ACCEPTED = 1764072992.5  # 2025-11-25T12:16:32.5Z


def send(
    target: str, *replies: dict[str, Any], times: int = 1, prefix: str = ""
) -> RecordingNeighbours:
    """What `times` tries of one delivery ask for."""
    neighbours = RecordingNeighbours(*replies)
    item = Item("id-1", ItemKind.DELIVERY, target, b"", b"{}", ACCEPTED, ACCEPTED, ACCEPTED, "n")

    async def run() -> None:
        senders = Senders(neighbours)
        for _ in range(times):
            delivery = replace(DELIVERY, target=target, prefix=prefix)
            await senders.send(item, delivery, Target.parse(target))

    asyncio.run(run())
    return neighbours


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("InternalFailure", True),
        ("InternalException", True),
        ("ThrottlingException", True),
        ("NotAuthorizedForSourceException", False),
        ("MalformedDetail", False),
    ],
)
def test_a_bus_says_of_the_entry_what_it_does_not_say_of_the_request(
    code: str, passes: bool
) -> None:
    reply = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "so it is"}]}
    with pytest.raises(Exception, match=f"{code}: so it is") as caught:
        send(BUS, reply)
    assert may_pass(caught.value) is passes


def test_an_object_has_the_same_name_however_often_it_is_sent() -> None:
    asked = send("arn:aws:s3:::bucket", {}, {}, times=2).asked
    assert [given["Key"] for _, _, _, given in asked] == [
        "aws/lambda/async/f/2025/11/25/2025-11-25T12.16.32-id-1"
    ] * 2


def test_an_object_has_the_prefix_that_its_delivery_says() -> None:
    ((_, _, _, given),) = send("arn:aws:s3:::bucket", {}, prefix="aws/lambda/uuid/shard").asked
    assert given["Key"] == "aws/lambda/uuid/shard/2025/11/25/2025-11-25T12.16.32-id-1"


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_nothing_is_sent_to_what_is_first_in_first_out(service: str) -> None:
    with pytest.raises(Undeliverable, match="is FIFO"):
        send(f"arn:aws:{service}:us-east-1:111111111111:q.fifo")
