"""A queue as pollers see it: many messages at once, and whose rights count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from samovar.errors import AWS, ClientError
from samovar.event_sources.sources import GRACE
from samovar.event_sources.sqs import MOST_AT_ONCE, Queue
from samovar.model.event_source import Source
from samovar.neighbours import AsyncNeighbours, Caller

ARN = "arn:aws:sqs:us-east-1:000000000000:q"


class Neighbours:
    """Answers, and writes down who asked for what. `fails`: whether a request does, by the receipt
    that it begins with; `refuses`: receipts that are answered with a failure of their own."""

    def __init__(self, endpoint: str = "http://127.0.0.1:4567") -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.fails: Callable[[str], bool] = lambda receipt: False
        self.refuses: set[str] = set()
        self.at_once = self.most_at_once = 0
        self._endpoint = endpoint

    def endpoint(self, _service: str) -> str:
        return self._endpoint

    async def call(
        self, _service: str, operation: str, caller: Caller, *, region: str, **given: Any
    ) -> dict[str, Any]:
        assert region == "us-east-1"
        self.calls.append((operation, caller.role, given))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if operation == "get_queue_url":
            return {"QueueUrl": "http://127.0.0.1:4567/000000000000/q"}
        entries = given.get("Entries", ())
        if entries and self.fails(entries[0]["ReceiptHandle"]):
            raise OSError("reset")
        refused = [one for one in entries if one["ReceiptHandle"] in self.refuses]
        return {"Failed": [{"Id": one["Id"]} for one in refused]}

    def asked(self, operation: str) -> list[str]:
        """The receipts that an operation was asked for, in order."""
        return [
            entry["ReceiptHandle"]
            for one, _, given in self.calls
            if one == operation
            for entry in given["Entries"]
        ]


def play(scene: Callable[[Neighbours, Queue, list[str]], Awaitable[None]]) -> None:
    """`scene` gets the role in a list, which it may empty: then the function is gone."""
    roles = ["role"]

    def caller() -> Caller:
        if not roles:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, "Function not found")
        return Caller(roles[0], "f")

    neighbours = Neighbours()
    queue = Queue(cast(AsyncNeighbours, neighbours), Source.parse(ARN), caller)
    asyncio.run(cast(Any, scene(neighbours, queue, roles)))


RECEIPTS = [f"r{number}" for number in range(995)]


def test_messages_are_deleted_in_tens_some_at_once() -> None:
    async def scene(neighbours: Neighbours, queue: Queue, _roles: list[str]) -> None:
        assert await queue.delete(RECEIPTS) == []
        assert sorted(neighbours.asked("delete_message_batch")) == sorted(RECEIPTS)
        sizes = [len(given.get("Entries", ())) for _, _, given in neighbours.calls]
        assert max(sizes) == MOST_AT_ONCE
        assert neighbours.most_at_once == 10

    play(scene)


@pytest.mark.parametrize("operation", ["delete_message_batch", "change_message_visibility_batch"])
def test_a_request_that_fails_leaves_its_own_messages_and_no_others(operation: str) -> None:
    async def scene(neighbours: Neighbours, queue: Queue, _roles: list[str]) -> None:
        ask = queue.delete if operation.startswith("delete") else queue.give_back
        neighbours.fails = lambda receipt: receipt == "r10"
        neighbours.refuses = {"r35", "r994"}
        left = [*(f"r{number}" for number in range(10, 20)), "r35", "r994"]
        assert await ask(RECEIPTS) == left
        assert sorted(neighbours.asked(operation)) == sorted(RECEIPTS)
        neighbours.fails = lambda _receipt: True
        with pytest.raises(OSError, match="reset"):
            await ask(RECEIPTS)

    play(scene)


def test_messages_that_are_given_back_are_anybodys_at_once() -> None:
    async def scene(neighbours: Neighbours, queue: Queue, _roles: list[str]) -> None:
        assert await queue.give_back(["a"]) == []
        entries = [{"Id": "0", "ReceiptHandle": "a", "VisibilityTimeout": 0}]
        assert neighbours.calls[-1][2]["Entries"] == entries

    play(scene)


def test_what_was_fetched_is_deleted_with_the_rights_of_then() -> None:
    async def scene(neighbours: Neighbours, queue: Queue, roles: list[str]) -> None:
        then = queue.now()
        await then.receive(1, 0)
        roles.clear()
        assert await then.delete(["a"]) == []
        assert neighbours.calls[-1][:2] == ("delete_message_batch", "role")
        with pytest.raises(ClientError):
            queue.now()
        assert [one for one, _, _ in neighbours.calls].count("get_queue_url") <= 1
        roles.append("another")
        await queue.now().delete(["b"])
        assert neighbours.calls[-1][:2] == ("delete_message_batch", "another")
        assert [one for one, _, _ in neighbours.calls].count("get_queue_url") <= 1, "it is known"

    play(scene)


@pytest.mark.parametrize(
    ("endpoint", "seconds"), [("http://127.0.0.1:4567", 2), ("https://sqs.example.com", 4)]
)
def test_a_poll_is_shorter_than_what_a_stop_waits_for(endpoint: str, seconds: int) -> None:
    queue = Queue(cast(AsyncNeighbours, Neighbours(endpoint)), Source.parse(ARN), Caller)
    assert queue.longest_poll == seconds < GRACE
