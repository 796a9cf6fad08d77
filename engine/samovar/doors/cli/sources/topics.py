"""Which topic is meant: what only `samovar sources create` says of Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_OWN, _MSK = "SelfManagedKafkaEventSourceConfig", "AmazonManagedKafkaEventSourceConfig"
CONSUMER_GROUPS = (_OWN, _MSK)  # where the API says the consumer group


def topic_options(command: Command) -> Command:
    """A decorator that gives a command the options whose values `source` reads."""
    for option in reversed(
        (
            click.option("--topic", metavar="NAME", help="of Kafka: what is read"),
            click.option(
                "--bootstrap-server",
                "servers",
                multiple=True,
                metavar="HOST:PORT",
                help="of a cluster of Kafka that has no ARN (may be given more than once)",
            ),
            click.option(
                "--consumer-group",
                metavar="NAME",
                help="of Kafka: the group that commits; named as the mapping by default",
            ),
        )
    ):
        command = option(command)
    return command


def source(arn: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The API's parameters for a source: an ARN, or servers. Raises UsageError for none or both."""
    servers, group = given["servers"], given["consumer_group"]
    if bool(servers) == bool(arn):
        raise click.UsageError(
            "say what is read: either SOURCE_ARN, or --bootstrap-server and --topic"
        )
    asked: dict[str, Any] = {"EventSourceArn": arn}
    if servers:
        endpoints = {"KAFKA_BOOTSTRAP_SERVERS": list(servers)}
        asked = {"SelfManagedEventSource": {"Endpoints": endpoints}}
    if given["topic"]:
        asked["Topics"] = [given["topic"]]
    if group:
        asked[_OWN if servers else _MSK] = {"ConsumerGroupId": group}
    return asked
