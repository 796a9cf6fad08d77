"""Records in portions that a function takes, and what it says of one. Pure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from samovar.model import limits


class Encoded(NamedTuple):
    """A record: what its source knows it by, and its JSON."""

    key: str
    text: bytes


class HasText(Protocol):
    """A record that an event can carry."""

    @property
    def text(self) -> bytes:
        """Its JSON."""


R = TypeVar("R", bound=HasText)


def _named(item: object) -> object:
    return item


@dataclass(frozen=True, slots=True)
class Form:
    """What an event is besides its records; and the key of the record that an `itemIdentifier` of
    an answer means, None for what means none."""

    head: bytes = b'{"Records":['
    tail: bytes = b"]}"
    named: Callable[[object], object] = _named

    @property
    def size(self) -> int:
        """Bytes of an event without records."""
        return len(self.head) + len(self.tail)

    def event(self, records: Sequence[HasText]) -> bytes:
        """The event that carries records."""
        return b"%b%b%b" % (self.head, b",".join(record.text for record in records), self.tail)


RECORDS = Form()


def portions(
    records: Sequence[R],
    limit: int = limits.SYNC_PAYLOAD_SIZE,
    form: Form = RECORDS,
    most: int = sys.maxsize,
) -> Iterator[Sequence[R]]:
    """The records, in their order, in as few events as hold them, of `most` records each. AWS cuts
    a batch to fit 6 MB; a record that is larger by itself (none of SQS is) comes alone, and is
    refused by its function."""
    begin, size = 0, form.size
    for at, record in enumerate(records):
        more = len(record.text) + (at > begin)
        if at > begin and (size + more > limit or at - begin == most):
            yield records[begin:at]
            begin, size, more = at, form.size, len(record.text)
        size += more
    if begin < len(records):
        yield records[begin:]


def failed_keys(payload: bytes, keys: Sequence[str], form: Form = RECORDS) -> frozenset[str]:
    """Which of a batch's records a function says have failed (ReportBatchItemFailures).

    All of them where it answers in another form, or names one that was not in the batch; none for
    an answer that is empty (developer guide, «Reporting batch item failures»).
    """
    everything = frozenset(keys)
    try:
        answer = json.loads(payload or b"null")
    except (ValueError, RecursionError):
        return everything
    if not answer:  # null, "", {}, [] (and 0, false: unconfirmed)
        return frozenset()
    # An answer about something else says nothing of failures (unconfirmed).
    items = answer.get("batchItemFailures", []) if isinstance(answer, dict) else None
    if items is None and isinstance(answer, dict):
        return frozenset()
    found = {_key(item, form) for item in items} if isinstance(items, list) else {None}
    return frozenset(map(str, found)) if found <= everything else everything


def _key(item: object, form: Form) -> object:
    key = form.named(item.get("itemIdentifier")) if isinstance(item, dict) else None
    return key if isinstance(key, str) else None
