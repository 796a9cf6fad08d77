"""What follows for a batch of one shard from what its function said. Pure.

A batch is pieces in their order, of which the first is next: one piece at first, more once it was
bisected. Every record leaves it once, in order: it is done, or dropped.

AWS's rules (developer guide, «Retain discarded batches», «Batch item failures»; recorded runs):

| came            | piece                                                        | uses up a retry |
|-----------------|--------------------------------------------------------------|-----------------|
| success         | done                                                         |                 |
| function error  | again; with bisect, if it has 2 records or more, as 2 halves | yes; halves: no |
| partial failure | done up to the lowest that failed, which begins what is next | yes; bisect: no |
| not run         | again: a throttle, an error of the engine                    | no              |

A partial failure of the very first record is the function's error for the whole piece.
AWS is silent on these, and here it is so: halves keep their piece's count of retries and runs; the
first back-off is 1 s, it doubles up to a minute, and begins anew once something was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

from samovar.event_sources.windows import Turn
from samovar.model.event_source import FOREVER

# Seconds of back-off, the first and the longest.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0


class Condition(StrEnum):
    """Why records were dropped (AWS's words in the on-failure record)."""

    RETRIES = "RetryAttemptsExhausted"
    AGE = "RecordAgeExceeded"


class ShardRecord(NamedTuple):
    """A record of a shard: its sequence number, when it came in (epoch seconds), its JSON."""

    key: str
    arrived: float
    text: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """A mapping's: `retries` at most and `age` in seconds at most, FOREVER without an end."""

    retries: int = FOREVER
    age: float = FOREVER
    bisect: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """What a function answered: the index in its piece of the first record that failed, None if
    none has; whether that was its error; and what goes into an on-failure record."""

    failed_at: int | None = None
    error: str | None = None
    request_id: str = ""
    executed_version: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Records that are invoked with together. `retries` counts those that are used up, `runs` how
    often a function was run with these, `failures` failures of whatever kind in a row. One without
    records ends a window: it grows old from `begun` on (epoch seconds), when it was first due."""

    records: tuple[ShardRecord, ...]
    retries: int = 0
    runs: int = 0
    failures: int = 0
    last: Ran | None = None
    begun: float = 0.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """A piece that is given up; `turn` is its one, where there are tumbling windows."""

    piece: Piece
    condition: Condition
    turn: Turn | None = None


class Step(NamedTuple):
    """What to do: write down that `done` records are done and that a piece was `dropped`, in this
    order; then wait for `wait` seconds and go on with `left`."""

    left: tuple[Piece, ...]
    done: tuple[ShardRecord, ...] = ()
    dropped: Dropped | None = None
    wait: float = 0.0


def batch(portions: Sequence[Sequence[ShardRecord]]) -> tuple[Piece, ...]:
    """The pieces of a new batch: one for each portion that fits in an event."""
    return tuple(Piece(tuple(portion)) for portion in portions if portion)


def lanes(records: Sequence[tuple[str, ShardRecord]], most: int) -> list[tuple[ShardRecord, ...]]:
    """Records, with what they are partitioned by, in up to `most` lanes: each in its order, and
    those of one partition in the same one, whatever process asks."""
    found: dict[int, list[ShardRecord]] = {}
    for partition, record in records:
        found.setdefault(crc32(partition.encode()) % most, []).append(record)
    return [tuple(lane) for lane in found.values()]


class Progress:
    """How far all of a shard's records are done, when they are not done in their order."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys`: their sequence numbers, in order."""
        self.key = ""  # of the last before which none is left; empty if there is none
        self._keys = keys
        self._at = 0
        self._gone: set[str] = set()

    def gone(self, keys: Iterable[str]) -> None:
        """These are done, or given up."""
        self._gone.update(keys)
        while self._at < len(self._keys) and self._keys[self._at] in self._gone:
            self.key = self._keys[self._at]
            self._at += 1


def aged(pieces: tuple[Piece, ...], rules: Rules, now: float) -> Step:
    """Before each run: give up those records at the head that are too old, and put those behind
    the next one that is too old into a piece of their own. Until nothing is dropped any more."""
    if rules.age < 0 or not pieces:
        return Step(pieces)
    first, *rest = pieces
    if not first.records:
        if first.begun + rules.age >= now:
            return Step(pieces)
        return Step(tuple(rest), dropped=Dropped(first, Condition.AGE))
    old = [record.arrived + rules.age < now for record in first.records]
    # So many at the head are alike.
    count = next((at for at, one in enumerate(old) if one is not old[0]), len(old))
    head, tail = _cut(first, count)
    behind = (*tail, *rest)
    if not old[0]:
        return Step((head, *behind))
    return Step(behind, dropped=Dropped(head, Condition.AGE))


def ran(pieces: tuple[Piece, ...], came: Ran, rules: Rules) -> Step:
    """After a run of the first piece."""
    first, rest = pieces[0], pieces[1:]
    first = replace(first, runs=first.runs + 1, last=came)
    if came.failed_at is None:
        return Step(rest, first.records)
    done = first.records[: came.failed_at]
    if done:
        first = replace(first, records=first.records[len(done) :], failures=0)
    first = replace(first, failures=first.failures + 1)
    wait = backoff(first.failures)
    if rules.bisect and done:
        return Step((first, *rest), done, wait=wait)
    if rules.bisect and len(first.records) > 1:
        one, (other,) = _cut(first, len(first.records) // 2)
        return Step((one, other, *rest), done, wait=wait)
    if 0 <= rules.retries <= first.retries:
        return Step(rest, done, Dropped(first, Condition.RETRIES))
    return Step((replace(first, retries=first.retries + 1), *rest), done, wait=wait)


def not_run(pieces: tuple[Piece, ...]) -> Step:
    """After the first piece was refused: nobody's retry, but its records grow older."""
    first = replace(pieces[0], failures=pieces[0].failures + 1)
    return Step((first, *pieces[1:]), wait=backoff(first.failures))


def backoff(failures: int) -> float:
    """Seconds before the next try, after so many failures in a row."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 10))


def _cut(piece: Piece, count: int) -> tuple[Piece, list[Piece]]:
    """The first `count` records, and the others if there are any."""
    others = piece.records[count:]
    head = replace(piece, records=piece.records[:count])
    return head, [replace(piece, records=others)] if others else []
