"""Where functions' logs go in one engine: files, CloudWatch Logs, a sink, or nowhere."""

from __future__ import annotations

from functools import partial

from samovar.clock import Clock
from samovar.logs.delivery import Delivery, logs_client
from samovar.logs.files import LogFiles
from samovar.logs.journals import Journals, LogSink, SinkJournal
from samovar.logs.lost import Lost
from samovar.logs.stream import Journal
from samovar.logs.writer import LogWriter
from samovar.settings import Settings

DIRECTORY = "logs"  # below the data directory
_GRACE = 5.0  # seconds that the last logs get when the engine stops


class Keeping:
    """`journal` is None where nobody reads: no line is made then."""

    def __init__(self, settings: Settings, clock: Clock, sink: LogSink | None) -> None:
        self.lost = Lost()
        self._writer: LogWriter | None = None
        journals: list[Journal] = []
        if sink is not None:
            journals.append(SinkJournal(sink))
        if settings.log_files or settings.log_delivery:
            self._writer = self._make_writer(settings, clock)
            journals.append(self._writer)
        self.journal: Journal | None = journals[0] if len(journals) == 1 else None
        if len(journals) > 1:
            self.journal = Journals(journals)

    def _make_writer(self, settings: Settings, clock: Clock) -> LogWriter:
        files = delivery = None
        if settings.log_files:
            directory = settings.data_dir / DIRECTORY
            files = LogFiles(directory, settings.log_size, settings.log_size_total, self.lost)
        if settings.log_delivery:
            connect = partial(logs_client, settings)
            delivery = Delivery(connect, self.lost, time_scale=settings.time_scale)
        return LogWriter(clock, self.lost, files, delivery)

    def expect(self, function: str) -> None:
        """A function is there, which may log. A deleted one's logs stay, as on AWS."""
        if self._writer is not None:
            self._writer.expect(function)

    async def close(self) -> None:
        """Keep what is left, within a few seconds; idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close(_GRACE)
