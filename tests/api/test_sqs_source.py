"""Queues that are read for functions: the real engine, boto3, and moto's SQS over HTTP.

What functions did is told by their handlers, to a socket outside of the engine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.api.house import package, until
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.heard import Told

from samovar.invocation import lineage

ACCOUNT = "123456789012"  # moto's
# Tells its whole event, and does as the messages say: «fail», «partly», «slow».
CODE = """
import json, os, socket, time

def handler(event, context):
    bodies = [record["body"] for record in event["Records"]]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        said = {"bodies": bodies, "first": event["Records"][0], "arn": context.invoked_function_arn}
        out.sendto(json.dumps(said).encode(), ("127.0.0.1", int(os.environ["RECORD"])))
    if "slow" in bodies:
        time.sleep(1)
    if "fail" in bodies:
        raise ValueError("no luck")
    failed = [r["messageId"] for r in event["Records"] if r["body"].startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""


class Beside:
    """A queue of one test."""

    def __init__(self, moto: Neighbour, name: str, told: Told) -> None:
        self.told = told
        self._moto = moto
        self._name = name
        self.arn, self.url = self.queue()

    def queue(self, suffix: str = "", **attributes: str) -> tuple[str, str]:
        """Another one; its ARN and its URL."""
        name = self._name + suffix
        with self._moto.client("sqs") as sqs:
            url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", url

    def send(self, *bodies: str, url: str = "", **known: Any) -> None:
        with self._moto.client("sqs") as sqs:
            for body in bodies:
                sqs.send_message(QueueUrl=url or self.url, MessageBody=body, **known)

    def left(self, url: str = "") -> tuple[int, int]:
        """Messages that wait, and that are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with self._moto.client("sqs") as sqs:
            found = sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        waiting, in_flight = (int(found["Attributes"][name]) for name in names)
        return waiting, in_flight


@pytest.fixture
def beside(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Beside]:
    told = Told()
    yield Beside(moto, request.node.name.replace("_", "-")[:60].strip("-"), told)
    told.close()


def play(serve: Serve, moto: Neighbour, scene: Any, **settings: Any) -> None:
    serve(scene, account_id=ACCOUNT, aws_endpoint=moto.url, **settings)


async def deploy(it: ServedHouse, beside: Beside, name: str = "f", **more: Any) -> None:
    await it.active(
        name,
        Code={"ZipFile": package(CODE)},
        Handler="app.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/of-{name}",
        Environment={"Variables": {"RECORD": str(beside.told.port)}},
        **more,
    )


async def mapped(it: ServedHouse, beside: Beside, **given: Any) -> Any:
    """A mapping that is read."""
    asked = {"FunctionName": "f", "EventSourceArn": beside.arn, **given}
    made = await it.call("create_event_source_mapping", **asked)
    await reaches(it, made["UUID"], "Enabled" if given.get("Enabled", True) else "Disabled")
    return made


async def reaches(it: ServedHouse, uuid: str, state: str) -> None:
    async def there() -> bool:
        return (await it.call("get_event_source_mapping", UUID=uuid))["State"] == state

    await comes(there)


async def left(beside: Beside, *wanted: int) -> None:
    """Until so many wait in the queue, and so many are in flight."""

    async def there() -> bool:
        return await asyncio.to_thread(beside.left) == wanted

    await comes(there)


async def comes(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


def test_messages_are_run_and_deleted(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        made = await mapped(it, beside)
        texts = [f"message {number}" for number in range(25)]
        attributes = {"kind": {"DataType": "String", "StringValue": "tea"}}
        await asyncio.to_thread(beside.send, *texts, MessageAttributes=attributes)
        await until(lambda: len(beside.told.bodies) >= 25)
        assert sorted(beside.told.bodies) == sorted(texts)
        await left(beside, 0, 0)
        event = beside.told.events[0]
        assert event["arn"] == made["FunctionArn"]
        first = event["first"]
        assert first["eventSource"] == "aws:sqs"
        assert (first["eventSourceARN"], first["awsRegion"]) == (beside.arn, "us-east-1")
        assert first["attributes"]["ApproximateReceiveCount"] == "1"
        assert first["messageAttributes"] == {
            "kind": {
                "stringValue": "tea",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            }
        }
        assert {"messageId", "receiptHandle", "body", "md5OfBody"} <= first.keys()
        metrics = it.engine.metrics_text().decode()
        labels = f'mapping="{made["UUID"]}",outcome='
        for outcome in ("polled", "invoked", "deleted"):
            assert f'samovar_event_source_events_total{{{labels}"{outcome}"}} 25.0' in metrics

    play(serve, moto, scene)


def test_what_fails_reappears(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    beside.arn, beside.url = beside.queue("-quick", VisibilityTimeout="3")

    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside, Timeout=1)
        await mapped(it, beside)
        await asyncio.to_thread(beside.send, "fail")
        await until(lambda: beside.told.bodies == ["fail"])
        assert await asyncio.to_thread(beside.left) == (0, 1)

    play(serve, moto, scene)


def test_a_function_says_which_messages_failed(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        await asyncio.to_thread(beside.send, "good", "bad", "better")
        await mapped(it, beside, FunctionResponseTypes=["ReportBatchItemFailures"])
        await until(lambda: len(beside.told.bodies) == 3)
        await left(beside, 0, 1)

    play(serve, moto, scene)


def test_a_batch_fills_within_its_window(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        await asyncio.to_thread(beside.send, *map(str, range(35)))
        await mapped(it, beside, BatchSize=30, MaximumBatchingWindowInSeconds=1)
        await until(lambda: len(beside.told.bodies) == 35)
        assert max(len(event["bodies"]) for event in beside.told.events) > 10
        assert len(beside.told.events) <= 4
        await left(beside, 0, 0)

    play(serve, moto, scene)


def test_an_update_takes_effect_and_a_deletion_ends_it(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        await deploy(it, beside, "g")
        made = await mapped(it, beside)
        uuid = made["UUID"]
        changed = await it.call(
            "update_event_source_mapping", UUID=uuid, FunctionName="g", BatchSize=1
        )
        assert (changed["State"], changed["BatchSize"]) == ("Updating", 1)
        await reaches(it, uuid, "Enabled")
        await asyncio.to_thread(beside.send, "one", "two", "three")
        await until(lambda: len(beside.told.bodies) == 3)
        assert {event["arn"].rpartition(":")[2] for event in beside.told.events} == {"g"}
        assert len(beside.told.events) == 3
        changed = await it.call("update_event_source_mapping", UUID=uuid, Enabled=False)
        assert changed["State"] == "Disabling"
        await reaches(it, uuid, "Disabled")
        await asyncio.to_thread(beside.send, "four")
        changed = await it.call("update_event_source_mapping", UUID=uuid, Enabled=True)
        assert changed["State"] == "Enabling"
        await until(lambda: beside.told.bodies[3:] == ["four"])
        await left(beside, 0, 0)
        assert (await it.call("delete_event_source_mapping", UUID=uuid))["State"] == "Deleting"

        async def gone() -> bool:
            return not (await it.call("list_event_source_mappings"))["EventSourceMappings"]

        await comes(gone)
        await asyncio.to_thread(beside.send, "five")
        assert await asyncio.to_thread(beside.left) == (1, 0)

    play(serve, moto, scene)


def test_messages_of_a_group_keep_their_order(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    beside.arn, beside.url = beside.queue(
        ".fifo", FifoQueue="true", ContentBasedDeduplication="true"
    )

    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        await mapped(it, beside)

        def send() -> None:
            for number in range(12):
                for group in "abc":
                    beside.send(f"{group}{number}", MessageGroupId=group)

        await asyncio.to_thread(send)
        await until(lambda: len(beside.told.bodies) >= 36)
        for group in "abc":
            found = [body for body in beside.told.bodies if body[0] == group]
            assert found == [f"{group}{number}" for number in range(12)]
        await left(beside, 0, 0)

    play(serve, moto, scene)


def test_filtered_messages_are_deleted_and_never_seen(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        pattern = json.dumps({"body": {"kind": ["tea"]}})
        made = await mapped(it, beside, FilterCriteria={"Filters": [{"Pattern": pattern}]})
        assert made["FilterCriteria"] == {"Filters": [{"Pattern": pattern}]}
        await asyncio.to_thread(
            beside.send, '{"kind": "coffee"}', '{"kind": "tea"}', "plain text", '{"kind": ["tea"]}'
        )
        await until(lambda: len(beside.told.bodies) == 2)
        await left(beside, 0, 0)
        assert sorted(beside.told.bodies) == ['{"kind": "tea"}', '{"kind": ["tea"]}']

    play(serve, moto, scene)


def test_a_restart_reads_on_and_what_was_in_hand_reappears(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    beside.arn, beside.url = beside.queue("-short", VisibilityTimeout="40")

    async def first(it: ServedHouse) -> None:
        await deploy(it, beside)
        await mapped(it, beside)

    async def second(it: ServedHouse) -> None:
        (one,) = (await it.call("list_event_source_mappings"))["EventSourceMappings"]
        assert one["EventSourceArn"] == beside.arn
        await asyncio.to_thread(beside.send, "after")
        await until(lambda: beside.told.bodies == ["after"])
        await left(beside, 0, 0)

    play(serve, moto, first)
    play(serve, moto, second)


def test_a_program_has_a_queue_read_and_left(serve: Serve, moto: Neighbour, beside: Beside) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        pattern = '{"body": [{"prefix": "tea"}]}'
        made = await it.engine.read_source("f", beside.arn, filters=[pattern], batch_size=2)
        assert (made.state, made.mapping.filters) == ("Enabled", (pattern,))
        await asyncio.to_thread(beside.send, "tea 1", "coffee", "tea 2")
        await until(lambda: sorted(beside.told.bodies) == ["tea 1", "tea 2"])
        await left(beside, 0, 0)
        assert it.engine.event_sources("g") == []
        (one,) = it.engine.event_sources("f")
        await it.engine.leave_source(one.mapping.uuid)
        assert it.engine.event_sources() == []
        with pytest.raises(TypeError):
            await it.engine.read_source("f", beside.arn, sugar=2)

    play(serve, moto, scene)


def test_two_queues_of_one_function_go_round_on_its_only_place(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    other, url = beside.queue("-two")

    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        await it.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=1)
        await mapped(it, beside)  # and stays empty
        await mapped(it, beside, EventSourceArn=other)
        await asyncio.to_thread(lambda: beside.send(*"abcde", url=url))
        await until(lambda: sorted(beside.told.bodies) == [*"abcde"])

    play(serve, moto, scene)


def test_a_mapping_whose_function_takes_nothing_can_be_given_another(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        await deploy(it, beside, "g")
        await it.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0)
        made = await mapped(it, beside)
        await asyncio.to_thread(beside.send, "tea")
        await it.call("update_event_source_mapping", UUID=made["UUID"], FunctionName="g")
        await until(lambda: beside.told.bodies == ["tea"])
        await left(beside, 0, 0)

    play(serve, moto, scene)


def test_what_a_function_has_done_is_deleted_though_it_is_gone(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        made = await mapped(it, beside)
        await asyncio.to_thread(beside.send, "slow")
        await until(lambda: beside.told.bodies == ["slow"])
        await it.call("delete_function", FunctionName="f")
        await left(beside, 0, 0)
        changed = await it.call("update_event_source_mapping", UUID=made["UUID"], Enabled=False)
        assert changed["State"] == "Disabling"

    play(serve, moto, scene)


def test_a_loop_through_a_queue_is_stopped_unless_it_is_allowed(
    serve: Serve, moto: Neighbour, beside: Beside
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, beside)
        made = await mapped(it, beside)
        trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
        for _ in range(lineage.LIMIT):
            trace, _ = lineage.follow(trace, made["FunctionArn"])
        header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
        await asyncio.to_thread(beside.send, "again", MessageSystemAttributes=header)
        await left(beside, 0, 1)
        await asyncio.to_thread(beside.send, "tea")
        await until(lambda: beside.told.bodies == ["tea"])
        await left(beside, 0, 1)
        stopped = 'samovar_recursive_invocations_dropped_total{function="f"} 1.0'
        assert stopped in it.engine.metrics_text().decode()
        await it.call("put_function_recursion_config", FunctionName="f", RecursiveLoop="Allow")
        await asyncio.to_thread(beside.send, "on", MessageSystemAttributes=header)
        await until(lambda: beside.told.bodies == ["tea", "on"])

    play(serve, moto, scene)
