"""What stands beside the killed engines, in a moto server that outlives them all."""

from __future__ import annotations

import json
from typing import Any

import boto3

_REGION, _ACCOUNT = "us-east-1", "123456789012"
TOPIC = f"arn:aws:sns:{_REGION}:{_ACCOUNT}:crash-letters"
BUS = f"arn:aws:events:{_REGION}:{_ACCOUNT}:event-bus/crash-bus"
BUCKET = "crash-records"
QUEUES = ("crash-letters", "crash-letters-by-topic", "crash-bus")
_MOST = 10  # messages that SQS gives at once


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{name}"


class Neighbours:
    """Queues, a topic, a bus and a bucket; asked for what has come to them."""

    def __init__(self, url: str) -> None:
        self.url = url
        session = boto3.Session(
            aws_access_key_id="any", aws_secret_access_key="any", region_name=_REGION
        )
        self._clients: dict[str, Any] = {
            service: session.client(service, endpoint_url=url)
            for service in ("sqs", "sns", "events", "s3")
        }
        sqs, sns, events, s3 = self._clients.values()
        self._urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in QUEUES}
        sns.create_topic(Name="crash-letters")
        sns.subscribe(
            TopicArn=TOPIC,
            Protocol="sqs",
            Endpoint=queue_arn("crash-letters-by-topic"),
            Attributes={"RawMessageDelivery": "true"},
        )
        events.create_event_bus(Name="crash-bus")
        events.put_rule(Name="all", EventBusName="crash-bus", EventPattern='{"source": ["lambda"]}')
        events.put_targets(
            Rule="all",
            EventBusName="crash-bus",
            Targets=[{"Id": "queue", "Arn": queue_arn("crash-bus")}],
        )
        s3.create_bucket(Bucket=BUCKET)

    def delivered(self) -> list[tuple[str, str]]:
        """All that came since the last time: an event's number, and what came of it."""
        found = []
        for name, word in (("crash-letters", "letter"), ("crash-letters-by-topic", "letter")):
            found += [(json.loads(body)["number"], f"dead {word}") for body in self._bodies(name)]
        for body in self._bodies("crash-bus"):
            found.append(_recorded(json.loads(body)["detail"]))
        s3 = self._clients["s3"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for entry in page.get("Contents", ()):
                kept = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
                found.append(_recorded(json.loads(kept)))
                s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
        return found

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _bodies(self, name: str) -> list[str]:
        sqs, url = self._clients["sqs"], self._urls[name]
        bodies = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=_MOST).get(
            "Messages"
        ):
            for message in messages:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


def _recorded(record: dict[str, Any]) -> tuple[str, str]:
    return record["requestPayload"]["number"], f"record {record['requestContext']['condition']}"
