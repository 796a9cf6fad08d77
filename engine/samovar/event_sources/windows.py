"""Tumbling windows: which one a record is in, when one is over, and what a function says of its
state. Pure.

A shard's windows follow each other. A record is in the window of its size, counted from the epoch,
in which it came into the stream; its function is handed the window's state, and answers with the
next one. A window that is over is ended by one more invocation, of no records, and the next window
begins without a state (developer guide, «Implementing stateful Kinesis Data Streams processing»).

AWS is silent on these, and here it is so:

- A record that comes after one of a later window, or once its window was ended, is in the window
  that is open then, or the next one: no window is ended twice.
- A window keeps the size that it was begun with when its mapping gets another one, or none.
- A window in which nothing was invoked with (all was filtered, or too old) is not ended.
- After a state that was too large «the same window goes on with a fresh state» (AWS's event
  library); the invocation that ends it early is told both that it is final and that it is early.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from time import gmtime, strftime
from typing import Any, NamedTuple, Protocol, Self

import msgspec

from samovar.event_sources.batching import HasText
from samovar.model import limits

# Seconds that a window is open for beyond its end, for records that are not seen yet. AWS waits for
# up to two minutes where nothing more comes.
GRACE = 1.0
# So many reads in a row that find nothing have come to a shard's end, where it doesn't say so.
QUIET_READS = 4
# What an event has beside records and state, at most: an ARN, the name of a shard, moments.
_FRAME = 4096
RECORDS_SIZE = limits.SYNC_PAYLOAD_SIZE - limits.WINDOW_STATE_SIZE - _FRAME
"""Bytes that the records of an event come to at most, so that the largest state goes with them."""
NOTHING = "{}"  # the state that a window begins with


class HasArrived(Protocol):
    """A record that has come into a stream."""

    @property
    def arrived(self) -> float:
        """When (epoch seconds)."""


@dataclass(frozen=True, slots=True)
class Window:
    """The latest window of a shard, from `start` to before `end` (epoch seconds). `state` is JSON
    as the function has answered it, None where nothing is to be ended; `over` that it was ended."""

    start: int
    end: int
    state: str | None = None
    over: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its end is still to be told of."""
        return self.state is not None

    def ended(self) -> Window:
        """After its final invocation."""
        return replace(self, state=None, over=True)

    def cut_short(self) -> Window:
        """After one that ended it early: the same window, with nothing in its state."""
        return replace(self, state=None)

    def begun(self) -> Window:
        """After an invocation that has left no state: the one before counts."""
        return replace(self, state=NOTHING) if self.state is None else self

    def document(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        found: dict[str, Any] = {"start": self.start, "end": self.end}
        if self.state is not None:
            found["state"] = self.state
        if self.over:
            found["over"] = True
        return found

    @classmethod
    def of(cls, document: Any) -> Self:
        """What `document` made; raises ValueError for anything else."""
        try:
            state = document.get("state")
            if state is not None and not isinstance(state, str):
                raise ValueError(f"{state!r} is no state's text")
            return cls(
                int(document["start"]), int(document["end"]), state, bool(document.get("over"))
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{document!r} is no window") from error


@dataclass(frozen=True, slots=True)
class Turn:
    """An invocation of a window: with its records, or the one that ends it, which is `early` where
    the state is too large."""

    window: Window
    final: bool = False
    early: bool = False


class Head(NamedTuple):
    """How many of the first records are in one window, None for those in none."""

    window: Window | None
    many: int


def head(records: Sequence[HasArrived], latest: Window | None, size: int) -> Head:
    """The window that the first of records is in, and how many of them are; `latest` is the shard's
    one, `size` (seconds) that of those to come, 0 for none. Another window than the latest comes
    once that was ended."""
    window = _window(records[0].arrived, latest, size)
    if window is None:
        return Head(None, len(records))
    end = window.end
    return Head(window, sum(1 for _ in takewhile(lambda record: record.arrived < end, records)))


def kept(latest: Window | None, size: int) -> Window | None:
    """What is still to be known of a shard's latest window."""
    return latest if size or (latest is not None and latest.is_open) else None


def _window(arrived: float, latest: Window | None, size: int) -> Window | None:
    moment = arrived
    if latest is not None:
        if latest.is_open and arrived < latest.end:
            return latest
        moment = max(arrived, latest.end if latest.over or latest.is_open else latest.start)
    if not size:
        return None
    start = int(moment // size) * size
    return Window(start, start + size)


def is_over(window: Window, read_up_to: float) -> bool:
    """Whether no record of a window will come, once everything was read that had come by
    `read_up_to` (epoch seconds)."""
    return read_up_to >= window.end + GRACE


def state_of(payload: bytes) -> str | None:
    """The state in a function's answer, as it was written; None where there is none, or it is no
    object."""
    try:
        state = str(bytes(_ANSWER.decode(payload).state), "utf-8").strip()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return state if state.startswith("{") else None


def is_too_large(state: str) -> bool:
    """Whether a window can't go on with it (developer guide: 1 MB)."""
    return len(state.encode()) > limits.WINDOW_STATE_SIZE


def event_of(records: Sequence[HasText], turn: Turn, shard: str, arn: str) -> bytes:
    """The event of one invocation; the one that ends a window carries no records."""
    window = turn.window
    return b'{"Records":[%b],"window":%b,"state":%b,"shardId":%b,"eventSourceARN":%b,%b}' % (
        b",".join(record.text for record in records),
        json.dumps(bounds(window)).encode(),
        (window.state or NOTHING).encode(),
        json.dumps(shard).encode(),
        json.dumps(arn).encode(),
        b'"isFinalInvokeForWindow":%b,"isWindowTerminatedEarly":%b'
        % (b"true" if turn.final else b"false", b"true" if turn.early else b"false"),
    )


def bounds(window: Window) -> dict[str, str]:
    """When a window begins and ends, as AWS writes it."""
    return {"start": _moment(window.start), "end": _moment(window.end)}


def _moment(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))


class _Answer(msgspec.Struct):
    state: msgspec.Raw


_ANSWER = msgspec.json.Decoder(_Answer)
