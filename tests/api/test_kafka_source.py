"""Topics of Kafka that are read for functions: the real engine, boto3, and a broker that speaks
Kafka's protocol."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import heard, play, result
from tests.api.test_sqs_source import comes
from tests.api.topic_house import PROVISIONED, Topic, asked, committed, deploy, mapped


def test_every_record_comes_once_in_the_order_of_its_partition(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        texts = {at: [f"{at}.{number}" for number in range(30)] for at in range(3)}
        for at, of in texts.items():
            topic.put(*of, partition=at)
        made = await mapped(it, topic, BatchSize=7)
        assert made["State"] == "Creating"
        assert made["StateTransitionReason"] == "USER_INITIATED"
        assert made["LastProcessingResult"] == "No records processed"
        assert made["Topics"] == [topic.name]
        assert made["SelfManagedKafkaEventSourceConfig"] == {"ConsumerGroupId": made["UUID"]}
        assert "EventSourceArn" not in made
        assert "MaximumBatchingWindowInSeconds" not in made
        found = await heard(topic, lambda bodies: len(bodies) >= 90)
        for at, of in texts.items():
            assert [one for one in found if one.startswith(f"{at}.")] == of
        assert len(found) == 90
        assert max(len(event["bodies"]) for event in topic.told.hear()) == 7
        for at in texts:
            await committed(topic, made, 30, at)
        await result(it, made["UUID"], "OK")

    play(serve, topic, scene)


def test_a_record_is_what_aws_makes_of_it(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("tea", key=b"\x00k", headers=[("h", b"\x01\xff"), ("h", b"")], timestamp=17)
        await mapped(it, topic)
        await heard(topic, lambda bodies: bodies == ["tea"])
        (told,) = topic.told.hear()
        assert told["event"] == {
            "eventSource": "SelfManagedKafka",
            "bootstrapServers": topic.broker.server,
            "records": {
                f"{topic.name}-0": [
                    {
                        "topic": topic.name,
                        "partition": 0,
                        "offset": 0,
                        "timestamp": 17,
                        "timestampType": "CREATE_TIME",
                        "key": base64.b64encode(b"\x00k").decode(),
                        "value": base64.b64encode(b"tea").decode(),
                        "headers": [{"h": [1, -1]}, {"h": []}],
                    }
                ]
            },
        }

    play(serve, topic, scene)


def test_latest_is_settled_once(serve: Serve, topic: Topic) -> None:
    """What comes while nobody reads is read later, and what was there before is not."""
    topic.put("before", partition=1)
    made: dict[str, Any] = {}

    async def begins(it: ServedHouse) -> None:
        await deploy(it, topic)
        made.update(await mapped(it, topic, StartingPosition="LATEST"))
        for partition, offset in ((0, 0), (1, 1)):
            await committed(topic, made, offset, partition)

    async def goes_on(it: ServedHouse) -> None:
        assert await heard(topic, lambda bodies: len(bodies) == 2)
        assert sorted(topic.bodies) == ["later", "later too"]
        topic.put("last", partition=1)
        await heard(topic, lambda bodies: "last" in bodies)
        assert "before" not in topic.bodies

    play(serve, topic, begins)
    topic.put("later", partition=0)
    topic.put("later too", partition=1)
    play(serve, topic, goes_on)


def test_a_batch_that_fails_is_run_again_and_holds_up_no_other_partition(
    serve: Serve, topic: Topic
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("poison", "behind it")
        topic.put("a", "b", partition=1)
        made = await mapped(it, topic, BatchSize=1)
        await heard(topic, lambda bodies: bodies.count("poison") > 2 and "b" in bodies)
        assert "behind it" not in topic.bodies
        await committed(topic, made, 0)
        await committed(topic, made, 2, 1)
        found = await it.call("get_event_source_mapping", UUID=made["UUID"])
        assert found["LastProcessingResult"] in ("PROBLEM: Function call failed", "OK")

    play(serve, topic, scene)


def test_what_is_given_up_is_told_to_a_queue(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("poison", "good")
        made = await mapped(
            it,
            topic,
            **PROVISIONED,
            BatchSize=2,
            MaximumRetryAttempts=1,
            BisectBatchOnFunctionError=True,
            DestinationConfig={"OnFailure": {"Destination": topic.queue()}},
        )
        await heard(topic, lambda bodies: bodies.count("good") == 2)
        await committed(topic, made, 2)
        letters: list[Any] = []

        async def there() -> bool:
            letters.extend(await asyncio.to_thread(topic.letters))
            return bool(letters)

        await comes(there)
        (letter,) = letters
        assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
        info = letter["KafkaBatchInfo"]
        assert info.pop("payloadSize") > 100
        stamp = info["recordsInfo"][f"{topic.name}-0"]
        assert stamp.pop("firstRecordTimestamp") == stamp.pop("lastRecordTimestamp")
        assert info == {
            "batchSize": 1,
            "bootstrapServers": topic.broker.server,
            "recordsInfo": {f"{topic.name}-0": {"firstRecordOffset": "0", "lastRecordOffset": "0"}},
        }

    play(serve, topic, scene)


def test_what_is_given_up_is_written_to_another_topic(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        dead = f"{topic.name}-dead"
        topic.broker.create(dead)
        topic.put("poison one", "poison two", key="k")
        made = await mapped(
            it,
            topic,
            **PROVISIONED,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": f"kafka://{dead}"}},
        )
        await committed(topic, made, 2)
        for offset, message in enumerate(await asyncio.to_thread(topic.broker.read, dead, 2)):
            assert message.key() == b"k"
            letter = json.loads(message.value())
            assert letter["KafkaBatchInfo"]["recordInfo"]["offset"] == str(offset)
            ((record,),) = letter["payload"]["records"].values()
            assert record["offset"] == offset

    play(serve, topic, scene)


def test_what_a_function_reports_is_where_its_batch_begins_anew(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put("a", "b", "bad", "c")
        made = await mapped(
            it,
            topic,
            **PROVISIONED,
            BatchSize=4,
            MaximumRetryAttempts=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            MaximumBatchingWindowInSeconds=1,
        )
        await committed(topic, made, 4)
        assert topic.batches == [["a", "b", "bad", "c"], ["bad", "c"]]

    play(serve, topic, scene)


def test_filters_ask_for_keys_and_values(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        topic.put('{"kind": "tea"}', '{"kind": "coffee"}', "no json", key="k")
        pattern = json.dumps({"value": {"kind": ["tea"]}, "key": ["k"]})
        made = await mapped(it, topic, FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await committed(topic, made, 3)
        # A pattern for JSON says nothing of what is none (developer guide).
        assert topic.bodies == ['{"kind": "tea"}', "no json"]

    play(serve, topic, scene)


def test_there_is_one_mapping_of_a_topic_and_a_function(serve: Serve, topic: Topic) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, topic)
        made = await mapped(it, topic)
        status, _, message = await it.refused("create_event_source_mapping", **asked(topic))
        arn = (await it.call("get_function_configuration", FunctionName="f"))["FunctionArn"]
        assert status == 409
        assert message == (
            f'An event source mapping with event source ("{topic.broker.server}"), function '
            f'("{arn}"), topics ("{topic.name}") already exists. Please update or delete the '
            f"existing mapping with UUID {made['UUID']}"
        )
        status, _, message = await it.refused(
            "update_event_source_mapping",
            UUID=made["UUID"],
            SelfManagedKafkaEventSourceConfig={"ConsumerGroupId": "other"},
        )
        assert "can't be changed" in message

    play(serve, topic, scene)
