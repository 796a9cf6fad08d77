"""What PutLogEvents takes in one request. Pure.

Source: the service model of CloudWatch Logs, 2026: at most 10,000 events and 1,048,576 bytes, each
event counted with 26 bytes more than its UTF-8; in order of their times; within 24 hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_EVENTS = 10_000
MAX_BYTES = 1_048_576
OVERHEAD = 26  # bytes that an event counts beside its text
MAX_EVENT = MAX_BYTES - OVERHEAD  # «1 MB», and it has to fit into a request
SPAN = 24 * 3600 * 1000  # milliseconds


class LogEvent(NamedTuple):
    """One event; `time` is seconds since the epoch."""

    group: str
    stream: str
    time: float
    text: str


@dataclass(frozen=True, slots=True)
class PutRequest:
    """One PutLogEvents: `events` as the API wants them, in order."""

    group: str
    stream: str
    events: list[dict[str, int | str]]


def requests(events: Iterable[LogEvent]) -> Iterator[PutRequest]:
    """The requests that bring `events` to their streams, as few as the limits allow."""
    by_stream: dict[tuple[str, str], list[tuple[int, str, int]]] = {}
    for group, stream, time, text in events:
        target = by_stream.setdefault((group, stream), [])
        milliseconds = int(time * 1000)
        for part, size in _parts(text):
            target.append((milliseconds, part, size))
    for (group, stream), found in by_stream.items():
        found.sort(key=lambda item: item[0])  # stable; the wall clock may have stepped back
        batch: list[dict[str, int | str]] = []
        total = first = 0
        for time, text, size in found:
            full = total + size + OVERHEAD > MAX_BYTES or len(batch) == MAX_EVENTS
            if batch and (full or time - first >= SPAN):
                yield PutRequest(group, stream, batch)
                batch, total = [], 0
            if not batch:
                first = time
            batch.append({"timestamp": time, "message": text})
            total += size + OVERHEAD
        if batch:
            yield PutRequest(group, stream, batch)


def _parts(text: str) -> Iterator[tuple[str, int]]:
    """`text` with its newline, as AWS delivers events, and its size; cut where it is too long."""
    text += "\n"
    data = text.encode(errors="replace")
    if len(data) <= MAX_EVENT:
        yield (text if text.isascii() else data.decode()), len(data)
        return
    start = 0
    while start < len(data):
        end = min(start + MAX_EVENT, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        yield data[start:end].decode(), end - start
        start = end
