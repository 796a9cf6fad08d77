"""Streams as readers see them: shards, positions in them, and what is read there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import msgspec

from samovar.errors import ClientError
from samovar.event_sources.refusals import DENIED, explained, no_access
from samovar.event_sources.windows import Window
from samovar.model.event_source import Source
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.registry.mapping_texts import refused

T = TypeVar("T")
Made = TypeVar("Made")

_TURN = 200  # records that something is made of in one turn of the loop

_encode = msgspec.json.Encoder().encode

NOT_FOUND = "ResourceNotFoundException"


class Where(StrEnum):
    """What a position in a shard is given by."""

    START = "start"  # with the oldest record that there still is
    SINCE = "since"  # with what has come since a moment (epoch seconds)
    AFTER = "after"  # behind a record (its sequence number)
    END = "end"  # everything was read, and nothing will come


@dataclass(frozen=True, slots=True)
class Position:
    """Where a shard is read on, and what its latest tumbling window has come to by then, if there
    is one. A lease's checkpoint is the text of one: both are written at once."""

    where: Where
    value: str = ""
    window: Window | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what `text` has not made."""
        try:
            where, value, *window = json.loads(text)
        except TypeError as error:
            raise ValueError(f"{text!r} is no position in a shard") from error
        if len(window) > 1:
            raise ValueError(f"{text[:200]!r} is no position in a shard")
        return cls(Where(where), str(value), *map(Window.of, window))

    def text(self) -> str:
        """As a lease keeps it."""
        if self.window is None:
            return json.dumps([self.where.value, self.value])
        found = [self.where.value, self.value, self.window.document()]
        return json.dumps(found, ensure_ascii=False)  # a state's characters are its bytes


START, END = Position(Where.START), Position(Where.END)


class Shard(NamedTuple):
    """A shard: those it came of are read before it; nothing more comes into a closed one."""

    id: str
    parents: tuple[str, ...]
    closed: bool


class StreamRecord(NamedTuple):
    """A record: its sequence number, when it came in (epoch seconds), and itself, as its function
    gets it, that as JSON, and what the order is kept for where several batches of a shard are run
    at once."""

    key: str
    arrived: float
    event: dict[str, Any]
    text: bytes
    partition: str

    @classmethod
    def of(cls, key: str, arrived: float, event: dict[str, Any], partition: str) -> Self:
        """With its JSON."""
        return cls(key, arrived, event, _encode(event), partition)


class Page(NamedTuple):
    """What one read found: where the next one goes on, None at the end of a closed shard, and
    whether there was nothing behind it (a source that doesn't say is never caught up)."""

    records: Sequence[StreamRecord]
    iterator: str | None
    caught_up: bool


class Description(NamedTuple):
    """What is said of a stream: something that another one under the same name does not share
    (empty where there is nothing like that), and how many seconds it keeps records."""

    identity: str
    lifetime: float


class Stream(Protocol):
    """One stream. Methods raise what botocore does, NoEndpoint and RoleNotAssumed."""

    pause: float
    """Seconds between reads of a shard that is quiet."""
    most: int
    """Records in a read at most: what a client makes of them is made on the loop."""
    actions: str
    """Those that a role must be allowed, as AWS's text lists them."""

    async def shards(self) -> Sequence[Shard]:
        """All that are kept."""

    async def described(self) -> Description:
        """What there is to say of it now."""

    async def latest(self, shard: str) -> str:
        """The iterator of what comes from now on."""

    async def iterator(self, shard: str, position: Position) -> str:
        """The iterator of a position other than the end. One that is given by a moment may begin
        earlier, where the source knows no moments."""

    async def read(self, shard: str, iterator: str, most: int) -> Page:
        """Up to `most` records."""

    async def demand_readable(self) -> None:
        """Raise ClientError, in AWS's words, unless this stream is there and its role may do what a
        reader does."""


async def in_turns(found: Sequence[T], make: Callable[[T], Made]) -> list[Made]:
    """What is made of each, with turns for others on the loop in between."""
    made: list[Made] = []
    for at in range(0, len(found), _TURN):
        if at:
            await asyncio.sleep(0)
        made += map(make, found[at : at + _TURN])
    return made


class Calls:
    """Calls for one stream, with the rights of its function's role."""

    def __init__(
        self,
        neighbours: AsyncNeighbours,
        service: str,
        source: Source,
        caller: Callable[[], Caller],
        actions: str,
    ) -> None:
        """`caller`: whose rights count now; what it raises, everything raises. `actions`: those
        that a role must be allowed, as AWS's text lists them."""
        self.source = source
        self.caller = caller
        self._neighbours = neighbours
        self._service = service
        self._actions = actions

    async def ask(self, operation: str, **given: Any) -> Mapping[str, Any]:
        """Call an operation of the stream's service."""
        return await self._neighbours.call(
            *(self._service, operation, self.caller()), region=self.source.region, **given
        )

    async def demand(self, call: Awaitable[T]) -> T:
        """What a call answers, its errors in AWS's words for whoever makes a mapping."""
        arn = self.source.arn

        def words(code: str, error: Exception) -> ClientError:
            if code == NOT_FOUND:
                return refused(f"Stream not found: {arn}")
            if code in DENIED:
                return refused(no_access(arn, self._actions))
            return refused(
                f"The stream {arn} can't be read: {code or type(error).__name__}: {error}"
            )

        return await explained(call, f"The stream {arn}", words)
