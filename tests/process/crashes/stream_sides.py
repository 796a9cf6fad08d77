"""The streams of the killed engines, and the queue that is told of what they gave up."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Set
from itertools import count
from typing import Any

import boto3
from tests.process.crashes.stream_record import StreamRecord

REGION, ACCOUNT = "us-east-1", "123456789012"
KEYS = ("a", "b", "c", "d")  # partitions; two are in each of two shards
_EACH = 2  # records of a partition in a life, one of which fails in one of them
_SHARDS = 2
_MOST = 3  # shards that are open
_TENS = 10
_INFO = {"kinesis": "KinesisBatchInfo", "dynamodb": "DDBStreamBatchInfo"}


class Side:
    """A stream of either kind, in a moto server that outlives all engines."""

    kind = ""
    processes: Set[int] = frozenset()  # of this one's that stand beside the engines

    def __init__(self, url: str) -> None:
        session = boto3.Session(
            aws_access_key_id="any", aws_secret_access_key="any", region_name=REGION
        )
        self._client = lambda service: session.client(service, endpoint_url=url)
        self.name = f"stream-{self.kind}-{os.getpid()}"
        self._numbers = count(1)
        self._sqs = self._client("sqs")
        self._url = self._sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self.given_up = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        self.arn = self.create()

    def create(self) -> str:
        """Its ARN."""
        raise NotImplementedError

    def put(self, record: StreamRecord) -> None:
        """Records of one life."""
        raise NotImplementedError

    def reshard(self) -> None:
        """Have a shard end, and others come of it."""
        raise NotImplementedError

    def texts(self) -> Iterator[tuple[str, str]]:
        """Partitions and numbers of one life's records."""
        first = True
        for _ in range(_EACH):
            for key in KEYS:
                number = next(self._numbers)
                yield key, f"{number}!" if first and number % len(KEYS) == 0 else f"{number}"
                first = first and number % len(KEYS) != 0

    def hear(self, record: StreamRecord) -> None:
        """Take in what the queue was told."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=_TENS
        ).get("Messages"):
            for message in messages:
                of, first, last = self.told(json.loads(message["Body"]))
                record.told.update(
                    text
                    for (shard, key), text in record.places.items()
                    if shard == of and first <= int(key) <= last
                )
                receipt = message["ReceiptHandle"]
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def told(self, letter: dict[str, Any]) -> tuple[str, int, int]:
        """A shard, and the first and the last of what was given up of it."""
        info = letter[_INFO[self.kind]]
        numbers = int(info["startSequenceNumber"]), int(info["endSequenceNumber"])
        return info["shardId"], *numbers


class Kinesis(Side):
    kind = "kinesis"

    def create(self) -> str:
        self._kinesis = self._client("kinesis")
        self._kinesis.create_stream(StreamName=self.name, ShardCount=_SHARDS)
        return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{self.name}"

    def put(self, record: StreamRecord) -> None:
        texts = {f"{key}/{number}": key for key, number in self.texts()}
        records = [{"Data": text, "PartitionKey": key} for text, key in texts.items()]
        reply = self._kinesis.put_records(StreamName=self.name, Records=records)
        for text, put in zip(texts, reply["Records"], strict=True):
            record.add(text)
            record.places[put["ShardId"], put["SequenceNumber"]] = text

    def reshard(self) -> None:
        shards = [
            shard
            for shard in self._kinesis.list_shards(StreamName=self.name)["Shards"]
            if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
        ]
        shards.sort(key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        one, other = (shard["ShardId"] for shard in shards[:2])
        if len(shards) >= _MOST:
            self._kinesis.merge_shards(
                StreamName=self.name, ShardToMerge=one, AdjacentShardToMerge=other
            )
            return
        keys = shards[0]["HashKeyRange"]
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
        self._kinesis.split_shard(
            StreamName=self.name, ShardToSplit=one, NewStartingHashKey=str(middle)
        )


class DynamoDb(Side):
    """moto has one shard of a table, for ever."""

    kind = "dynamodb"

    def create(self) -> str:
        self._tables, self._streams = self._client("dynamodb"), self._client("dynamodbstreams")
        made = self._tables.create_table(
            TableName=self.name,
            KeySchema=[
                {"AttributeName": "key", "KeyType": "HASH"},
                {"AttributeName": "number", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "key", "AttributeType": "S"},
                {"AttributeName": "number", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
        arn: str = made["TableDescription"]["LatestStreamArn"]
        described = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]
        self._shard = described["Shards"][0]["ShardId"]
        self._iterator = self._streams.get_shard_iterator(
            StreamArn=arn, ShardId=self._shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        return arn

    def put(self, record: StreamRecord) -> None:
        for key, number in self.texts():
            item: Any = {"key": {"S": key}, "number": {"S": number}}
            self._tables.put_item(TableName=self.name, Item=item)
            record.add(f"{key}/{number}")
        found = self._streams.get_records(ShardIterator=self._iterator)
        self._iterator = found["NextShardIterator"]
        for one in found["Records"]:
            keys = one["dynamodb"]["Keys"]
            text = f"{keys['key']['S']}/{keys['number']['S']}"
            record.places[self._shard, one["dynamodb"]["SequenceNumber"]] = text


SIDES: dict[str, type[Side]] = {side.kind: side for side in (Kinesis, DynamoDb)}
