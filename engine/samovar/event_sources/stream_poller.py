"""Reads one stream for one mapping: a reader for each shard, and now and then a look for new ones.

How far each shard was read is kept in its lease. One more lease, of no shard, says since when the
mapping reads and whether all shards of its first look have theirs: one that is found later came of
another, and is read from its start, wherever the mapping began. Shards are read after those that
they came of. What is wrong with one shard holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from functools import partial

from samovar.errors import SamovarError
from samovar.event_sources.filtering import Passes
from samovar.event_sources.reading import NOTHING, StreamReading
from samovar.event_sources.shard_batches import backoff
from samovar.event_sources.shard_reader import ShardReader
from samovar.event_sources.stream_leases import StreamLeases
from samovar.event_sources.streams import END, START, Position, Shard, Where
from samovar.model.event_source import EventSourceMapping, StartingPosition
from samovar.stores.leases import LeaseLost

_log = logging.getLogger(__name__)

_LOOK_AGAIN = 10.0  # seconds between looks for new shards, at most: an end of one begins one
_GONE_AFTER = 5.0  # seconds that a shard is missing for, in two looks or more, until it is no more


class StreamPoller:
    """The readers of one mapping, from `start` to `stop`; `change` has them go on with another form
    of it."""

    def __init__(self, it: StreamReading, node: str) -> None:
        """`node` owns the leases."""
        self._it = it
        self._leases = StreamLeases(it, node)
        self._since: float | None = None  # when the first look began
        self._taken = False  # whether the leases are ours
        self._stream = ""  # the identity of the one that is there, once that is known
        self._described = False
        self._readers: dict[str, tuple[ShardReader, asyncio.Task[None]]] = {}
        self._iterators: dict[str, str] = {}  # of what comes from now on, by shard
        self._missing: dict[str, float] = {}  # shards with leases, and since when they are not seen
        self._looking: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self._failures = 0
        self._troubled = False  # something in this look is to be tried again soon
        self._told: set[str] = set()  # shards whose trouble the log knows
        self._stopping = False

    @property
    def pollers(self) -> int:
        """How many readers there are now."""
        return len(self._readers)

    @property
    def result(self) -> str:
        """AWS's LastProcessingResult."""
        return self._it.result

    async def start(self) -> None:
        """Begin to read; returns once it is settled where, or that it can't be asked yet. Raises
        nothing."""
        await self._try_to_look()
        if not self._stopping:
            self._looking = asyncio.get_running_loop().create_task(self._look_on())

    def change(self, mapping: EventSourceMapping, passes: Passes) -> None:
        """Read for another form of the mapping, of the same source. A batch that is tried again is
        handled by it already."""
        self._it.mapping = mapping
        self._it.passes = passes

    def pause(self) -> None:
        """Fetch nothing more, and try nothing again."""
        self._stopping = True
        if self._looking is not None:
            self._looking.cancel()
        for reader, _ in self._readers.values():
            reader.stop()

    async def stop(self) -> None:
        """Fetch nothing more, and let what runs be written down; idempotent."""
        self.pause()
        ending = [task for _, task in self._readers.values()]
        if self._looking is not None:
            ending.append(self._looking)
        if ending:
            await asyncio.wait(ending)
        try:
            await self._keep_result()
        except SamovarError as error:  # it is only shown
            _log.debug("how the last batch ended is not written down: %s", error)

    def cancel(self) -> None:
        """Leave what is in hand as it is: it is read again."""
        self.pause()
        for _, task in self._readers.values():
            task.cancel()

    # -- looks

    async def _look_on(self) -> None:
        while True:
            timer = self._it.clock.call_later(self._wait(), self._again.set)
            try:
                await self._again.wait()
            finally:
                timer.cancel()
            self._again.clear()  # before the look: who ends meanwhile has another one be begun
            await self._try_to_look()

    def _wait(self) -> float:
        if not self._failures:
            return _LOOK_AGAIN
        return backoff(self._failures)

    async def _try_to_look(self) -> None:
        self._troubled = False
        try:
            await self._look()
        except Exception as error:
            self._troubled = True
            self._count(error)
            it = self._it
            _log.log(
                logging.DEBUG if self._failures else logging.ERROR,
                "the shards of %s can't be looked for for %s, and it is tried again: %s",
                *(it.mapping.source_arn, it.mapping.function_arn, error),
            )
        self._failures = self._failures + 1 if self._troubled else 0

    async def _look(self) -> None:
        """Have every shard be read whose turn it is, and forget those that are no more."""
        leases, first = self._leases, self._since is None
        if self._since is None:
            self._since = self._it.clock.wall()
        await self._describe()
        shards = {shard.id: shard for shard in await self._it.stream.shards()}
        if not self._taken:
            if await leases.take_over(self._since):
                first = False
            self._taken = True
            if self._it.result == NOTHING and leases.whole.result:
                self._it.result = leases.whole.result
        for shard in leases.left:
            await self._try_shard(shard, leases.take(shard))
        if not await self._is_the_same():
            return
        for one in shards.values():
            if not leases.has(one.id) and one.id not in leases.left:
                await self._try_shard(one.id, self._settle(one, first=first))
        settled = all(leases.has(shard) for shard in shards)
        await leases.keep(
            replace(
                leases.whole,
                settled=leases.whole.settled or settled,
                stream=self._stream or leases.whole.stream,
            )
        )
        await self._keep_result()
        for one in shards.values():
            self._have_read(one, shards)
        for gone in self._gone(shards):
            await self._try_shard(gone, self._forget(gone))

    async def _describe(self) -> None:
        """Ask which stream it is, and how long it keeps what comes; as long as before, where that
        can't be asked now."""
        try:
            found = await self._it.stream.described()
        except Exception as error:
            if not self._described:
                raise
            self._troubled = True
            self._count(error)
            _log.debug("%s can't be described: %s", self._it.mapping.source_arn, error)
            return
        self._described = True
        self._stream = found.identity or self._stream
        self._it.lifetime = found.lifetime

    async def _is_the_same(self) -> bool:
        """Whether the stream is the one that the leases are of. Another one under its name begins
        anew, once nobody has anything of the former in hand."""
        leases = self._leases
        known, found = leases.whole.stream, self._stream
        if not known or not found or known == found:
            return True
        for reader, _ in self._readers.values():
            reader.gone()
        if self._readers or leases.left:
            return False
        _log.warning(
            "%s is another stream than before, and is read from its start for %s",
            *(self._it.mapping.source_arn, self._it.mapping.function_arn),
        )
        await leases.begin_anew(found)
        self._iterators.clear()
        self._missing.clear()
        return True

    async def _keep_result(self) -> None:
        if self._it.result != NOTHING:
            await self._leases.keep(replace(self._leases.whole, result=self._it.result))

    # -- shards

    async def _try_shard(self, shard: str, doing: Awaitable[None]) -> None:
        """What is done for one shard; where that fails, all others go on."""
        try:
            await doing
            self._told.discard(shard)
        except Exception as error:
            self._troubled = True
            self._trouble(shard, error)

    def _trouble(self, shard: str, error: Exception) -> None:
        self._count(error)
        _log.log(
            logging.DEBUG if shard in self._told else logging.ERROR,
            "the shard %s of %s can't be read for %s: %s",
            *(shard, self._it.mapping.source_arn, self._it.mapping.function_arn, error),
        )
        self._told.add(shard)

    def _count(self, error: Exception) -> None:
        self._it.unreadable(error)

    async def _settle(self, shard: Shard, *, first: bool) -> None:
        """Settle where a shard begins that has no lease."""
        position, iterator = START, None
        if not self._leases.whole.settled:
            position, iterator = await self._first(shard, first=first)
        await self._leases.take(shard.id, position)
        if iterator is not None:
            self._iterators[shard.id] = iterator

    async def _first(self, shard: Shard, *, first: bool) -> tuple[Position, str | None]:
        """Where a shard begins that was there before the mapping was, and the iterator of what
        comes from now on, if that is what is wanted. It is asked for in the `first` look alone: a
        later one would leave out what has come meanwhile. Where it is lost, the moment goes in its
        place."""
        mapping, since = self._it.mapping, self._leases.whole.since
        if mapping.starting_position is StartingPosition.TRIM_HORIZON:
            return START, None
        if mapping.starting_position is StartingPosition.AT_TIMESTAMP:
            return Position(Where.SINCE, repr(mapping.starting_at)), None
        if not first:
            return Position(Where.SINCE, repr(since)), None
        if shard.closed:
            return END, None
        return Position(Where.SINCE, repr(since)), await self._it.stream.latest(shard.id)

    def _have_read(self, shard: Shard, shards: Mapping[str, Shard]) -> None:
        """Read a shard, unless it is read already, or has not come to its turn."""
        leases = self._leases
        if shard.id in self._readers:
            self._readers[shard.id][0].closed = shard.closed
            return
        waits = any(
            (parent in shards or parent in leases.of) and not leases.ended(parent)
            for parent in shard.parents
        )
        if self._stopping or waits or shard.id in leases.lost or leases.ended(shard.id):
            return
        if shard.id not in leases.of:
            return
        try:
            reader = ShardReader(
                self._it,
                leases.of[shard.id],
                self._iterators.pop(shard.id, None),
                closed=shard.closed,
            )
        except ValueError as error:
            self._trouble(shard.id, error)
            return
        task = asyncio.get_running_loop().create_task(reader.run())
        self._readers[shard.id] = reader, task
        task.add_done_callback(partial(self._over, shard.id))

    def _over(self, shard: str, task: asyncio.Task[None]) -> None:
        """A reader came to an end: of its shard, or its own; then another one begins."""
        reader, _ = self._readers.pop(shard)
        self._it.numbers.ages.pop(shard, None)
        if shard in self._leases.of:
            self._leases.of[shard] = reader.lease
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LeaseLost):
            self._leases.lose(shard, error)
        elif error is not None:
            _log.error(
                "the reader of the shard %s of %s broke down, and another begins",
                *(shard, self._it.mapping.source_arn),
                exc_info=error,
            )
        elif not self._stopping:
            self._again.set()

    def _gone(self, shards: Mapping[str, Shard]) -> list[str]:
        """Those that were there and are no more. A list may leave one out once."""
        now, missing = self._it.clock.monotonic(), self._leases.of.keys() - shards.keys()
        self._missing = {shard: self._missing.get(shard, now) for shard in missing}
        return [shard for shard, since in self._missing.items() if now >= since + _GONE_AFTER]

    async def _forget(self, shard: str) -> None:
        """A shard that is not there any more, with all that was in it."""
        if shard in self._readers:  # once it has given up what it has in hand, there is a look
            self._readers[shard][0].gone()
            return
        await self._leases.remove(shard)
