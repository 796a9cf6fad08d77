"""A mapping's filters: which records go to the function.

What a pattern may ask of a record's data depends on where the record comes from. Source: the
developer guide's tables for each event source:

| data, pattern for it       | SQS           | Kinesis, DynamoDB | Kafka                     |
|----------------------------|---------------|-------------------|---------------------------|
| both JSON                  | filter        | filter            | filter                    |
| both strings               | filter        | refused at create | filter                    |
| string, JSON               | dropped       | dropped           | only metadata are filtered|
| JSON, string               | dropped       | refused at create | only metadata are filtered|
| any, none                  | only metadata | only metadata     | only metadata             |

A pattern for data is JSON if it is an object, and a string if it is an array. AWS doesn't say what
a mismatch in one of many patterns does to the others: here it is that pattern which doesn't match.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from samovar.event_sources.conditions import InvalidPattern
from samovar.event_sources.json_values import Content
from samovar.event_sources.patterns import Pattern

Passes = Callable[[dict[str, Any]], bool]
"""Whether a record, as its function would see it, gets through a mapping's filters."""


@dataclass(frozen=True, slots=True)
class DataRule:
    """How patterns meet the data of one kind of source."""

    keys: tuple[str, ...]  # the fields that hold data
    encoded: bool = False  # in base64
    strings: bool = True  # whether a pattern may ask for a string
    mismatch_ignored: bool = False  # string for JSON or the other way round: or else, no match
    within: str | None = None  # the field whose fields patterns see as the record's own


class Source(Enum):
    """The kinds of event source whose records are filtered."""

    SQS = DataRule(("body",))
    # The guide's patterns have «data» at the top, where records have it in «kinesis».
    KINESIS = DataRule(("data",), encoded=True, strings=False, within="kinesis")
    DYNAMODB = DataRule(("dynamodb",), strings=False)
    KAFKA = DataRule(("key", "value"), encoded=True, mismatch_ignored=True)


@dataclass(frozen=True, slots=True)
class FilterSet:
    """Patterns of which a record has to match one; without any, every record goes through.

    How many there may be is the API's to say: `limits.FILTERS`.
    """

    patterns: tuple[Pattern, ...] = ()

    @classmethod
    def compile(cls, patterns: Sequence[str]) -> FilterSet:
        """Raises InvalidPattern for the first that isn't one."""
        return cls(tuple(Pattern.compile(text) for text in patterns))

    def check_for(self, source: Source) -> None:
        """Raises InvalidPattern if one asks for a string where the source's data are JSON only."""
        rule = source.value
        for key in () if rule.strings else rule.keys:
            if any(pattern.asks_for_string(key) for pattern in self.patterns):
                raise InvalidPattern(f"{key} takes an object: these data are JSON")

    def matches(self, event: object) -> bool:
        """Whether parsed JSON matches one of the patterns; see `Pattern.matches`."""
        return not self.patterns or any(pattern.matches(event) for pattern in self.patterns)

    def matches_record(self, record: Mapping[str, object], source: Source) -> bool:
        """Whether a record, as the function would see it, goes to the function.

        Its data are decoded and parsed if a pattern asks for them, and once. A key or value that
        Kafka's record has as null is null to patterns, not data of another kind.
        """
        return not self.patterns or self.matches(_seen(record, source.value))


def _seen(record: Mapping[str, object], rule: DataRule) -> dict[str, object]:
    """The record as patterns see it."""
    seen = dict(record)
    inner = record.get(rule.within) if rule.within else None
    if isinstance(inner, Mapping):
        seen.update(inner)
    for key in rule.keys:
        raw = seen.get(key)
        if isinstance(raw, str):  # DynamoDB's are parsed already
            decode = _decoded if rule.encoded else str
            seen[key] = Content(raw, decode, ignored=rule.mismatch_ignored)
    return seen


def _decoded(raw: str) -> str:
    return base64.b64decode(raw).decode()
