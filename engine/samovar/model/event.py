"""Asynchronous invocation's nouns: an accepted event, how it ends, and what is then delivered.

What the queue keeps of them is msgpack, a list that begins with its format's number: `pack` and
`unpack` are the only ones who know its order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

import msgpack

from samovar.model.function import LATEST

FORMAT = 1

# Service model and developer guide.
MAX_RETRY_ATTEMPTS = (0, 2)
MAX_EVENT_AGE = (60, 21600)  # seconds
_BOUNDS = {"max_retry_attempts": MAX_RETRY_ATTEMPTS, "max_event_age": MAX_EVENT_AGE}


@dataclass(frozen=True, slots=True)
class EventInvokeConfig:
    """What happens to the events of a function's qualifier; None is «not set».

    `max_event_age` is seconds; `on_success` and `on_failure` are ARNs; `last_modified` is seconds
    since the epoch.
    """

    max_retry_attempts: int | None = None
    max_event_age: int | None = None
    on_success: str | None = None
    on_failure: str | None = None
    last_modified: float = 0.0

    @classmethod
    def of(cls, document: Any) -> Self:
        """What a record holds; raises ValueError, KeyError or TypeError for anything else."""
        for name, bounds in _BOUNDS.items():
            value = document[name]
            if value is not None and not bounds[0] <= value <= bounds[1]:
                raise ValueError(f"{value!r} is no {name}")
        for name in ("on_success", "on_failure"):
            if not isinstance(document[name], str | None):
                raise TypeError(f"{document[name]!r} is no ARN")
        # An empty one took a destination away.
        return cls(
            document["max_retry_attempts"],
            document["max_event_age"],
            document["on_success"] or None,
            document["on_failure"] or None,
            float(document["last_modified"]),
        )

    def document(self) -> dict[str, Any]:
        """The JSON value that `of` takes."""
        return asdict(self)

    @property
    def retries(self) -> int:
        """AWS's default where none is set."""
        return MAX_RETRY_ATTEMPTS[1] if self.max_retry_attempts is None else self.max_retry_attempts

    @property
    def age(self) -> int:
        """AWS's default where none is set; seconds."""
        return MAX_EVENT_AGE[1] if self.max_event_age is None else self.max_event_age


class Condition(StrEnum):
    """How an event ended (AWS's words in an invocation record, and what they leave unsaid).

    The last three are not in AWS's pages: a loop's is unconfirmed; that a function or its
    qualifier is gone, or that an event is none, AWS tells nobody.
    """

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"
    RECURSIVE_INVOCATION = "RecursiveInvocation"
    FUNCTION_DELETED = "FunctionDeleted"
    INVALID_EVENT = "InvalidEvent"


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of an event, for a record of it.

    `invoke_count` is how often its function was run with it. The others are of the last run, where
    there was one: its version, AWS's X-Amz-Function-Error, and the raw JSON of result or error.
    """

    condition: Condition
    invoke_count: int
    executed_version: str = ""
    function_error: str | None = None
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """What the engine knows of an event besides its payload.

    `name` and `qualifier` are the function's as invoked (`$LATEST` where none was given);
    `function_arn` is the ARN as invoked; `trace` its X-Amzn-Trace-Id. `invoked` counts how often
    the function was run with it, `errors` how often that failed, `puts_off` how often in a row it
    was put off by throttles and system errors. `condition`, `error_type` and `error_message` are
    those of a dead one.
    """

    name: str
    function_arn: str
    qualifier: str = LATEST
    trace: str = ""
    invoked: int = 0
    errors: int = 0
    puts_off: int = 0
    condition: str = ""
    error_type: str = ""
    error_message: str = ""

    def pack(self) -> bytes:
        """As the queue keeps it."""
        return _pack(
            [
                *(FORMAT, self.name, self.function_arn, self.qualifier, self.trace),
                *(self.invoked, self.errors, self.puts_off),
                *(self.condition, self.error_type, self.error_message),
            ]
        )

    @staticmethod
    def pack_new(name: str, function_arn: str, qualifier: str, trace: str) -> bytes:
        """What `pack` makes of an event that has just come in, for a third of the cost: there is
        one for each that is accepted."""
        packed: bytes = msgpack.packb(
            [FORMAT, name, function_arn, qualifier, trace, 0, 0, 0, "", "", ""]
        )
        return packed

    @classmethod
    def unpack(cls, head: bytes) -> Self:
        """Raises ValueError for what `pack` of no known format has made."""
        return cls(*_fields(head))

    def again(self) -> Self:
        """The same event as if it had just come in."""
        return replace(
            self, invoked=0, errors=0, puts_off=0, condition="", error_type="", error_message=""
        )


class Channel(StrEnum):
    """Why something is delivered."""

    ON_SUCCESS = "on-success"
    ON_FAILURE = "on-failure"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the engine knows of a delivery besides the message.

    `event` is the request id of the event; `function_arn` its function's, qualified; `target` the
    ARN of where it goes; `role` the ARN of the execution role that it is sent with. `error_code`
    and `error_message` are a dead letter's attributes. `failures` counts how often it could not be
    sent, `failure` says why the last time. `ended` is when the event ended (epoch seconds), 0 in
    what was kept before this was. `prefix` is what the key of an object in S3 begins with, empty
    for an event's. What tells of a batch of a stream has the UUID of its `mapping`, and how many
    `records` there were.
    """

    event: str
    function_arn: str
    channel: Channel
    target: str
    role: str
    condition: str
    trace: str = ""
    error_code: str = ""
    error_message: str = ""
    failures: int = 0
    failure: str = ""
    ended: float = 0.0
    prefix: str = ""
    mapping: str = ""
    records: int = 0

    def pack(self) -> bytes:
        """As the queue keeps it."""
        return _pack(
            [
                *(FORMAT, self.event, self.function_arn, self.channel.value, self.target),
                *(self.role, self.condition, self.trace, self.error_code, self.error_message),
                *(self.failures, self.failure, self.ended, self.prefix),
                *(self.mapping, self.records),
            ]
        )

    @classmethod
    def unpack(cls, head: bytes) -> Self:
        """Raises ValueError for what `pack` of no known format has made."""
        event, function_arn, channel, *rest = _fields(head)
        return cls(event, function_arn, Channel(channel), *rest)


def _pack(fields: list[Any]) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return packed


def _fields(head: bytes) -> list[Any]:
    fields = msgpack.unpackb(head)
    if not isinstance(fields, list) or fields[:1] != [FORMAT]:
        raise ValueError(f"a head of another format than {FORMAT}: {head[:40]!r}")
    return fields[1:]
