"""What stands beside the killed engines, in a moto server that outlives them all."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

import boto3
from botocore.loaders import JSONFileLoader

_REGION, _ACCOUNT = "us-east-1", "123456789012"
_MOST = 10  # messages that SQS gives at once


# Services' models are read once in this process, and so in none of the engines forked from it.
JSONFileLoader.load_file = functools.cache(JSONFileLoader.load_file)


class Neighbours:
    """Queues, a topic, a bus and a bucket; asked for what has come to them."""

    def __init__(self, url: str) -> None:
        self.url = url
        own = f"crash-{os.getpid()}"  # a server may have several nests
        self.letters, self.letters_by_topic, self.events = (
            _arn("sqs", f"{own}-{name}") for name in ("letters", "by-topic", "bus")
        )
        self.topic, self.bus = _arn("sns", own), _arn("events", f"event-bus/{own}")
        self.bucket = own
        session = boto3.Session(
            aws_access_key_id="any", aws_secret_access_key="any", region_name=_REGION
        )
        self._clients: dict[str, Any] = {
            service: session.client(service, endpoint_url=url)
            for service in ("sqs", "sns", "events", "s3")
        }
        sqs, sns, events, s3 = self._clients.values()
        queues = (self.letters, self.letters_by_topic, self.events)
        self._urls = {
            arn: sqs.create_queue(QueueName=arn.rpartition(":")[2])["QueueUrl"] for arn in queues
        }
        sns.create_topic(Name=own)
        sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=self.letters_by_topic,
            Attributes={"RawMessageDelivery": "true"},
        )
        events.create_event_bus(Name=own)
        events.put_rule(Name="all", EventBusName=own, EventPattern='{"source": ["lambda"]}')
        target = {"Id": "queue", "Arn": self.events}
        events.put_targets(Rule="all", EventBusName=own, Targets=[target])
        s3.create_bucket(Bucket=self.bucket)

    def delivered(self) -> list[tuple[str, str]]:
        """All that came since the last time: an event's number, and what came of it."""
        found = []
        for letters in (self.letters, self.letters_by_topic):
            found += [(json.loads(body)["number"], "dead letter") for body in self._bodies(letters)]
        for body in self._bodies(self.events):
            found.append(_recorded(json.loads(body)["detail"]))
        s3 = self._clients["s3"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", ()):
                kept = s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
                found.append(_recorded(json.loads(kept)))
                s3.delete_object(Bucket=self.bucket, Key=entry["Key"])
        return found

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _bodies(self, arn: str) -> list[str]:
        sqs, url = self._clients["sqs"], self._urls[arn]
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


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{_REGION}:{_ACCOUNT}:{resource}"
