"""What neighbours answer to a delivery over real HTTP, and what is made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.api.played import Asked, Reply, Street, as_json, on_a_street

from samovar.invocation import destinations
from samovar.invocation.delivery_errors import NotTaken, may_pass
from samovar.neighbours import NoEndpoint

ACCOUNT = "111111111111"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
BUS = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/b"
BUCKET = "arn:aws:s3:::bucket"
FOREIGN = "arn:aws:lambda:eu-west-1:222222222222:function:g:live"


def denying(status: int, code: str) -> Callable[[Asked], Awaitable[Reply]]:
    """SQS, as it is to a role that may send and do nothing else."""

    async def answer(asked: Asked) -> Reply:
        if asked.operation == "GetQueueUrl":
            return as_json({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}, status)
        return as_json({"MessageId": "m"})

    return answer


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (400, "AccessDeniedException")]
)
def test_a_role_needs_no_right_but_to_send_to_a_queue(
    status: int, code: str, tmp_path: Path
) -> None:
    async def scene(it: Street) -> None:
        await it.send(QUEUE)
        await it.send(QUEUE)
        assert it.played.operations == ["GetQueueUrl", "SendMessage", "SendMessage"]
        url = it.played.asked[-1].document["QueueUrl"]
        assert url == f"{it.played.url}/{ACCOUNT}/q"

    on_a_street(denying(status, code), tmp_path, scene)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "RequestThrottled"), (429, "Busy"), (500, "InternalFailure")]
)
def test_a_queue_whose_name_is_not_told_now_is_asked_for_again(
    status: int, code: str, tmp_path: Path
) -> None:
    async def scene(it: Street) -> None:
        for _ in range(2):
            with pytest.raises(Exception, match=code) as caught:
                await it.send(QUEUE)
            assert may_pass(caught.value)
        assert it.played.operations == ["GetQueueUrl"] * 2

    on_a_street(denying(status, code), tmp_path, scene)


def test_so_many_queues_urls_are_kept_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "_MOST_URLS", 2)

    async def scene(it: Street) -> None:
        for name in "abca":
            await it.send(QUEUE + name)
        assert it.played.operations == ["GetQueueUrl", "SendMessage"] * 4
        await it.send(f"{QUEUE}c")
        assert it.played.operations[-2:] == ["SendMessage"] * 2

    on_a_street(denying(403, "AccessDenied"), tmp_path, scene)


async def is_no_neighbour(_: Asked) -> Reply:
    """What some proxies say where nobody is behind them."""
    return Reply(200, b"<html>Back soon</html>", "text/html")


async def is_an_empty_one(_: Asked) -> Reply:
    return Reply(200, b"")


async def knows_queues_alone(asked: Asked) -> Reply:
    if asked.operation == "GetQueueUrl":
        return as_json({"QueueUrl": "http://127.0.0.1:9/q"})
    return Reply(200, b"{}")


async def fails_without_a_word(_: Asked) -> Reply:
    return as_json({"FailedEntryCount": 1, "Entries": []})


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (QUEUE, "SQS"),
        (TOPIC, "SNS"),
        (BUS, "EventBridge"),
        (BUCKET, "S3"),
        (FOREIGN, "Lambda"),
    ],
)
@pytest.mark.parametrize("answer", [is_no_neighbour, is_an_empty_one])
def test_a_200_of_somebody_else_loses_no_message(
    target: str,
    name: str,
    answer: Callable[[Asked], Awaitable[Reply]],
    tmp_path: Path,
) -> None:
    async def scene(it: Street) -> None:
        # Of what is no XML at all botocore says so itself.
        said = f"{name} answered 200, but not as {name} does|invalid XML received"
        with pytest.raises(Exception, match=said) as caught:
            await it.send(target)
        assert may_pass(caught.value)

    on_a_street(answer, tmp_path, scene, "lambda")


@pytest.mark.parametrize(
    ("answer", "target"), [(knows_queues_alone, QUEUE), (fails_without_a_word, BUS)]
)
def test_what_does_not_say_that_it_took_it_did_not(
    answer: Callable[[Asked], Awaitable[Reply]], target: str, tmp_path: Path
) -> None:
    async def scene(it: Street) -> None:
        with pytest.raises(NotTaken):
            await it.send(target)

    on_a_street(answer, tmp_path, scene)


# A function that is not this engine's.


async def accepts(_: Asked) -> Reply:
    return Reply(202, b"")


@pytest.mark.parametrize("arn", [FOREIGN, FOREIGN.removesuffix(":live")])
def test_a_function_elsewhere_is_invoked_as_it_is_named(arn: str, tmp_path: Path) -> None:
    async def scene(it: Street) -> None:
        await it.send(arn, b'{"version": "1.0"}', trace="Root=1-a")
        (asked,) = it.played.asked
        assert unquote(asked.operation) == f"POST /2015-03-31/functions/{arn}/invocations"
        assert asked.headers["x-amz-invocation-type"] == "Event"
        assert asked.headers["x-amzn-trace-id"] == "Root=1-a"
        assert "/eu-west-1/lambda/aws4_request" in asked.headers["authorization"]
        assert asked.body == b'{"version": "1.0"}'

    on_a_street(accepts, tmp_path, scene, "lambda")


def test_a_function_elsewhere_is_not_sought_where_all_else_is(tmp_path: Path) -> None:
    async def scene(it: Street) -> None:
        with pytest.raises(NoEndpoint, match="give --endpoints lambda=URL") as caught:
            await it.send(FOREIGN)
        assert not may_pass(caught.value)
        assert it.played.asked == []

    on_a_street(accepts, tmp_path, scene)
