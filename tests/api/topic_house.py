"""What tests of topics have in common: a topic of a broker, and a function that tells what it was
given."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.api.house import package
from tests.api.neighbour import Neighbour
from tests.api.served import ServedHouse
from tests.api.stream_house import Beside
from tests.api.test_sqs_source import comes, reaches
from tests.broker import Broker

# Tells what is in its batch, and does as values say: «poison» fails, «bad» is reported as failed.
CODE = """
import base64, json, os, socket

def text(record):
    return base64.b64decode(record["value"]).decode()

def handler(event, context):
    [(place, records)] = event["records"].items()
    texts = [text(record) for record in records]
    said = {"bodies": texts, "place": place, "event": event if len(texts) < 5 else None}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(json.dumps(said).encode(), ("127.0.0.1", int(os.environ["RECORD"])))
    if any(one.startswith("poison") for one in texts):
        raise ValueError("no luck")
    return {"batchItemFailures": [
        {"itemIdentifier": {"partition": place, "offset": record["offset"]}}
        for record, one in zip(records, texts) if one.startswith("bad")
    ]}
"""
NOWHERE = [{"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"}]
PROVISIONED = {"ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 4}}


class Topic(Beside):
    """A topic of one test."""

    def __init__(self, broker: Broker, moto: Neighbour, name: str) -> None:
        super().__init__(moto, name)
        self.broker = broker
        broker.create(self.name)

    def put(self, *values: str | None, **more: Any) -> None:
        self.broker.put(self.name, *values, **more)

    def committed(self, made: Any, partition: int = 0) -> int:
        group = made["SelfManagedKafkaEventSourceConfig"]["ConsumerGroupId"]
        return self.broker.committed(self.name, group, partition)


async def deploy(it: ServedHouse, topic: Topic, **more: Any) -> None:
    await it.active(
        "f",
        Code={"ZipFile": package(CODE)},
        Handler="app.handler",
        Environment={"Variables": {"RECORD": str(topic.told.port)}},
        **more,
    )


def asked(topic: Topic, **given: Any) -> dict[str, Any]:
    return {
        "FunctionName": "f",
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [topic.broker.server]}},
        "SourceAccessConfigurations": NOWHERE,
        "Topics": [topic.name],
        "StartingPosition": "TRIM_HORIZON",
        **given,
    }


async def mapped(it: ServedHouse, topic: Topic, **given: Any) -> Any:
    made = await it.call("create_event_source_mapping", **asked(topic, **given))
    await reaches(it, made["UUID"], "Enabled")
    return made


async def committed(topic: Topic, made: Any, offset: int, partition: int = 0) -> None:
    async def there() -> bool:
        return await asyncio.to_thread(topic.committed, made, partition) == offset

    await comes(there)
