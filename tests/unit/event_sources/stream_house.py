"""A stream, a function and leases that are made up, for what reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from samovar.event_sources.admission import Place
from samovar.event_sources.reading import StreamReading
from samovar.event_sources.shard_batches import Dropped
from samovar.event_sources.stream_leases import Whole
from samovar.event_sources.stream_poller import StreamPoller
from samovar.event_sources.streams import (
    Description,
    Page,
    Position,
    Shard,
    StreamRecord,
    Where,
)
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping, StartingPosition
from samovar.model.invocation import Outcome, StartKind
from samovar.stores.leases import LeaseStore, MemoryLeaseStore
from samovar.testing import ManualClock

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
_TURNS = 3000
TARGET = "arn:aws:sqs:us-east-1:123456789012:q"


class Said(Exception):
    """What botocore raises of a service's error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


@dataclass
class PretendShard:
    parents: tuple[str, ...] = ()
    closed: bool = False
    records: list[StreamRecord] = field(default_factory=list)


class PretendStream:
    """Knows no moments, as DynamoDB; is caught up where it has nothing more, as Kinesis, if it
    `tells`; closed shards have an end, where it `ends` them. `errors` are raised by the next reads,
    `troubles` and `undescribed` by the next looks; `reads` are (shard, most, found)."""

    actions = "Read"
    pause = 1.0
    most = 100

    def __init__(self) -> None:
        self.kept: dict[str, PretendShard] = {}
        self.reads: list[tuple[str, int, int]] = []
        self.errors: list[Exception] = []
        self.troubles: list[Exception] = []
        self.undescribed: list[Exception] = []
        self.asked: list[Position] = []
        self.identity = "1"
        self.lifetime = 86400.0
        self.elsewhere: dict[str, PretendShard] = {}  # that can be read, and are not listed
        self.looks = 0
        self.unlatest: list[Exception] = []
        self.holes = 0  # reads that find nothing, with something behind it
        self.tells = True
        self.ends = False

    async def shards(self) -> Sequence[Shard]:
        self.looks += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return [Shard(name, one.parents, one.closed) for name, one in self.kept.items()]

    async def described(self) -> Description:
        if self.undescribed:
            raise self.undescribed.pop(0)
        return Description(self.identity, self.lifetime)

    async def latest(self, shard: str) -> str:
        if self.unlatest:
            raise self.unlatest.pop(0)
        return str(len(self._shard(shard).records))

    async def iterator(self, shard: str, position: Position) -> str:
        self.asked.append(position)
        keys = [record.key for record in self._shard(shard).records]
        return str(keys.index(position.value) + 1 if position.where is Where.AFTER else 0)

    async def read(self, shard: str, iterator: str, most: int) -> Page:
        if self.errors:
            raise self.errors.pop(0)
        begin = int(iterator)
        if self.holes:
            self.holes -= 1
            return Page((), iterator, caught_up=False)
        kept = self._shard(shard).records
        found = kept[begin : begin + most]
        self.reads.append((shard, most, len(found)))
        end = begin + len(found)
        over = end == len(kept)
        if over and self.ends and self._shard(shard).closed:
            return Page(found, None, caught_up=False)
        return Page(found, str(end), caught_up=self.tells and over)

    async def demand_readable(self) -> None:
        """It is."""

    def _shard(self, name: str) -> PretendShard:
        if name not in self.kept and name not in self.elsewhere:
            raise Said("ResourceNotFoundException")
        return self.kept.get(name) or self.elsewhere[name]


Answer = Callable[[list[str]], object]


class House:
    """A poller of a stream, and what it meets. `answer` says what the function answers to texts:
    None for success, an exception, a future that is waited for, or a value; True is its error."""

    def __init__(self, **mapping: Any) -> None:
        self.clock = ManualClock()
        self.stream = PretendStream()
        self.leases: LeaseStore = MemoryLeaseStore()
        self.numbers = SourceNumbers()
        self.batches: list[list[str]] = []
        self.events: list[dict[str, Any]] = []  # of those batches
        self.gone: list[tuple[Dropped, str]] = []
        self.untold: list[Exception] = []  # that are raised instead
        self.places = 0  # that are taken
        self.most = 1000  # that there are
        self._freed = asyncio.Event()
        self.full: asyncio.Event | None = None  # while there is no place
        self.answer: Answer = lambda texts: None
        given = {"starting_position": StartingPosition.TRIM_HORIZON, "batch_size": 10, **mapping}
        self.mapping = EventSourceMapping("uuid", FUNCTION, STREAM, **given)
        self.passes: Callable[[dict[str, Any]], bool] = lambda record: True

    def shard(self, name: str = "s", *texts: str, **more: Any) -> None:
        self.stream.kept[name] = PretendShard(**more)
        self.put(name, *texts)

    def put(self, name: str, *texts: str, arrived: float | None = None) -> None:
        kept = self.stream.kept[name].records
        at = self.clock.wall() if arrived is None else arrived
        for text in texts:
            kept.append(StreamRecord.of(f"{name}-{len(kept)}", at, {"text": text}, text[0]))

    def poller(self, node: str = "here") -> StreamPoller:
        async def give_up(dropped: Dropped, mapping: EventSourceMapping, shard: str) -> None:
            if self.untold:
                raise self.untold.pop(0)
            self.gone.append((dropped, shard))

        reading = StreamReading(
            mapping=self.mapping,
            passes=self._passes,
            admission=self,
            invoke=self.invoke,
            give_up=give_up,
            clock=self.clock,
            numbers=self.numbers,
            stream=self.stream,
            leases=self.leases,
        )
        return StreamPoller(reading, node)

    def change(self, poller: StreamPoller, **changes: Any) -> None:
        self.mapping = replace(self.mapping, **changes)
        poller.change(self.mapping, self._passes)

    def _passes(self, record: dict[str, Any]) -> bool:
        return self.passes(record)  # as it is now

    async def place(self, function: Callable[[], str]) -> Place:
        while self.full is not None:
            await self.full.wait()
        while self.places >= self.most:
            self._freed.clear()
            await self._freed.wait()
        assert function() == FUNCTION
        self.places += 1
        return Place(self._used, FUNCTION)

    def _used(self, function: str) -> None:
        self.places -= 1
        self._freed.set()

    def invoke(self, mapping: EventSourceMapping, payload: bytes) -> asyncio.Future[Outcome]:
        event = json.loads(payload)
        texts = [record["text"] for record in event["Records"]]
        self.events.append(event)
        self.batches.append(texts)
        return asyncio.ensure_future(self._run(texts))

    async def _run(self, texts: list[str]) -> Outcome:
        answer = self.answer(texts)
        if isinstance(answer, asyncio.Future):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        error = "Unhandled" if answer is True else None
        payload = b"null" if error else json.dumps(answer).encode()
        return Outcome("id", payload, "$LATEST", "c", StartKind.WARM, 0, 0, 0, error)

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    async def until(self, condition: Callable[[], object], *, step: float = 0.25) -> None:
        """Let time pass until something is so."""
        for turn in range(_TURNS):
            if condition():
                return
            await asyncio.sleep(0)
            if turn % 10 == 9:
                self.clock.advance(step)
        raise AssertionError("it does not come to this")

    async def stands(self) -> None:
        """Until nothing happens any more without time."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def passes_by(self, seconds: int) -> None:
        """Let so much time pass."""
        for _ in range(seconds):
            await self.stands()
            self.clock.advance(1)
        await self.stands()

    async def whole(self) -> Whole:
        """What is kept beside the shards."""
        (found,) = [lease for lease in await self.leases.of("uuid") if not lease.shard]
        return Whole.parse(found.checkpoint)

    async def checkpoint(self, shard: str = "s") -> Position | None:
        for lease in await self.leases.of("uuid"):
            if lease.shard == shard:
                return Position.parse(lease.checkpoint)
        return None


Scene = Callable[[StreamPoller], Awaitable[None]]


def play(it: House, scene: Scene) -> None:
    """Play a scene with a poller that has begun; nothing is left of it."""

    async def played() -> None:
        poller = it.poller()
        await poller.start()
        try:
            await scene(poller)
        except BaseException:
            poller.cancel()  # what is held would be waited for
            raise
        finally:
            await poller.stop()
        assert it.places == 0
        assert it.clock.pending == 0

    asyncio.run(played())


def after(key: str) -> Position:
    return Position(Where.AFTER, key)
