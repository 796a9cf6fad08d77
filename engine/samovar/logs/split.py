"""From a pipe's bytes to events: a record is one, and so is each line of anything else. Pure."""

from __future__ import annotations

from samovar_worker.wire.records import MAX_RECORD, Deframer, between_characters


class Splitter:
    """The events of one pipe. Keeps an unfinished line of at most `MAX_RECORD` bytes."""

    __slots__ = ("_frames", "_line")

    def __init__(self) -> None:
        self._frames = Deframer()
        self._line = bytearray()  # what a function writes byte by byte is not copied each time

    def feed(self, data: bytes) -> list[str]:
        """The events that `data` completes, without their last newlines."""
        return self._take(self._frames.feed(data))

    @property
    def begun(self) -> bool:
        """Whether there is a long record of which more is to come."""
        return self._frames.begun

    def flush(self, *, records: bool = True) -> list[str]:
        """What was begun, as it is: the process is over; without `records`, its invocation."""
        found = self._take(self._frames.flush(records=records))
        if self._line:
            found.append(_text(self._line))
            self._line = bytearray()
        return found

    def _take(self, parts: list[tuple[bool, bytes]]) -> list[str]:
        found: list[str] = []
        for is_record, data in parts:
            if is_record:
                # A line that a record interrupts goes on behind it: both are whole.
                found.append(_text(data.removesuffix(b"\n")))
                continue
            line = self._line
            first, *whole = data.split(b"\n")
            line += first
            if whole:
                found.append(_text(line))
                found += map(_text, whole[:-1])
                line = self._line = bytearray(whole[-1])
            while len(line) > MAX_RECORD:
                end = between_characters(line, MAX_RECORD)
                found.append(_text(line[:end]))
                del line[:end]
        return found


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")
