"""What is asked of each service for a delivery, and how its answers are understood."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.neighbours.recording import RecordingNeighbours

from samovar.invocation.delivery_errors import Undeliverable, may_pass
from samovar.invocation.destinations import Senders
from samovar.model.event import Channel, Delivery
from samovar.model.target import Target
from samovar.stores.invoke_queue import Item, ItemKind

FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST"
DELIVERY = Delivery("e", FUNCTION, Channel.ON_FAILURE, "", "role", "EventAgeExceeded")
QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
TOPIC = "arn:aws:sns:us-east-1:111111111111:t"
TAKEN = {"MessageId": "m"}
BUS = "arn:aws:events:us-east-1:111111111111:event-bus/b"
ACCEPTED = 1764072992.5  # 2025-11-25T12:16:32.5Z


def send(
    target: str,
    *replies: dict[str, Any],
    times: int = 1,
    body: bytes = b"{}",
    accepted: float = ACCEPTED,
    **given: Any,
) -> RecordingNeighbours:
    """What `times` tries of one delivery ask for."""
    neighbours = RecordingNeighbours(*replies)
    item = Item("id-1", ItemKind.DELIVERY, target, b"", body, accepted, accepted, accepted, "n")

    async def run() -> None:
        senders = Senders(neighbours)
        for _ in range(times):
            await senders.send(
                item, replace(DELIVERY, target=target, **given), Target.parse(target)
            )

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
    asked = send("arn:aws:s3:::bucket", {"ETag": "e"}, {"ETag": "e"}, times=2).asked
    assert [given["Key"] for _, _, _, given in asked] == [
        "aws/lambda/async/f/2025/11/25/2025-11-25T12.16.32-id-1"
    ] * 2


def test_an_object_that_is_redriven_has_its_first_name() -> None:
    asked = send("arn:aws:s3:::bucket", {"ETag": "e"}, accepted=ACCEPTED + 9e6, ended=ACCEPTED)
    assert asked.asked[0][3]["Key"] == "aws/lambda/async/f/2025/11/25/2025-11-25T12.16.32-id-1"


@pytest.mark.parametrize("target", [QUEUE, TOPIC])
def test_characters_that_are_not_taken_are_escaped(target: str) -> None:
    body = '{"k":"\ufffe\uffff é \U0010ffff \\u0001"}'
    *_, (_, _, _, given) = send(
        target, *([{"QueueUrl": "u"}] if target == QUEUE else []), TAKEN, body=body.encode()
    ).asked
    sent = given.get("MessageBody") or given["Message"]
    assert sent == '{"k":"\\ufffe\\uffff é \U0010ffff \\u0001"}'
    assert json.loads(sent) == json.loads(body)


ROOT = "Root=1-6925a4d0-0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("trace", "sent"),
    [
        (ROOT, True),
        (f"{ROOT};Parent=0123456789abcdef;Sampled=1;Lineage=1:a87bd80c:0", True),
        (f"{ROOT};own=", True),
        (f"{ROOT};own={'x' * (500 - len(ROOT) - 5)}", True),
        (f"{ROOT};own={'x' * (501 - len(ROOT) - 5)}", False),
        ("Root=1", False),
        (f"{ROOT}0", False),
        (f"{ROOT};nothing", False),
        (f"{ROOT};a=\u00e9", False),
        (f"{ROOT}\n", False),
        ("", False),
    ],
)
def test_a_trace_that_services_do_not_take_costs_no_message(trace: str, sent: bool) -> None:
    *_, (_, _, _, given) = send(QUEUE, {"QueueUrl": "u"}, TAKEN, trace=trace).asked
    assert ("MessageSystemAttributes" in given) is sent
    told = {"Entries": [{"EventId": "e"}]}
    (entry,) = send(BUS, told, trace=trace).asked[0][3]["Entries"]
    assert ("TraceHeader" in entry) is sent


def test_an_object_has_the_prefix_that_its_delivery_says() -> None:
    ((_, _, _, given),) = send(
        "arn:aws:s3:::bucket", {"ETag": "e"}, prefix="aws/lambda/uuid/shard"
    ).asked
    assert given["Key"] == "aws/lambda/uuid/shard/2025/11/25/2025-11-25T12.16.32-id-1"


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_nothing_is_sent_to_what_is_first_in_first_out(service: str) -> None:
    with pytest.raises(Undeliverable, match="is FIFO"):
        send(f"arn:aws:{service}:us-east-1:111111111111:q.fifo")
