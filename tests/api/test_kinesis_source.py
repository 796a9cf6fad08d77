"""Streams of Kinesis that are read for functions: the real engine, boto3, and moto's Kinesis over
HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import Beside, deploy, heard, mapped, play, result, standing
from tests.api.test_sqs_source import ACCOUNT, comes, reaches

SHARD = "shardId-{:012d}"
HASHES = 2**128


class Stream(Beside):
    """A stream of one test, of `shards` shards."""

    def create(self, shards: int = 1) -> None:
        with self.moto.client("kinesis") as kinesis:
            kinesis.create_stream(StreamName=self.name, ShardCount=shards)
            kinesis.get_waiter("stream_exists").wait(StreamName=self.name)
        self.arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{self.name}"
        self._shards = shards

    def put(self, *texts: str, shard: int = 0, of: int = 0, key: str = "k") -> list[str]:
        """Put records into a shard; their sequence numbers."""
        inside = str(shard * (HASHES // (of or self._shards)) + 1)
        with self.moto.client("kinesis") as kinesis:
            return [
                kinesis.put_record(
                    StreamName=self.name, Data=text, PartitionKey=key, ExplicitHashKey=inside
                )["SequenceNumber"]
                for text in texts
            ]


@pytest.fixture
def stream(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(moto, request.node.name)
    with standing(made):
        made.create(getattr(request, "param", 1))
        yield made


@pytest.mark.parametrize("stream", [3], indirect=True)
def test_every_record_comes_once_and_in_the_order_of_its_shard(
    serve: Serve, stream: Stream
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        texts = {shard: [f"{shard}.{number}" for number in range(25)] for shard in range(3)}
        for shard, of in texts.items():
            await asyncio.to_thread(stream.put, *of, shard=shard)
        made = await it.call(
            "create_event_source_mapping",
            FunctionName="f",
            EventSourceArn=stream.arn,
            StartingPosition="TRIM_HORIZON",
            BatchSize=10,
        )
        made.pop("ResponseMetadata")
        uuid = made.pop("UUID")
        assert made.pop("LastModified")
        assert made.pop("EventSourceMappingArn").endswith(uuid)
        assert made == {
            "BatchSize": 10,
            "BisectBatchOnFunctionError": False,
            "DestinationConfig": {"OnFailure": {}},
            "EventSourceArn": stream.arn,
            "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f",
            "FunctionResponseTypes": [],
            "LastProcessingResult": "No records processed",
            "MaximumBatchingWindowInSeconds": 0,
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "StartingPosition": "TRIM_HORIZON",
            "State": "Creating",
            "StateTransitionReason": "User action",
            "TumblingWindowInSeconds": 0,
        }
        await heard(stream, lambda bodies: len(bodies) >= 75)
        for shard, of in texts.items():
            events = [e for e in stream.told.events if e["shard"] == SHARD.format(shard)]
            assert [body for event in events for body in event["bodies"]] == of
            assert [len(event["bodies"]) for event in events] == [10, 10, 5]
        await result(it, uuid, "OK")
        first = stream.told.events[0]["first"]
        inner = first.pop("kinesis")
        assert inner.keys() == {
            "kinesisSchemaVersion",
            "partitionKey",
            "sequenceNumber",
            "data",
            "approximateArrivalTimestamp",
        }
        shard = stream.told.events[0]["shard"]
        assert first == {
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{inner['sequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/of-f",
            "awsRegion": "us-east-1",
            "eventSourceARN": stream.arn,
        }
        metrics = it.engine.metrics_text().decode()
        for outcome in ("polled", "invoked"):
            labels = f'mapping="{uuid}",outcome="{outcome}"'
            assert f"samovar_event_source_events_total{{{labels}}} 75.0" in metrics
        assert f'samovar_event_source_pollers{{mapping="{uuid}"}} 3.0' in metrics
        assert f'iterator_age_milliseconds{{mapping="{uuid}"}}' in metrics

    play(serve, stream, scene)


def test_several_batches_of_a_shard_at_once(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        texts = [f"{number}" for number in range(40)]
        for number, text in enumerate(texts):
            await asyncio.to_thread(stream.put, text, key=f"k{number % 4}")
        made = await mapped(it, stream, ParallelizationFactor=4, BatchSize=5)
        assert made["ParallelizationFactor"] == 4
        bodies = await heard(stream, lambda bodies: len(bodies) >= 40)
        assert sorted(bodies) == sorted(texts)
        for key in range(4):
            assert [body for body in bodies if int(body) % 4 == key] == texts[key::4]

    play(serve, stream, scene)


def test_retries_are_used_up_and_a_queue_is_told(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        queue = await asyncio.to_thread(stream.queue)
        keys = await asyncio.to_thread(stream.put, "a", "poison")
        made = await mapped(
            it,
            stream,
            MaximumRetryAttempts=2,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        assert made["DestinationConfig"] == {"OnFailure": {"Destination": queue}}
        letters: list[Any] = []

        async def told() -> bool:
            letters.extend(await asyncio.to_thread(stream.letters))
            return bool(letters)

        await comes(told)
        assert stream.batches == [["a", "poison"]] * 3
        await result(it, made["UUID"], "PROBLEM: Function call failed")
        (letter,) = letters
        assert letter["requestContext"].pop("requestId")
        assert letter["requestContext"] == {
            "functionArn": made["FunctionArn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        }
        assert letter["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        }
        info = letter["KinesisBatchInfo"]
        assert [info["startSequenceNumber"], info["endSequenceNumber"]] == keys
        assert (info["batchSize"], info["streamArn"]) == (2, stream.arn)
        await asyncio.to_thread(stream.put, "after")
        await heard(stream, lambda bodies: bodies[-1:] == ["after"])
        await result(it, made["UUID"], "OK")

    play(serve, stream, scene)


def test_bisecting_finds_what_is_to_blame(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        queue = await asyncio.to_thread(stream.queue)
        keys = await asyncio.to_thread(stream.put, "a", "b", "poison", "d")
        await mapped(
            it,
            stream,
            MaximumRetryAttempts=1,
            BisectBatchOnFunctionError=True,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        await heard(stream, lambda bodies: bodies[-1:] == ["d"] and "".join(bodies[-2:]) != "cd")
        await heard(stream, lambda _: stream.batches[-1:] == [["d"]])
        assert stream.batches == [
            ["a", "b", "poison", "d"],
            ["a", "b"],
            ["poison", "d"],
            ["poison"],
            ["poison"],
            ["d"],
        ]
        letters: list[Any] = []

        async def told() -> bool:
            letters.extend(await asyncio.to_thread(stream.letters))
            return bool(letters)

        await comes(told)
        info = letters[0]["KinesisBatchInfo"]
        assert [info["startSequenceNumber"], info["endSequenceNumber"]] == [keys[2]] * 2

    play(serve, stream, scene)


def test_a_function_says_from_where_it_failed(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "a", "bad", "c", "bad 2")
        await mapped(
            it,
            stream,
            MaximumRetryAttempts=2,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        await heard(stream, lambda _: len(stream.batches) == 3)
        await asyncio.to_thread(stream.put, "garbled", "e")
        await heard(stream, lambda _: len(stream.batches) == 5)
        assert stream.batches == [
            ["a", "bad", "c", "bad 2"],
            ["bad", "c", "bad 2"],
            ["bad", "c", "bad 2"],
            ["garbled", "e"],
            ["garbled", "e"],
        ]

    play(serve, stream, scene)


@pytest.mark.parametrize("stream", [2], indirect=True)
def test_a_shard_that_is_stuck_stops_no_other(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        await mapped(it, stream)
        await asyncio.to_thread(stream.put, "poison", "behind")
        await heard(stream, lambda bodies: bodies.count("poison") >= 2)
        await asyncio.to_thread(stream.put, "one", shard=1)
        await heard(stream, lambda bodies: "one" in bodies)
        await asyncio.to_thread(stream.put, "two", shard=1)
        bodies = await heard(stream, lambda bodies: "two" in bodies)
        assert (bodies.count("one"), bodies.count("two")) == (1, 1)
        assert all(
            batch in (["poison"], ["poison", "behind"])
            for batch in stream.batches
            if batch not in (["one"], ["two"])
        )

    play(serve, stream, scene)


def test_what_is_too_old_is_given_up(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        queue = await asyncio.to_thread(stream.queue)
        await asyncio.to_thread(stream.put, "poison")
        await mapped(
            it,
            stream,
            MaximumRecordAgeInSeconds=60,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        letters: list[Any] = []

        async def told() -> bool:
            letters.extend(await asyncio.to_thread(stream.letters))
            return bool(letters)

        await comes(told)
        assert letters[0]["requestContext"]["condition"] == "RecordAgeExceeded"
        assert "responseContext" not in letters[0]

        async def young() -> bool:
            # Again and again: on a busy machine one may be old before it is read.
            await asyncio.to_thread(stream.put, "young")
            return "young" in stream.bodies

        await comes(young)

    play(serve, stream, scene)


def test_reading_goes_on_where_it_ended(serve: Serve, stream: Stream) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "a", "b")
        await mapped(it, stream)
        await heard(stream, lambda bodies: bodies == ["a", "b"])

    async def second(it: ServedHouse) -> None:
        await heard(stream, lambda bodies: len(bodies) >= 4)
        assert stream.batches == [["a", "b"], ["c", "d"]]

    play(serve, stream, first)
    stream.put("c", "d")
    play(serve, stream, second)


def test_the_latest_are_those_since_the_mapping_was_made(serve: Serve, stream: Stream) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        await mapped(it, stream, StartingPosition="LATEST")

    async def second(it: ServedHouse) -> None:
        await heard(stream, lambda bodies: bodies == ["while it was away"])
        await asyncio.to_thread(stream.put, "now")
        await heard(stream, lambda bodies: bodies == ["while it was away", "now"])

    stream.put("before")
    play(serve, stream, first)
    stream.put("while it was away")
    play(serve, stream, second)


def test_the_latest_are_heard_at_once(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "before")
        await mapped(it, stream, StartingPosition="LATEST")
        await asyncio.to_thread(stream.put, "after")
        await heard(stream, lambda bodies: bodies == ["after"])

    play(serve, stream, scene)


def test_reading_begins_at_a_moment(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "before")
        moment = time.time() + 1.0

        async def later() -> bool:
            return time.time() > moment

        await comes(later)
        await asyncio.to_thread(stream.put, "after")
        made = await mapped(
            it, stream, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=moment
        )
        assert made["StartingPositionTimestamp"].timestamp() == pytest.approx(moment, abs=0.001)
        await heard(stream, lambda bodies: bodies == ["after"])

    play(serve, stream, scene)


def test_filters_let_a_checkpoint_pass(serve: Serve, stream: Stream) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, stream)
        texts = [json.dumps({"tea": kind, "n": n}) for n, kind in enumerate(["green", "black"] * 3)]
        await asyncio.to_thread(stream.put, *texts, json.dumps({"tea": "red"}))
        pattern = json.dumps({"data": {"tea": ["green"]}})
        made = await mapped(it, stream, FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await heard(stream, lambda bodies: len(bodies) == 3)
        assert [json.loads(body)["n"] for body in stream.bodies] == [0, 2, 4]
        await asyncio.to_thread(stream.put, json.dumps({"tea": "white"}))
        labels = f'mapping="{made["UUID"]}",outcome="filtered"'
        await until_metric(it, f"samovar_event_source_events_total{{{labels}}} 5.0")

    async def second(it: ServedHouse) -> None:
        await asyncio.to_thread(stream.put, json.dumps({"tea": "green", "n": 9}))
        await heard(stream, lambda bodies: len(bodies) == 4)
        (uuid,) = [
            one["UUID"]
            for one in (await it.call("list_event_source_mappings"))["EventSourceMappings"]
        ]
        labels = f'mapping="{uuid}",outcome="polled"'
        await until_metric(it, f"samovar_event_source_events_total{{{labels}}} 1.0")

    play(serve, stream, first)
    play(serve, stream, second)


async def until_metric(it: ServedHouse, line: str) -> None:
    async def there() -> bool:
        return line in it.engine.metrics_text().decode()

    await comes(there)


def test_shards_are_read_after_those_that_they_came_of(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        await mapped(it, stream, StartingPosition="LATEST")
        await asyncio.to_thread(stream.put, "parent")
        await heard(stream, lambda bodies: bodies == ["parent"])
        await asyncio.to_thread(split, stream)
        await asyncio.to_thread(stream.put, "left", shard=0, of=2)
        await asyncio.to_thread(stream.put, "right", shard=1, of=2)
        bodies = await heard(stream, lambda bodies: {"left", "right"} <= set(bodies))
        # moto may have moved what was in the parent into its children.
        assert bodies[0] == "parent"
        assert (bodies.count("left"), bodies.count("right")) == (1, 1)
        (made,) = (await it.call("list_event_source_mappings"))["EventSourceMappings"]
        await until_metric(it, f'samovar_event_source_pollers{{mapping="{made["UUID"]}"}} 2.0')

    play(serve, stream, scene)


def split(stream: Stream) -> None:
    with stream.moto.client("kinesis") as kinesis:
        kinesis.split_shard(
            StreamName=stream.name,
            ShardToSplit=SHARD.format(0),
            NewStartingHashKey=str(HASHES // 2),
        )


def test_an_update_counts_for_what_is_being_tried(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        await asyncio.to_thread(stream.put, "poison", "after")
        made = await mapped(it, stream, BatchSize=1)
        await heard(stream, lambda bodies: bodies.count("poison") >= 2)
        changed = await it.call(
            "update_event_source_mapping", UUID=made["UUID"], MaximumRetryAttempts=0
        )
        assert (changed["State"], changed["MaximumRetryAttempts"]) == ("Updating", 0)
        await heard(stream, lambda bodies: bodies[-1:] == ["after"])
        await reaches(it, made["UUID"], "Enabled")
        await it.call("update_event_source_mapping", UUID=made["UUID"], Enabled=False)
        await reaches(it, made["UUID"], "Disabled")
        await asyncio.to_thread(stream.put, "again")
        await it.call("update_event_source_mapping", UUID=made["UUID"], Enabled=True)
        bodies = await heard(stream, lambda bodies: bodies[-1:] == ["again"])
        assert bodies.count("after") == 1
        await reaches(it, made["UUID"], "Enabled")
        await it.call("delete_event_source_mapping", UUID=made["UUID"])

        async def gone() -> bool:
            return not (await it.call("list_event_source_mappings"))["EventSourceMappings"]

        await comes(gone)

    play(serve, stream, scene)


def test_what_no_stream_can_be_mapped_with(serve: Serve, stream: Stream) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream)
        given: dict[str, Any] = {"FunctionName": "f", "EventSourceArn": stream.arn}
        begin = {**given, "StartingPosition": "LATEST"}
        other = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/none"
        queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q.fifo"
        for asked, text in (
            (
                given,
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy "
                "constraint: Member must not be null.",
            ),
            ({**begin, "EventSourceArn": other}, f"Stream not found: {other}"),
            (
                {**begin, "ScalingConfig": {"MaximumConcurrency": 2}},
                "Unsupported ScalingConfig parameter for given event source mapping type.",
            ),
            ({**begin, "ParallelizationFactor": 11}, "parallelizationFactor"),
            ({**begin, "TumblingWindowInSeconds": 901}, "tumblingWindowInSeconds"),
            (
                {**begin, "TumblingWindowInSeconds": 60, "ParallelizationFactor": 2},
                "ParallelizationFactor must be 1",
            ),
            ({**begin, "MaximumRecordAgeInSeconds": 59}, "MaximumRecordAgeInSeconds"),
            ({**begin, "MaximumRetryAttempts": 10001}, "maximumRetryAttempts"),
            ({**begin, "StartingPositionTimestamp": 1.0}, "StartingPositionTimestamp"),
            ({**given, "StartingPosition": "AT_TIMESTAMP"}, "StartingPositionTimestamp"),
            ({**begin, "EventSourceArn": f"{stream.arn}/consumer/c:1"}, "enhanced fan-out"),
            ({**begin, "DestinationConfig": {"OnFailure": {"Destination": queue}}}, queue),
            (
                {**begin, "FilterCriteria": {"Filters": [{"Pattern": '{"data":["text"]}'}]}},
                "Invalid filter pattern definition.",
            ),
        ):
            _, _, refused = await it.refused("create_event_source_mapping", **asked)
            assert text in refused, asked
        made = await mapped(it, stream)
        _, _, refused = await it.refused("create_event_source_mapping", **begin)
        assert (
            f'The event source arn (" {stream.arn} ") and function (" f ") provided mapping '
            f"already exists. Please update or delete the existing mapping with UUID {made['UUID']}"
        ) in refused

    play(serve, stream, scene)
