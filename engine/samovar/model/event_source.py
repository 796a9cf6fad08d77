"""Event source mappings: which function gets what is in a queue, a stream or a topic, and in what
portions.

Parameters, defaults and ranges: service model and developer guide (reference, section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class SourceKind(StrEnum):
    """What is read; the values are the services of ARNs, but for the last."""

    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"
    MSK = "kafka"
    KAFKA = "self-managed-kafka"  # has no ARN: its servers are named


class MappingState(StrEnum):
    """AWS's states of a mapping."""

    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"

    @property
    def settled(self) -> bool:
        """Whether it stays so until somebody asks for a change."""
        return self in (MappingState.ENABLED, MappingState.DISABLED)


class StartingPosition(StrEnum):
    """Where the reading of a stream begins."""

    TRIM_HORIZON = "TRIM_HORIZON"  # with what is oldest
    LATEST = "LATEST"  # with what comes from now on
    AT_TIMESTAMP = "AT_TIMESTAMP"


# Records in a batch where nothing is said; of a FIFO queue at most.
BATCH_SIZE = dict.fromkeys(SourceKind, 100) | {SourceKind.SQS: 10}
FIFO_BATCH_SIZE = 10
# Seconds that a batch may fill where nothing is said (Kafka's can't be asked for again, as at AWS).
WINDOW = dict.fromkeys(SourceKind, 0.0) | {SourceKind.MSK: 0.5, SourceKind.KAFKA: 0.5}
# Retries of what has no end, where somebody is told of Kafka's records that were given up.
KAFKA_RETRIES = 10
# Retries and ages without an end.
FOREVER = -1
# Beyond so many a batch is filled over some time, so there must be a window.
BATCH_WITHOUT_WINDOW = 10

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-zA-Z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]+):"
    r"(?P<account>[0-9]{12}):(?P<resource>.+)"
)
_RESOURCES = {
    SourceKind.SQS: r"[a-zA-Z0-9_-]{1,80}(\.fifo)?",
    SourceKind.KINESIS: r"stream/[a-zA-Z0-9_.-]{1,128}(/consumer/.+)?",
    SourceKind.DYNAMODB: r"table/[a-zA-Z0-9_.-]{3,255}/stream/.+",
    SourceKind.MSK: r"cluster/[^/]+/[^/]+",
}


@dataclass(frozen=True, slots=True)
class Source:
    """What can be read from: the ARN of it, taken apart; or servers of Kafka, separated by commas,
    as its `resource`."""

    arn: str
    kind: SourceKind
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, arn: str) -> Self:
        """Raises ValueError for whatever can't be read."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise ValueError(f"{arn!r} is no ARN of a queue or a stream")
        kind = SourceKind(match["service"])
        if not re.fullmatch(_RESOURCES.get(kind, ""), match["resource"]):
            raise ValueError(f"{arn!r} names nothing of {kind} that can be read")
        return cls(arn, kind, match["region"], match["account"], match["resource"])

    @classmethod
    def self_managed(cls, servers: Sequence[str]) -> Self:
        """A cluster of Kafka that is nobody's service; `servers` are hosts with ports."""
        return cls("", SourceKind.KAFKA, "", "", ",".join(servers))

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.arn or self.resource

    @property
    def is_stream(self) -> bool:
        """Whether it has shards, which are read in order."""
        return self.kind in (SourceKind.KINESIS, SourceKind.DYNAMODB)

    @property
    def is_kafka(self) -> bool:
        """Whether it has topics, which are read in consumer groups."""
        return self.kind in (SourceKind.MSK, SourceKind.KAFKA)

    @property
    def is_fifo(self) -> bool:
        """Whether it is a queue that keeps the order within its message groups."""
        return self.kind is SourceKind.SQS and self.resource.endswith(".fifo")


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """One mapping.

    `function_arn` is as it was asked for: qualified only if it was then. `window` is how many
    seconds a batch may fill; `maximum_concurrency` how many batches are in functions at most, None
    for as many as the function takes; `filters` are patterns as text; `report_failures`: the
    function says which records of a batch failed (ReportBatchItemFailures); `metrics`: the groups
    of AWS's metrics that were asked for. `last_modified` is epoch seconds.

    Of a stream: where reading begins (`starting_at` is epoch seconds), how often a batch is tried
    again and how many seconds old a record may be (-1: without an end), whether a batch that fails
    is bisected, the ARN that is told of what was given up, how many batches of one shard are
    in functions at most (ParallelizationFactor), and the size of tumbling windows in seconds, 0 for
    none.

    Of Kafka: `servers` (host:port) of a cluster that has no ARN, the topic, the consumer group
    (None for one named as the mapping), and `access`: what is said of authentication and networks,
    as pairs of AWS's type and URI.

    `least_pollers` and `most_pollers` are those of provisioned mode, None without it.
    """

    uuid: str
    function_arn: str
    source_arn: str
    enabled: bool = True
    batch_size: int = 10
    window: float = 0.0
    maximum_concurrency: int | None = None
    report_failures: bool = False
    metrics: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    last_modified: float = 0.0
    revision: str = ""
    starting_position: StartingPosition | None = None
    starting_at: float | None = None
    retries: int = FOREVER
    record_age: int = FOREVER
    bisect: bool = False
    on_failure: str | None = None
    parallelization: int = 1
    servers: tuple[str, ...] = ()
    topic: str | None = None
    consumer_group: str | None = None
    access: tuple[tuple[str, str], ...] = ()
    least_pollers: int | None = None
    most_pollers: int | None = None
    tumbling_window: int = 0

    @property
    def source(self) -> Source:
        """Its source, taken apart."""
        return (
            Source.parse(self.source_arn) if self.source_arn else Source.self_managed(self.servers)
        )

    @property
    def source_name(self) -> str:
        """What people know the source by."""
        return self.source_arn or ",".join(self.servers)

    @property
    def group(self) -> str:
        """The consumer group that reads a topic."""
        return self.consumer_group or self.uuid

    @property
    def provisioned(self) -> bool:
        """Whether it has pollers of its own (ProvisionedPollerConfig)."""
        return self.least_pollers is not None

    @property
    def most_retries(self) -> int:
        """How often a batch is tried again, as it is carried out."""
        if self.topic and self.on_failure and self.retries == FOREVER:
            return KAFKA_RETRIES
        return self.retries

    @property
    def function_name(self) -> str:
        """The function's plain name."""
        return self.function_arn.split(":")[6]

    @property
    def function(self) -> str:
        """The function's unqualified ARN."""
        return ":".join(self.function_arn.split(":")[:7])

    @property
    def qualifier(self) -> str | None:
        """The version or alias that is invoked; None for $LATEST, unsaid."""
        return [*self.function_arn.split(":"), None][7]

    @property
    def target_state(self) -> MappingState:
        """What it comes to when nothing is under way."""
        return MappingState.ENABLED if self.enabled else MappingState.DISABLED

    def document(self) -> dict[str, Any]:
        """What a store keeps of it, besides its key and revision."""
        found = asdict(self)
        del found["uuid"], found["revision"]
        return found

    @classmethod
    def of(cls, uuid: str, revision: str, document: Mapping[str, Any]) -> Self:
        """What `document` made; raises TypeError and KeyError for a damaged one."""
        found = dict(document)
        if found.pop("event_metrics", False):  # as it was kept before there were several groups
            found["metrics"] = ("EventCount",)
        for name in ("filters", "metrics", "servers"):
            found[name] = tuple(found.get(name, ()))
        found["access"] = tuple((kind, uri) for kind, uri in found.get("access", ()))
        position = found.get("starting_position")
        if position is not None:
            found["starting_position"] = StartingPosition(position)
        return cls(uuid, **found, revision=revision)


@dataclass(frozen=True, slots=True)
class ShownMapping:
    """A mapping as the API tells of it."""

    mapping: EventSourceMapping
    arn: str
    state: MappingState
    reason: str
    last_result: str | None = None
