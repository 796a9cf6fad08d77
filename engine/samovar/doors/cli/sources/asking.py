"""Event source mappings through the Lambda API, and what is counted of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypedDict

from botocore.exceptions import ClientError as RefusedByApi
from prometheus_client.parser import text_string_to_metric_families

from samovar.doors.cli import pages
from samovar.doors.cli.exits import WHAT_IS_THERE, refused
from samovar.doors.cli.remote import connected
from samovar.doors.cli.screen import console, say
from samovar.metrics import names
from samovar.model.event_source import MappingState
from samovar.settings import is_loopback

Shown = Mapping[str, Any]
"""A mapping, as the API tells of it."""

_NEAR, _FAR = 0.05, 1.0  # seconds between two looks at an engine next door, and at AWS
_HINT_AFTER = 3.0  # seconds
_SOURCES = (
    "SOURCE_ARN is that of a queue (arn:aws:sqs:us-east-1:000000000000:NAME), of a stream of "
    "Kinesis, of a table's stream (LatestStreamArn of aws dynamodb describe-table), or of a "
    "cluster of MSK; a cluster of Kafka that has none: --bootstrap-server HOST:PORT --topic NAME"
)
_TARGETS = (
    "--on-failure takes the ARN of a queue, a topic of SNS or a bucket (arn:aws:s3:::NAME); where "
    "a topic of Kafka is read, kafka://TOPIC for another one of that cluster, too."
)
# What to do about what the API says of mappings, by a part of its message.
_ADVICE = {
    "The resource you requested does not exist": "What there is: samovar sources list",
    "Function does not exist": WHAT_IS_THERE,
    "already exists. Please update": "What it says now: samovar sources show UUID; to have it say "
    "something else: samovar sources update UUID",
    "is being created by another request": "What comes of that: samovar sources list",
    "currently being updated": "Another change of it is under way: samovar sources show UUID says "
    "when it is over; then try again.",
    "because it is in use": "It is being deleted already, once what is in hand is done.",
    "Unrecognized event source": _SOURCES,
    "at 'eventSourceArn' failed": _SOURCES,
    "Value null at 'startingPosition'": "A stream, or a topic, is read from somewhere on: "
    "--starting-position TRIM_HORIZON (all that is there), LATEST, or a moment.",
    "StartingPosition is not valid": "A queue has no positions: leave --starting-position out.",
    "Maximum batch window in seconds must be": "Say how long a batch may fill: --window SECONDS",
    "Queue visibility timeout": "Have the one be longer (aws sqs set-queue-attributes), or the "
    "other shorter (samovar deploy --timeout).",
    "Invalid filter pattern": 'A pattern is like {"body": {"kind": ["tea"]}}; the rules are in '
    "docs/event-sources.md.",
    "Required 'sourceAccessConfigurations'": "AWS wants to know how servers are reached, and so it "
    "is here: --access VPC_SUBNET=subnet:none where they ask for nothing, --access "
    "BASIC_AUTH=SECRET_ARN and the like where they do (docs/event-sources.md).",
    "SourceAccessConfigurations of": "The types that --access TYPE=URI may have are in "
    "docs/event-sources.md.",
    "Topics is required": "Which topic is read: --topic NAME",
    "is no bootstrap server": "A server is said as HOST:PORT, and again for each further one: "
    "--bootstrap-server HOST:PORT",
    "needs provisioned mode": "That mode is asked for with --pollers MIN-MAX, like --pollers 1-10.",
    "provided destination config": _TARGETS,
    "at 'destinationConfig.onFailure.destination' failed": _TARGETS,
    "does not have permissions to call": "What a role needs is in docs/event-sources.md.",
}


@contextmanager
def mappings_at(endpoint_url: str | None) -> Iterator[Any]:
    """A Lambda client for the endpoint that is meant; what goes wrong is a Failure that says what
    to do about it."""
    with connected(endpoint_url) as client:
        try:
            yield client
        except RefusedByApi as error:
            advice = advice_for(error.response.get("Error", {}).get("Message", ""))
            if not advice:
                raise
            raise refused(error, advice) from error


def advice_for(message: str) -> str:
    """What to do about a refusal; empty where that is nothing of mappings."""
    return next((advice for part, advice in _ADVICE.items() if part in message), "")


def listed(client: Any, function: str | None, source: str | None) -> list[Shown]:
    """All of them, or those of a source, or of a function (whichever qualifier they name,
    unless one is given)."""
    name = (function or "").rpartition(":function:")[2]
    asked = {"FunctionName": function if ":" in name else None, "EventSourceArn": source}
    found = client.get_paginator("list_event_source_mappings").paginate(
        **{name: text for name, text in asked.items() if text is not None}
    )
    return [
        one
        for page in found
        for one in page["EventSourceMappings"]
        if not name or ":" in name or one["FunctionArn"].split(":")[6] == name
    ]


def settled(client: Any, shown: Shown) -> Shown | None:
    """A mapping once nothing is under way for it; None once it is deleted. Waits as long as that
    takes: a batch that is in hand may take as long as its function runs."""
    pace = _NEAR if is_loopback(client.meta.endpoint_url) else _FAR
    began, hinted = time.monotonic(), False
    screen = console(stderr=True)
    waiting = f"{shown['UUID']} is {shown['State']}"
    with screen.status(waiting) if screen.is_terminal else nullcontext():
        while not MappingState(shown["State"]).settled:
            if not hinted and time.monotonic() - began > _HINT_AFTER:
                hinted = True
                say(
                    f"{waiting}: a poll or a batch that is in hand is still done; Ctrl-C ends the "
                    "waiting, and not that"
                )
            time.sleep(pace)
            try:
                shown = client.get_event_source_mapping(UUID=shown["UUID"])
            except client.exceptions.ResourceNotFoundException:
                return None
    return shown


class Counts(TypedDict):
    """What is counted of one mapping since the engine's start: records by what came of them,
    failures to read by what was said, failures to tell the on-failure destination by its service;
    pollers now; how old the last record was that was handed to the function; of Kafka, how many
    records are not committed."""

    events: dict[str, int]
    errors: dict[str, int]
    delivery_errors: dict[str, int]
    pollers: int
    iterator_age_milliseconds: float | None
    offset_lag: int | None


def counts(client: Any) -> dict[str, Counts] | None:
    """Of each mapping, by its UUID; None where nobody tells."""
    text = pages.metrics_text(client)
    return None if text is None else counts_of(text)


def counts_of(text: str) -> dict[str, Counts]:
    """What a page in Prometheus's text format says of mappings."""
    found: dict[str, Counts] = {}
    lines = [line for line in text.splitlines() if "samovar_event_source_" in line]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            one = found.setdefault(sample.labels["mapping"], _nothing())
            labels, count = sample.labels, int(sample.value)
            if sample.name == names.SOURCE_EVENTS.name:
                one["events"][labels["outcome"]] = count
            elif sample.name == names.SOURCE_ERRORS.name:
                one["errors"][labels["error"]] = count
            elif sample.name == names.SOURCE_DELIVERY_ERRORS.name:
                one["delivery_errors"][labels["service"]] = count
            elif sample.name == names.SOURCE_POLLERS.name:
                one["pollers"] = count
            elif sample.name == names.SOURCE_AGE.name:
                one["iterator_age_milliseconds"] = sample.value
            elif sample.name == names.SOURCE_LAG.name and labels["of"] == "sum":
                one["offset_lag"] = count
    return found


def _nothing() -> Counts:
    return {
        "events": {},
        "errors": {},
        "delivery_errors": {},
        "pollers": 0,
        "iterator_age_milliseconds": None,
        "offset_lag": None,
    }


def with_counts(
    found: Sequence[Shown], counted: Mapping[str, Counts] | None
) -> list[dict[str, Any]]:
    """The API's documents, each with `Metrics` beside: null where nobody tells."""
    return [{**one, "Metrics": (counted or {}).get(one["UUID"])} for one in found]
