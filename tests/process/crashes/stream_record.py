"""What the handlers of a stream wrote down, and what they must have."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TRIES = 2  # of what fails: a mapping of the nest has one retry


def checkpoints(data_dir: Path) -> dict[str, tuple[str, str]]:
    """By shard, how far it was read: what leases say on the disk."""
    path = data_dir / "leases.db"
    if not path.exists():
        return {}
    database = sqlite3.connect(path, timeout=30)
    try:
        rows = database.execute("SELECT shard, checkpoint FROM leases WHERE shard != ''").fetchall()
    except sqlite3.OperationalError:  # it was killed before there was a table
        return {}
    finally:
        database.close()
    return {shard: tuple(json.loads(checkpoint)) for shard, checkpoint in rows}


@dataclass
class StreamRecord:
    """All that was put, and what became of it. A record's text is «partition/number», with an
    exclamation mark behind it if it always fails. With `lanes` the order is one of partitions, and
    otherwise also of shards. `places` are the shards and sequence numbers of all that was put;
    `wrong` is what should not have happened, in words."""

    path: Path
    lanes: bool = False
    put: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    runs: Counter[str] = field(default_factory=Counter)
    done: set[str] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _read: int = 0

    def add(self, text: str) -> None:
        """A record was put into the stream."""
        self.put[_partition(text)].append(text)

    def take_in(self, life: str, before: Mapping[str, tuple[str, str]]) -> None:
        """What was written down in a life, which began with these checkpoints."""
        for word, shard, records in self._lines():
            texts = [text for _, text in records]
            if word == "began":
                self.wrong += [
                    f"{life}: {text} was run again behind its checkpoint"
                    for key, text in records
                    if _passed(before.get(shard or _only(before)), key)
                ]
                self.wrong += [f"{life}: {said}" for said in self._out_of_order(texts)]
                self.runs.update(texts)
            elif word == "done":
                self.done.update(texts)

    def check(self, life: str, after: Mapping[str, tuple[str, str]]) -> None:
        """Nothing is behind a checkpoint that is not over."""
        for (shard, key), text in self.places.items():
            if _passed(after.get(shard or _only(after)), key) and not self._over(text):
                self.wrong.append(f"{life}: the checkpoint has passed {text}, which is not over")

    def missing(self) -> Iterator[str]:
        """What must have come in the end, and has not."""
        for text in (text for texts in self.put.values() for text in texts):
            if not self._over(text):
                yield f"{text} was skipped"
            if _fails(text) != bool(self.told[text]):
                yield f"{text} was told of {self.told[text]} times"

    def _lines(self) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as record:
            record.seek(self._read)
            for line in record:
                self._read += len(line)
                word, shard, records = json.loads(line)
                yield word, shard, [(key, text) for key, text in records]

    def _out_of_order(self, texts: Sequence[str]) -> Iterator[str]:
        """Each record comes after those of its partition that were put before it."""
        for at, text in enumerate(texts):
            before = self._before_in_partition(text)
            if not self.lanes:
                before |= self._before_in_shard(text)
            for earlier in before.difference(texts[:at]):
                if not self._over(earlier):
                    yield f"{text} was run before {earlier}"

    def _before_in_partition(self, text: str) -> set[str]:
        of = self.put[_partition(text)]
        return set(of[: of.index(text)])

    def _before_in_shard(self, text: str) -> set[str]:
        shard, key = next(place for place, one in self.places.items() if one == text)
        return {
            one for (of, place), one in self.places.items() if of == shard and int(place) < int(key)
        }

    def _over(self, text: str) -> bool:
        """Whether it was done, or tried as often as it must be before it is given up."""
        return text in self.done or (_fails(text) and self.runs[text] >= TRIES)


def _partition(text: str) -> str:
    return text.partition("/")[0]


def _fails(text: str) -> bool:
    return text.endswith("!")


def _only(shards: Mapping[str, object]) -> str:
    """The shard of a source whose records do not say theirs."""
    return next(iter(shards), "")


def _passed(checkpoint: tuple[str, str] | None, key: str) -> bool:
    if checkpoint is None:
        return False
    where, value = checkpoint
    return where == "end" or (where == "after" and int(key) <= int(value))
