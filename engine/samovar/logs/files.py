"""Log files: `<directory>/<function>/<number>.jsonl`, one JSON object a line.

    {"time":1769903999123,"stream":"2026/01/31/[$LATEST]…","requestId":"…","message":"…"}

`time` is milliseconds since the epoch; `logGroup` stands there where it is not the function's own.
A file is never changed but at its end, and old ones are deleted, so that a reader beside the
engine needs nothing of it. All of this runs in one thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path

from samovar.logs.lost import DISK, FILES, Lost
from samovar.logs.platform_lines import lines
from samovar.logs.stream import Dropped, LogStream
from samovar.model.function import default_log_group

_log = logging.getLogger(__name__)
SUFFIX = ".jsonl"
_SEGMENTS = 8  # a function's log goes in so many steps
_STEPS_OF_ALL = 16  # and all together in so many
_SMALLEST = 16 * 1024  # bytes of a segment
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


def entry(stream: LogStream, now: float, request_id: str, messages: list[str]) -> str:
    """The lines of the file for `messages`."""
    quote = encode_basestring
    head = f'{{"time":{int(now * 1000)}{_names(stream)}{quote(request_id)},"message":'
    if len(messages) == 1:
        return f"{head}{quote(messages[0])}}}\n"
    return "".join([f"{head}{quote(message)}}}\n" for message in messages])


@lru_cache(maxsize=1000)
def _names(stream: LogStream) -> str:
    """What all lines of a stream have; no name has a character that JSON would escape."""
    group = ""
    if stream.group != default_log_group(stream.function):
        group = f',"logGroup":"{stream.group}"'
    return f',"stream":"{stream.name}"{group},"requestId":'


def segments(directory: Path) -> list[Path]:
    """A function's files, oldest first."""
    return sorted(path for path in directory.glob(f"*{SUFFIX}") if path.stem.isdigit())


@dataclass(slots=True)
class _FunctionLog:
    """What is known of one function's files. `sizes`: bytes by path, oldest first."""

    directory: Path
    sizes: dict[Path, int] = field(default_factory=dict)
    number: int = 0  # of the last segment; none is used twice
    torn: bool = False  # the last line has no end
    lost: int = 0  # records since the last one that was written
    lost_bytes: int = 0


class _CutShort(OSError):
    """The disk took only the first lines: `kept` bytes."""

    def __init__(self, kept: int, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.kept = kept


class LogFiles:
    """Appends to functions' logs; keeps each below `limit` bytes and all below `total`."""

    def __init__(self, directory: Path, limit: int, total: int, lost: Lost) -> None:
        self._directory = directory
        self._limit = limit
        self._total = total
        self._segment = max(_SMALLEST, limit // _SEGMENTS)
        self._lost = lost
        self._logs: dict[str, _FunctionLog] = {}
        self._size: int | None = None  # of all logs, once counted
        self._complained = False
        self._batch = False
        self._open_path: Path | None = None
        self._open_fd = -1

    def expect(self, function: str) -> None:
        """Have a directory for a function that has logged nothing yet: its name is known then."""
        with contextlib.suppress(OSError):
            _make(self._directory / function)

    def append(self, stream: LogStream, now: float, text: str, records: int) -> None:
        """Write `records` lines, or count them as lost; never raises for a disk's sake."""
        data = text.encode(errors="replace")
        log = self._logs.get(stream.function)
        if log is None:
            log = _FunctionLog(self._directory / stream.function)
            self._logs[stream.function] = log
        try:
            self._append(log, stream, now, data)
        except FileNotFoundError:  # somebody has deleted it: go on under another name
            log.sizes = {}
            try:
                self._append(log, stream, now, data)
            except OSError as error:
                self._refused(log, data, records, error)
        except OSError as error:
            self._refused(log, data, records, error)
        if not self._batch:
            self._close()

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """What is appended in here comes at once: the file that was written to last stays open.

        To open and to close it each time would cost as much as the lines, and every system call
        hands the interpreter's lock to and fro.
        """
        self._batch = True
        try:
            yield
        finally:
            self._batch = False
            self._close()

    def _append(self, log: _FunctionLog, stream: LogStream, now: float, data: bytes) -> None:
        self._open(log)
        before = b"\n" if log.torn else b""  # an engine that was killed left half a line
        if log.lost:
            dropped = Dropped(log.lost, log.lost_bytes, DISK)
            before += entry(stream, now, "", lines(stream, now, "", dropped)).encode()
        try:
            self._write(log, before + data)
        except _CutShort as error:
            if error.kept >= len(before):
                log.lost = log.lost_bytes = 0
            error.kept -= len(before)
            raise
        log.lost = log.lost_bytes = 0
        if self._complained:
            self._complained = False
            _log.warning("logs are written again")

    def _refused(self, log: _FunctionLog, data: bytes, records: int, error: OSError) -> None:
        """Count what of `data` is not written."""
        kept = max(0, error.kept) if isinstance(error, _CutShort) else 0
        records -= data.count(b"\n", 0, kept)
        self._lost.add(FILES, DISK, records)
        log.lost += records
        log.lost_bytes += len(data) - kept
        if not self._complained:
            self._complained = True
            _log.error(
                "logs can't be written to %s and are lost until they can: %s",
                self._directory,
                error,
            )

    def _open(self, log: _FunctionLog) -> None:
        if log.sizes:
            return
        _make(log.directory)
        sizes = {path: path.stat().st_size for path in segments(log.directory)}
        log.torn = bool(sizes) and not _ends_well(next(reversed(sizes)))
        if sizes:
            log.number = max(log.number, int(next(reversed(sizes)).stem))
        else:
            log.number += 1
        log.sizes = sizes or {_segment(log): 0}

    def _write(self, log: _FunctionLog, data: bytes) -> None:
        if len(data) <= self._segment:
            self._write_part(log, data)
            return
        written = 0
        for part in _parts(data, self._segment):
            try:
                self._write_part(log, part)
            except _CutShort as error:
                error.kept += written
                raise
            except OSError as error:
                if not written:
                    raise
                raise _CutShort(written, error) from error
            written += len(part)

    def _write_part(self, log: _FunctionLog, data: bytes) -> None:
        path = next(reversed(log.sizes))
        size = log.sizes[path]
        if size and size + len(data) > self._segment:
            log.number += 1
            path = _segment(log)
            size = log.sizes[path] = 0
        if not size:
            self._make_room(log)
        fd, start = self._opened(path, size)
        written = 0
        try:
            while written < len(data):
                written += os.write(fd, data[written:])
        except OSError as error:
            # A full disk: no half lines. The whole ones a reader may have seen.
            written = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(fd, start + written)
            raise _CutShort(written, error) from error
        finally:
            log.sizes[path] = start + written
            if self._size is None:
                self._size = sum(size for _, size, _ in self._all())
            else:
                self._size += start + written - size
            if self._size > self._total:
                self._make_room_for_all(path)
        log.torn = False

    def _opened(self, path: Path, size: int) -> tuple[int, int]:
        """A descriptor of `path` and the file's size, which is not `size` where somebody has
        emptied it. It stays open until another one is asked for, or the batch is over."""
        if self._open_path is path:
            return self._open_fd, size
        self._close()
        fd = os.open(path, _FLAGS if size else _FLAGS | os.O_CREAT, 0o600)
        self._open_path, self._open_fd = path, fd
        return fd, os.fstat(fd).st_size

    def _close(self) -> None:
        if self._open_path is not None:
            self._open_path = None
            os.close(self._open_fd)

    def _make_room(self, log: _FunctionLog) -> None:
        """A new segment is begun: let the oldest ones go."""
        while sum(log.sizes.values()) > self._limit - self._segment and len(log.sizes) > 1:
            self._delete(log, next(iter(log.sizes)))

    def _make_room_for_all(self, current: Path) -> None:
        """Let the oldest segments of all functions go. More of them than is needed, because to look
        at all files takes time; never `current`."""
        found = self._oldest_first()
        self._size = sum(size for _, size, _ in found)  # somebody may have deleted some
        for path, size, _ in found:
            if self._size <= self._total - self._total // _STEPS_OF_ALL:
                return
            if path != current:
                path.unlink(missing_ok=True)
                self._size -= size
                self._forget(path)

    def _delete(self, log: _FunctionLog, path: Path) -> None:
        path.unlink(missing_ok=True)
        size = log.sizes.pop(path)
        if self._size is not None:
            self._size -= size

    def _forget(self, path: Path) -> None:
        log = self._logs.get(path.parent.name)
        if log is not None:
            log.sizes.pop(path, None)

    def _oldest_first(self) -> list[tuple[Path, int, float]]:
        """All segments in the order in which they go: a function's own never before one that it
        wrote earlier, whatever the clock said then."""
        earliest: dict[Path, float] = {}
        found = []
        for path, size, written in sorted(self._all(), reverse=True):
            earliest[path.parent] = min(written, earliest.get(path.parent, written))
            found.append((path, size, earliest[path.parent]))
        return sorted(found, key=lambda item: (item[2], item[0]))

    def _all(self) -> list[tuple[Path, int, float]]:
        """Every segment of every function: path, size and when it was last written."""
        found = []
        for path in self._directory.glob(f"*/*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return found


def _make(directory: Path) -> None:
    """A function's directory, which nobody else may look into, nor into that of all logs: mkdir
    gives its mode to the last one only. Raises OSError."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def _segment(log: _FunctionLog) -> Path:
    return log.directory / f"{log.number:08d}{SUFFIX}"


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    """The lines of `data` in parts of at most `size` bytes; a longer line is one."""
    start = 0
    while len(data) - start > size:
        end = data.rfind(b"\n", start, start + size) + 1 or data.find(b"\n", start + size) + 1
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
