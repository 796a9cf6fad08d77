"""The journal that is kept: a bounded queue on the loop, and one thread that formats and writes.

An invocation pays for a tuple in a list. Batches go to the thread some times a second; it lets go
of the interpreter's lock between small steps, so that no invocation waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from queue import SimpleQueue

from samovar.clock import Clock, Timer
from samovar.logs.delivery import Delivery, LogEvent
from samovar.logs.files import LogFiles, entry
from samovar.logs.lost import STOPPED, TOO_FAST, WRITER, Lost
from samovar.logs.platform_lines import lines
from samovar.logs.split import Splitter
from samovar.logs.stream import Dropped, LogStream, PlatformEvent, process_over
from samovar_worker.wire.records import MARKER

_log = logging.getLogger(__name__)
INTERVAL = 0.05  # seconds that a record waits for others: what a kill -9 of the engine costs
BATCH = 1 << 20  # bytes that do not wait
QUEUE = 16 << 20  # bytes of all that is not written yet; beyond it records are dropped
# What comes in larger pieces comes from a function that floods its log: a quarter of the queue
# stays free of it, for the others.
_FLOOD = 4096
_ENTRY = 256  # bytes that an entry of the queue takes beside its data
_LINE = 32  # and a line or record of a large one: whoever floods writes short ones
_STEP = 32  # entries that are formatted in one go

Entry = tuple[LogStream, float, str, bytes | PlatformEvent]


class LogWriter:
    """A Journal for files, CloudWatch Logs, or both. For one loop; `close` writes what is left."""

    def __init__(
        self,
        clock: Clock,
        lost: Lost,
        files: LogFiles | None,
        delivery: Delivery | None = None,
        queue: int = QUEUE,
    ) -> None:
        self._clock = clock
        self._lost = lost
        self._files = files
        self._delivery = delivery
        self._queue = queue
        self._queue_of_floods = queue - queue // 4
        self._entries: list[Entry] = []
        self._batch = 0  # bytes in `_entries`
        self._put = 0  # bytes ever taken
        self._done = 0  # bytes ever written: the thread's
        self._dropped: dict[LogStream, list[int]] = {}
        self._timer: Timer | None = None
        self._batches: SimpleQueue[list[Entry] | Callable[[], None] | None] = SimpleQueue()
        self._splitters: dict[LogStream, Splitter] = {}
        self._thread: threading.Thread | None = None

    # -- on the loop

    def put(
        self, stream: LogStream, now: float, request_id: str, event: bytes | PlatformEvent
    ) -> None:
        size = _size(event)
        if self._put - self._done + size > (
            self._queue if size < _FLOOD else self._queue_of_floods
        ):
            self._drop(stream, event)
            return
        self._put += size
        self._batch += size
        self._entries.append((stream, now, request_id, event))
        if self._timer is None:
            self._timer = self._clock.call_later(INTERVAL, self._hand_over)
        if self._batch >= BATCH:
            self._hand_over()

    def expect(self, function: str) -> None:
        """A function is there, which may log."""
        files = self._files
        if files is not None:
            self._give(lambda: files.expect(function))

    async def close(self, grace: float) -> None:
        """Write what is left, for `grace` seconds; what is not delivered by then is counted."""
        self._hand_over()
        loop = asyncio.get_running_loop()
        thread = self._thread
        if thread is not None:
            self._batches.put(None)
            await loop.run_in_executor(None, thread.join, grace)
            if thread.is_alive():
                _log.error("the disk does not take the last logs")
                self._lost.add(WRITER, STOPPED, (self._put - self._done) // _ENTRY)
        if self._delivery is not None:
            await loop.run_in_executor(None, self._delivery.close, grace)

    def _drop(self, stream: LogStream, event: bytes | PlatformEvent) -> None:
        records, size = 1, 0
        if isinstance(event, bytes):
            records, size = max(1, event.count(b"\n")), len(event)
        counted = self._dropped.setdefault(stream, [0, 0])
        counted[0] += records
        counted[1] += size
        self._lost.add(WRITER, TOO_FAST, records)
        if self._timer is None:  # said as soon as there is room again
            self._timer = self._clock.call_later(INTERVAL, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dropped, self._dropped = self._dropped, {}
        for stream, (records, size) in dropped.items():
            # Behind what was kept before them; beyond the bound, but only by one a context.
            self._put += _ENTRY
            loss = Dropped(records, size, TOO_FAST)
            self._entries.append((stream, self._clock.wall(), "", loss))
        if self._entries:
            self._give(self._entries)
            self._entries = []
            self._batch = 0

    def _give(self, work: list[Entry] | Callable[[], None]) -> None:
        self._batches.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="samovar-logs", daemon=True)
            self._thread.start()

    # -- in the thread

    def _work(self) -> None:
        while True:
            batch = self._batches.get()
            if batch is None:
                return
            if callable(batch):
                batch()
                continue
            with self._files.batch() if self._files is not None else nullcontext():
                self._write_batch(batch)

    def _write_batch(self, batch: list[Entry]) -> None:
        for start in range(0, len(batch), _STEP):
            entries = batch[start : start + _STEP]
            try:
                self._write(entries)
            except Exception:  # the next ones may do better; a dead thread would lose them all
                _log.exception("some logs could not be written")
            self._done += sum(_size(event) for *_, event in entries)

    def _write(self, entries: list[Entry]) -> None:
        texts: dict[str, list[str]] = {}
        counts: dict[str, int] = {}
        streams: dict[str, LogStream] = {}
        events: list[LogEvent] = []
        for stream, now, request_id, event in entries:
            messages = self._messages(stream, now, request_id, event)
            if not messages:
                continue
            if self._delivery is not None:
                events += [LogEvent(stream.group, stream.name, now, text) for text in messages]
            name = stream.function
            streams[name] = stream
            counts[name] = counts.get(name, 0) + len(messages)
            texts.setdefault(name, []).append(entry(stream, now, request_id, messages))
        if self._files is not None:
            now = entries[-1][1]
            for name, written in texts.items():
                self._files.append(streams[name], now, "".join(written), counts[name])
        if self._delivery is not None and events:
            self._delivery.put(events)

    def _messages(
        self, stream: LogStream, now: float, request_id: str, event: bytes | PlatformEvent
    ) -> list[str]:
        splitter = self._splitters.get(stream)
        if isinstance(event, bytes):
            if splitter is None:
                splitter = self._splitters[stream] = Splitter()
            return splitter.feed(event)
        said = lines(stream, now, request_id, event)
        if splitter is None:
            return said
        # A line that has no end by now gets none. Made anew for the next output, so that a context
        # that is gone leaves nothing here.
        begun = splitter.flush(records=process_over(event))
        if not splitter.begun:
            del self._splitters[stream]
        return begun + said


def _size(event: bytes | PlatformEvent) -> int:
    """Bytes that an entry takes in the queue."""
    if type(event) is not bytes:
        return _ENTRY
    size = _ENTRY + len(event)
    if size < _FLOOD:
        return size
    return size + _LINE * (event.count(b"\n") + event.count(MARKER))
