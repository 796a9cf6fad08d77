"""Journals that hand on at once: to a program's own sink, and to several others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from samovar.logs.platform_lines import lines
from samovar.logs.stream import Closed, Journal, LogStream, PlatformEvent, process_over
from samovar_worker.wire.records import Deframer


class LogSink(Protocol):
    """Where an embedding program gets functions' logs. Called on the loop; must not block."""

    def write(self, function: str, stream: str, data: bytes) -> None:
        """`data`: one log record or platform line with its newline, or raw output as it came.
        `stream` is the log stream's name: one per context."""


class SinkJournal:
    """A Journal that a LogSink listens to."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self._frames: dict[LogStream, Deframer] = {}

    def put(
        self, stream: LogStream, now: float, request_id: str, event: bytes | PlatformEvent
    ) -> None:
        frames = self._frames.get(stream)
        if frames is None:
            frames = self._frames[stream] = Deframer()
        if isinstance(event, bytes):
            parts = frames.feed(event)
        else:
            parts = frames.flush(records=process_over(event))
            if type(event) is Closed:
                del self._frames[stream]
            for line in lines(stream, now, request_id, event):
                parts.append((False, f"{line}\n".encode()))
        for _, data in parts:
            self._sink.write(stream.function, stream.name, data)


class Journals:
    """Several as one."""

    def __init__(self, journals: Sequence[Journal]) -> None:
        self._journals = tuple(journals)

    def put(
        self, stream: LogStream, now: float, request_id: str, event: bytes | PlatformEvent
    ) -> None:
        for journal in self._journals:
            journal.put(stream, now, request_id, event)
