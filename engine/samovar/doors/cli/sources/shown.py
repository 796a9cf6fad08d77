"""Event source mappings as people see them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from samovar.doors.cli.event_configs import target_text
from samovar.doors.cli.screen import age
from samovar.doors.cli.sources.asking import Counts, Shown
from samovar.doors.cli.sources.topics import CONSUMER_GROUPS
from samovar.model.event_source import FOREVER, KAFKA_RETRIES

RIGHT = ("batch", "age", "lag", "pollers", "polled", "filtered", "failed", "dropped", "delivered")
# The columns that matter least, the least of all first.
LEFT_OUT_FIRST = (
    *("pollers", "batch", "delivered", "filtered", "dropped", "last result", "age"),
    *("lag", "errors", "failed", "polled"),
)
# Shown only where there is something to show.
_OPTIONAL = ("last result", "age", "lag", "filtered", "dropped", "delivered", "errors")
_RESOURCE = re.compile(r"(?:stream|table|cluster)/([^/]+)")


def rows(found: Sequence[Shown], counted: Mapping[str, Counts] | None) -> list[dict[str, str]]:
    """A row for each, in the order of functions and sources."""
    made = [_row(one, None if counted is None else counted.get(one["UUID"])) for one in found]
    made.sort(key=lambda row: (row["function"], row["source"]))
    empty = [name for name in _OPTIONAL if all(_is_nothing(name, row[name]) for row in made)]
    return [{name: text for name, text in row.items() if name not in empty} for row in made]


def _is_nothing(name: str, text: str) -> bool:
    """That a reader lags by nothing is something."""
    return text == "-" or (text == "0" and name != "lag")


def _row(one: Shown, counts: Counts | None) -> dict[str, str]:
    return {
        "UUID": one["UUID"],
        "state": one["State"],
        "source": source_text(one),
        "function": function_text(one),
        "batch": str(one.get("BatchSize", "-")),
        "last result": one.get("LastProcessingResult") or "-",
        "age": _age(counts),
        "lag": _lag(counts),
        "pollers": "-" if counts is None else str(counts["pollers"]),
        **{
            name: "-" if counts is None else f"{counts['events'].get(name, 0):,}"
            for name in ("polled", "filtered", "failed", "dropped", "delivered")
        },
        "errors": "-" if counts is None else _errors(counts["errors"]) or "-",
    }


def source_text(one: Shown) -> str:
    """A source for a person: `sqs:uploads`, `kinesis:clicks`, `dynamodb:orders`, and with a topic
    `kafka:CLUSTER:tea`, or `kafka:tea` where the cluster has no name."""
    arn = one.get("EventSourceArn")
    topics = ",".join(one.get("Topics", ()))
    if not arn:  # a cluster of Kafka that has none
        return f"kafka:{topics or '-'}"
    service, resource = arn.split(":")[2], arn.split(":", 5)[-1]
    named = _RESOURCE.match(resource)
    return f"{service}:{named[1] if named else resource}" + (f":{topics}" if topics else "")


def function_text(one: Shown) -> str:
    """A function's name, with the qualifier that the mapping names."""
    return str(one["FunctionArn"]).partition(":function:")[2] or "-"


def _age(counts: Counts | None) -> str:
    found = None if counts is None else counts["iterator_age_milliseconds"]
    return "-" if found is None else age(found / 1000.0)


def _lag(counts: Counts | None) -> str:
    found = None if counts is None else counts["offset_lag"]
    return "-" if found is None else f"{found:,}"


def _errors(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {error}" for error, count in sorted(errors.items()) if count)


def details(one: Shown, counts: Counts | None) -> Iterator[tuple[str, str]]:
    """All of one, as names and texts in the order in which they are read."""
    yield "mapping", one["UUID"]
    yield "state", f"{one['State']} ({one.get('StateTransitionReason', '-')})"
    yield "function", one["FunctionArn"]
    yield "source", one.get("EventSourceArn") or source_text(one)
    if one.get("Topics"):
        yield from _of_a_topic(one)
    window = one.get("MaximumBatchingWindowInSeconds") or 0
    yield "a batch", f"up to {one.get('BatchSize')}" + (f", within {window} s" if window else "")
    for filtered in one.get("FilterCriteria", {}).get("Filters", ()):
        yield "filter", filtered["Pattern"]
    if one.get("FunctionResponseTypes"):
        yield "answers", ", ".join(one["FunctionResponseTypes"])
    most = one.get("ScalingConfig", {}).get("MaximumConcurrency")
    if most is not None:
        yield "at once", f"up to {most}"
    own = one.get("ProvisionedPollerConfig")
    if own:
        yield "provisioned", f"{own['MinimumPollers']} to {own['MaximumPollers']} pollers"
    if one.get("StartingPosition"):
        yield from _of_a_stream(one)
    yield "modified", f"{one['LastModified'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if one.get("LastProcessingResult"):
        yield "last result", one["LastProcessingResult"]
    if counts is not None:
        events = ", ".join(f"{count:,} {what}" for what, count in counts["events"].items())
        yield "records", events or "none so far"
        if counts["iterator_age_milliseconds"] is not None:
            yield "iterator age", _age(counts)
        if counts["offset_lag"] is not None:
            yield "lag", f"{_lag(counts)} records"
        yield "pollers", str(counts["pollers"])
        for name, errors in (("errors", "errors"), ("not told", "delivery_errors")):
            text = _errors(counts[errors])  # type: ignore[literal-required]
            if text:
                yield name, text


def _of_a_topic(one: Shown) -> Iterator[tuple[str, str]]:
    yield "topic", ", ".join(one["Topics"])
    servers = (one.get("SelfManagedEventSource") or {}).get("Endpoints", {})
    if servers:
        yield "servers", ", ".join(servers["KAFKA_BOOTSTRAP_SERVERS"])
    for name in CONSUMER_GROUPS:
        if one.get(name):
            yield "group", one[name]["ConsumerGroupId"]
    for access in one.get("SourceAccessConfigurations", ()):
        yield "access", f"{access['Type']}={access['URI']}"


def _of_a_stream(one: Shown) -> Iterator[tuple[str, str]]:
    moment = one.get("StartingPositionTimestamp")
    at = f" {moment.astimezone(UTC).isoformat()}" if moment is not None else ""
    yield "begins at", one["StartingPosition"] + at
    retries, oldest = one.get("MaximumRetryAttempts"), one.get("MaximumRecordAgeInSeconds")
    bisect = ", in halves" if one.get("BisectBatchOnFunctionError") else ""
    target = (one.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
    if retries in (None, FOREVER):
        # Of a topic they have an end where somebody is told of it.
        retries = KAFKA_RETRIES if target and one.get("Topics") else "without an end"
    yield "retries", f"{retries}{bisect}"
    if oldest not in (None, FOREVER):
        yield "given up", f"when older than {oldest} s"
    if one.get("ParallelizationFactor", 1) > 1:
        yield "at once", f"{one['ParallelizationFactor']} of each shard"
    if one.get("TumblingWindowInSeconds"):
        yield "window", f"{one['TumblingWindowInSeconds']} s, tumbling"
    if target:
        yield "on failure", target_text(target)


def said(one: Shown) -> str:
    """How a mapping is, in a line: `sqs:uploads for thumbnail: Enabled`."""
    return f"{source_text(one)} for {function_text(one)}: {one['State']}"


def as_json(document: object) -> str:
    """The API's documents; times in UTC."""
    return json.dumps(document, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{value!r} is nothing that the API says")


def without_metadata(reply: Shown) -> dict[str, Any]:
    """A mapping without what boto3 tells of the reply."""
    return {name: value for name, value in reply.items() if name != "ResponseMetadata"}
