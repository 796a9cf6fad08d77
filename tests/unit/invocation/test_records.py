"""Invocation records and dead letters, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from samovar.invocation import records
from samovar.model.event import Channel, Condition, Delivery, Ending, QueuedEvent
from samovar.stores.invoke_queue import Item, ItemKind

NOW = 1764109105.568
ARN = "arn:aws:lambda:us-east-1:111111111111:function:f"
QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
ID = "8d0c4b1e-64c3-4b1b-8f5d-0a3e7d6c5b4a"
ERROR = b'{"errorMessage": "no", "errorType": "ValueError", "requestId": "x", "stackTrace": []}'


def item(body: bytes = b'{"a":  1}') -> Item:
    return Item(ID, ItemKind.EVENT, ARN, b"", body, NOW - 9, NOW - 9, NOW + 60, "node")


def record(ending: Ending, body: bytes = b'{"a":  1}', qualifier: str = "$LATEST") -> bytes:
    return records.record(item(body), QueuedEvent("f", ARN, qualifier), ending, NOW)


def test_the_record_of_a_failure_has_aws_s_order_and_the_payloads_as_they_were() -> None:
    ending = Ending(Condition.RETRIES_EXHAUSTED, 3, "$LATEST", "Unhandled", ERROR)
    assert record(ending) == (
        b'{"version":"1.0","timestamp":"2025-11-25T22:18:25.568Z",'
        b'"requestContext":{"requestId":"%b","functionArn":"%b:$LATEST",'
        b'"condition":"RetriesExhausted","approximateInvokeCount":3},'
        b'"requestPayload":{"a":  1},'
        b'"responseContext":{"statusCode":200,"executedVersion":"$LATEST",'
        b'"functionError":"Unhandled"},"responsePayload":%b}' % (ID.encode(), ARN.encode(), ERROR)
    )


def test_the_record_of_a_success_has_no_function_error() -> None:
    made = json.loads(record(Ending(Condition.SUCCESS, 1, "7", None, b'"tea"'), qualifier="live"))
    assert made["responseContext"] == {"statusCode": 200, "executedVersion": "7"}
    assert made["responsePayload"] == "tea"
    assert made["requestContext"]["functionArn"] == f"{ARN}:live"


@pytest.mark.parametrize(
    "condition",
    [
        Condition.ZERO_RESERVED_CONCURRENCY,
        Condition.EVENT_AGE_EXCEEDED,
        Condition.RECURSIVE_INVOCATION,
    ],
)
def test_what_was_never_run_has_no_response(condition: Condition) -> None:
    made = json.loads(record(Ending(condition, 0)))
    assert list(made) == ["version", "timestamp", "requestContext", "requestPayload"]
    assert made["requestContext"]["approximateInvokeCount"] == 0


@pytest.mark.parametrize(
    ("payload", "shown"),
    [(b"\xff\x00", "\ufffd\x00"), (b"NaN", "NaN"), (b"", ""), (b"tea", "tea")],
    ids=["bytes", "NaN", "nothing", "text"],
)
def test_a_result_that_is_no_json_is_a_string_of_the_record(payload: bytes, shown: str) -> None:
    made = json.loads(record(Ending(Condition.SUCCESS, 1, "$LATEST", None, payload)))
    assert made["responsePayload"] == shown


def send(ending: Ending, channel: Channel, message: str = "no", scale: float = 1.0) -> Item:
    event = QueuedEvent("f", ARN, trace="Root=1", error_type="ValueError", error_message=message)
    (made,) = records.deliveries(
        *(item(), event, ending, [(channel, QUEUE)]),
        role="arn:aws:iam::111111111111:role/r",
        now=NOW,
        time_scale=scale,
    )
    return made


def test_a_dead_letter_is_the_event_itself_with_its_attributes_beside_it() -> None:
    ending = Ending(Condition.RETRIES_EXHAUSTED, 3, "$LATEST", "Unhandled", ERROR)
    made = send(ending, Channel.DEAD_LETTER)
    assert (made.kind, made.lane, made.body) == (ItemKind.DELIVERY, QUEUE, b'{"a":  1}')
    assert Delivery.unpack(made.head) == Delivery(
        event=ID,
        function_arn=f"{ARN}:$LATEST",
        channel=Channel.DEAD_LETTER,
        target=QUEUE,
        role="arn:aws:iam::111111111111:role/r",
        condition="RetriesExhausted",
        trace="Root=1",
        error_code="200",
        error_message="no",
        ended=NOW,
    )


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending(Condition.RETRIES_EXHAUSTED, 3, "1", "Unhandled", ERROR), "200"),
        (Ending(Condition.EVENT_AGE_EXCEEDED, 2, "1", "Unhandled", ERROR), "200"),
        (Ending(Condition.ZERO_RESERVED_CONCURRENCY, 0), "429"),
        (Ending(Condition.RECURSIVE_INVOCATION, 0), "400"),
        (Ending(Condition.EVENT_AGE_EXCEEDED, 0), "500"),
    ],
    ids=["function", "too old after runs", "zero", "loop", "too old"],
)
def test_a_dead_letter_s_code_says_whose_fault_it_was(ending: Ending, code: str) -> None:
    assert Delivery.unpack(send(ending, Channel.DEAD_LETTER).head).error_code == code


TOO_OLD = Ending(Condition.EVENT_AGE_EXCEEDED, 2)
ZERO = Ending(Condition.ZERO_RESERVED_CONCURRENCY, 1)


@pytest.mark.parametrize(
    ("ending", "event", "code", "message"),
    [
        (TOO_OLD, {"errors": 1, "error_message": "boom"}, "200", "boom"),
        (
            TOO_OLD,
            {
                "errors": 1,
                "puts_off": 2,
                "error_type": "TooManyRequestsException",
                "error_message": "Rate Exceeded.",
            },
            "429",
            "Rate Exceeded.",
        ),
        (TOO_OLD, {"puts_off": 2, "error_type": "ServiceException"}, "500", "too old to be tried"),
        (ZERO, {"errors": 1, "error_message": "boom"}, "429", "reserved concurrency of zero"),
    ],
    ids=["the function", "a throttle", "the engine", "what is reserved"],
)
def test_code_and_message_of_a_dead_letter_are_of_whoever_spoke_last(
    ending: Ending, event: dict[str, Any], code: str, message: str
) -> None:
    (made,) = records.deliveries(
        *(item(), QueuedEvent("f", ARN, **event), ending, [(Channel.DEAD_LETTER, QUEUE)]),
        role="",
        now=NOW,
    )
    delivery = Delivery.unpack(made.head)
    assert delivery.error_code == code
    assert message in delivery.error_message


def test_an_error_message_is_cut_to_a_kilobyte_and_stays_text() -> None:
    ending = Ending(Condition.RETRIES_EXHAUSTED, 3, "1", "Unhandled", ERROR)
    made = send(ending, Channel.DEAD_LETTER, "\u00e9" * 1000)
    assert Delivery.unpack(made.head).error_message == "\u00e9" * 512


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\x1b[31mno\x1b[0m", "\ufffd[31mno\ufffd[0m"),
        ("half \ud83d of one", "half \ufffd of one"),
        ("a\tb\r\nc \u20ac \U0001f600", "a\tb\r\nc \u20ac \U0001f600"),
        ("\x00\ufffe\uffff", "\ufffd" * 3),
    ],
    ids=["colours", "half a character", "legal", "others"],
)
def test_an_error_message_has_nothing_that_sqs_refuses(said: str, kept: str) -> None:
    """What XML 1.0 has no place for (SendMessage, SQS's API reference)."""
    ending = Ending(Condition.RETRIES_EXHAUSTED, 3, "1", "Unhandled", ERROR)
    assert Delivery.unpack(send(ending, Channel.DEAD_LETTER, said).head).error_message == kept


def test_a_delivery_is_tried_for_as_long_as_an_event_on_every_scale() -> None:
    ending = Ending(Condition.SUCCESS, 1, "1", None, b"1")
    made = send(ending, Channel.ON_SUCCESS, scale=0.5)
    assert (made.accepted, made.due, made.expires) == (NOW, NOW, NOW + 10800)


def test_where_an_ending_goes() -> None:
    failed, good = Ending(Condition.RETRIES_EXHAUSTED, 3), Ending(Condition.SUCCESS, 1)
    assert records.targets(good, "s", "f", "d") == [(Channel.ON_SUCCESS, "s")]
    assert records.targets(good, None, "f", "d") == []
    assert records.targets(failed, "s", "f", "d") == [
        (Channel.DEAD_LETTER, "d"),
        (Channel.ON_FAILURE, "f"),
    ]
    assert records.targets(failed, "s", None, "") == []
