"""What the readers of one mapping's shards share, and how they wait and write things down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from samovar.clock import Clock, pause
from samovar.errors import EngineError
from samovar.event_sources.admission import Place, within
from samovar.event_sources.filtering import Passes
from samovar.event_sources.refusals import DENIED, no_access
from samovar.event_sources.shard_batches import Dropped, Rules
from samovar.event_sources.streams import Stream
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping
from samovar.model.invocation import Outcome
from samovar.neighbours import RoleNotAssumed
from samovar.neighbours.answers import code_of, name_of
from samovar.stores.leases import LeaseStore

_log = logging.getLogger(__name__)

# Seconds before the next try after a failure to write, the first and the longest.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

OK, FAILED, NOTHING = "OK", "PROBLEM: Function call failed", "No records processed"

T = TypeVar("T")

Invoke = Callable[[EventSourceMapping, bytes], "asyncio.Future[Outcome]"]
GiveUp = Callable[[Dropped, EventSourceMapping, str], Awaitable[None]]


class Places(Protocol):
    """Whom a place for a batch is asked of; see `Admission`."""

    async def place(self, function: Callable[[], str]) -> Place: ...


@dataclass(slots=True, kw_only=True)
class Reading:
    """What the readers of one mapping share. `mapping` and `passes` (whether a record gets through
    its filters) are exchanged when it is updated; `give_up` has what was dropped of a shard be
    delivered, durably; `lifetime` is how many seconds records are kept; `result` is AWS's
    LastProcessingResult."""

    mapping: EventSourceMapping
    passes: Passes
    admission: Places
    invoke: Invoke
    give_up: GiveUp
    clock: Clock
    numbers: SourceNumbers
    time_scale: float = 1.0
    lifetime: float = float("inf")
    result: str = field(default=NOTHING)

    def rules(self, *, failed: bool) -> Rules:
        """As they are now. Waits and ages are multiplied by `time_scale`, like those of events; on
        the scale 0 ages are AWS's. Records that `failed` are tried as long as their stream keeps
        them; an emulator may keep them for longer than it says, and gives them once all the
        same."""
        mapping, scale = self.mapping, self.time_scale or 1.0
        age = self.lifetime if failed else float("inf")
        if mapping.record_age >= 0:
            age = min(age, mapping.record_age * scale)
        return Rules(mapping.most_retries, age, mapping.bisect)

    async def place(self) -> Place:
        """Wait until the function can take another batch."""
        return await self.admission.place(lambda: self.mapping.function)

    async def place_within(self, seconds: float) -> Place | None:
        """The same, and None where that takes longer."""
        asking = asyncio.get_running_loop().create_task(self.place())
        return await within(self.clock, seconds, asking)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await pause(self.clock, seconds)


@dataclass(slots=True, kw_only=True)
class StreamReading(Reading):
    """And where they read, and write how far they are."""

    stream: Stream
    leases: LeaseStore
    _before: str | None = None  # what the last batch said, while the stream can't be read

    def unreadable(self, error: Exception) -> str:
        """Count what a read, or a look, says instead of an answer; its code. Rights that are lost
        show in LastProcessingResult (in which words is unconfirmed)."""
        code = code_of(error)
        self.numbers.errors[name_of(error)] += 1
        if code in DENIED or isinstance(error, RoleNotAssumed):
            if self._before is None:
                self._before = self.result
            words = no_access(self.mapping.source_arn, self.stream.actions)
            self.result = f"PROBLEM: {words}"
        return code

    def readable(self) -> None:
        """It is again, if it was not."""
        if self._before is not None:
            self.result, self._before = self._before, None


class Idling:
    """Who has nothing in hand that would not be read again, and so can be ended at once; and who
    waits for something that is of no use once the shard is `gone`."""

    def __init__(self) -> None:
        self.stopping = False
        self.gone = False
        self._idle: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Have this task be among them for a while. Raises CancelledError once all is to end."""
        if self.stopping:
            raise asyncio.CancelledError
        me = asyncio.current_task()
        assert me is not None
        self._idle.add(me)
        try:
            yield
        finally:
            self._idle.discard(me)

    async def unless_gone(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """What a call gives, idle meanwhile; None as soon as the shard is gone. Raises
        CancelledError once all is to end."""
        if self.gone:
            return None
        me = asyncio.current_task()
        assert me is not None
        try:
            with self.idle():
                self._waiting.add(me)
                return await call()
        except asyncio.CancelledError:
            if self.stopping or not self.gone:
                raise
            me.uncancel()
            return None
        finally:
            self._waiting.discard(me)

    def stop(self) -> None:
        """Let nobody begin to wait again; idempotent."""
        self.stopping = True
        for task in self._idle:
            task.cancel()

    def give_up(self) -> None:
        """The shard is gone: let nobody wait before what is in hand is given up; idempotent."""
        if not self.gone:
            self.gone = True
            for task in self._waiting:
                task.cancel()


async def insist(it: Reading, idling: Idling, shard: str, call: Callable[[], Awaitable[T]]) -> T:
    """Have something be written down, as soon as whoever keeps it is well again. Raises EngineError
    at the end, and what else `call` does."""
    wait = _PAUSE
    while True:
        try:
            return await call()
        except EngineError as error:
            if idling.stopping:
                raise
            _log.error("the shard %s of %s is held up: %s", shard, it.mapping.source_name, error)
        with idling.idle():
            await it.pause(wait)
        wait = min(_LONGEST_PAUSE, wait * 2)
