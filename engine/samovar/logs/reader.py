"""Reading log files back: beside a running engine, or long after it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from samovar.logs.files import segments
from samovar.model.function import default_log_group

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Kept:
    """One event; `time` is milliseconds since the epoch, `request_id` empty outside of
    invocations."""

    time: int
    function: str
    group: str
    stream: str
    request_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: not before `since` (milliseconds), of one request, with a text in them, of one
    version of the function."""

    since: int = 0
    request_id: str = ""
    text: str = ""
    version: str = ""

    def has(self, event: Kept) -> bool:
        return (
            event.time >= self.since
            and (not self.request_id or event.request_id == self.request_id)
            and self.text in event.message
            # A stream is of one context: 2026/01/31/[version]…
            and (not self.version or f"/[{self.version}]" in event.stream)
        )


def functions(directory: Path) -> list[str]:
    """The functions that logs may be there of, in order."""
    try:
        return sorted(item.name for item in directory.iterdir() if item.is_dir())
    except FileNotFoundError:
        return []


def moment(text: str, now: float) -> int:
    """`10m` ago, or an ISO time (UTC unless it says otherwise), in milliseconds since the epoch.

    Raises ValueError for anything else.
    """
    ago = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    if ago:
        return int((now - int(ago[1]) * _UNITS[ago[2]]) * 1000)
    told = datetime.fromisoformat(text.strip())
    if told.tzinfo is None:
        told = told.replace(tzinfo=UTC)
    return int(told.timestamp() * 1000)


class Reader:
    """Reads one function's log on and on, over rotations. Each event once."""

    def __init__(self, directory: Path, function: str) -> None:
        self.directory = directory / function
        self._function = function
        self._offsets: dict[Path, int] = {}

    def read(self, wanted: Wanted) -> Iterator[Kept]:
        """The events that came since the last call, oldest first."""
        found = segments(self.directory)
        for path in [path for path in self._offsets if path not in found]:
            del self._offsets[path]
        for path in found:
            try:
                status = path.stat()
                offset = self._offsets.get(path, 0)
                if status.st_size < offset:  # emptied, or all was deleted and begun anew
                    offset = self._offsets[path] = 0
                if status.st_size > offset:
                    if status.st_mtime * 1000 < wanted.since:
                        self._offsets[path] = status.st_size
                    else:
                        yield from self._read(path, offset, wanted)
            except FileNotFoundError:
                continue  # it had to make room meanwhile

    def _read(self, path: Path, offset: int, wanted: Wanted) -> Iterator[Kept]:
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # still being written, or torn
                self._offsets[path] = offset = offset + len(line)
                event = self._event(line)
                if event is not None and wanted.has(event):
                    yield event

    def _event(self, line: bytes) -> Kept | None:
        try:
            fields = json.loads(line)
            return Kept(
                int(fields["time"]),
                self._function,
                fields.get("logGroup") or default_log_group(self._function),
                fields["stream"],
                fields["requestId"],
                fields["message"],
            )
        except (ValueError, KeyError, TypeError):
            return None  # the last line of an engine that was killed
