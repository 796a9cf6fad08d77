"""Event source mappings: which function gets what is in a queue or stream, and in what portions.

Parameters, defaults and ranges: service model and developer guide (reference, section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class SourceKind(StrEnum):
    """What is read; the values are the services of ARNs."""

    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"


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


# Records in a batch where nothing is said, and at most; of a FIFO queue at most.
BATCH_SIZE = {SourceKind.SQS: 10, SourceKind.KINESIS: 100, SourceKind.DYNAMODB: 100}
FIFO_BATCH_SIZE = 10
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
}


@dataclass(frozen=True, slots=True)
class Source:
    """An ARN that can be read from."""

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
        if not re.fullmatch(_RESOURCES[kind], match["resource"]):
            raise ValueError(f"{arn!r} names nothing of {kind} that can be read")
        return cls(arn, kind, match["region"], match["account"], match["resource"])

    @property
    def is_stream(self) -> bool:
        """Whether it has shards, which are read in order."""
        return self.kind is not SourceKind.SQS

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
    function says which records of a batch failed (ReportBatchItemFailures); `event_metrics`: that
    AWS's EventCount metrics were asked for. `last_modified` is epoch seconds.

    Of a stream: where reading begins (`starting_at` is epoch seconds), how often a batch is tried
    again and how many seconds old a record may be (-1: without an end), whether a batch that fails
    is bisected, the ARN that is told of what was given up, how many batches of one shard are
    in functions at most (ParallelizationFactor), and the size of tumbling windows in seconds, 0 for
    none.
    """

    uuid: str
    function_arn: str
    source_arn: str
    enabled: bool = True
    batch_size: int = 10
    window: int = 0
    maximum_concurrency: int | None = None
    report_failures: bool = False
    event_metrics: bool = False
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
    tumbling_window: int = 0

    @property
    def source(self) -> Source:
        """Its source, taken apart."""
        return Source.parse(self.source_arn)

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
        found = {**document, "filters": tuple(document["filters"])}
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
