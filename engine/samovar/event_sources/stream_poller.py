"""Reads one stream for one mapping: a reader for each shard, and now and then a look for new ones.

How far each shard was read is kept in its lease. One more lease, of no shard, says since when the
mapping reads and whether all shards of its first look have theirs: one that is found later came of
another, and is read from its start, wherever the mapping began. Shards are read after those that
they came of.
"""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial

from samovar.event_sources.reading import Passes, StreamReading
from samovar.event_sources.shard_batches import backoff
from samovar.event_sources.shard_reader import ShardReader
from samovar.event_sources.streams import END, START, Position, Shard, Where
from samovar.model.event_source import EventSourceMapping, StartingPosition
from samovar.neighbours.answers import code_of
from samovar.stores.leases import Lease, LeaseLost

_log = logging.getLogger(__name__)

_LOOK_AGAIN = 10.0  # seconds between looks for new shards, at most: an end of one begins one
_WHOLE = ""  # the shard of the lease that is of none


class StreamPoller:
    """The readers of one mapping, from `start` to `stop`; `change` has them go on with another form
    of it."""

    def __init__(self, it: StreamReading, node: str) -> None:
        """`node` owns the leases."""
        self._it = it
        self._node = node
        self._leases: dict[str, Lease] | None = None  # ours, once they were taken
        self._since = 0.0
        self._readers: dict[str, tuple[ShardReader, asyncio.Task[None]]] = {}
        self._lost: set[str] = set()  # shards that somebody else reads
        self._looking: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self._failures = 0
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

    def cancel(self) -> None:
        """Leave what is in hand as it is: it is read again."""
        self.pause()
        for _, task in self._readers.values():
            task.cancel()

    # -- shards

    async def _look_on(self) -> None:
        while True:
            self._again.clear()
            timer = self._it.clock.call_later(self._wait(), self._again.set)
            try:
                await self._again.wait()
            finally:
                timer.cancel()
            await self._try_to_look()

    def _wait(self) -> float:
        if not self._failures:
            return _LOOK_AGAIN
        return backoff(self._failures)

    async def _try_to_look(self) -> None:
        try:
            await self._look()
            self._failures = 0
        except Exception as error:
            self._failures += 1
            it = self._it
            it.numbers.errors[code_of(error) or type(error).__name__] += 1
            _log.log(
                logging.ERROR if self._failures == 1 else logging.DEBUG,
                "the shards of %s can't be looked for for %s, and it is tried again: %s",
                *(it.mapping.source_arn, it.mapping.function_arn, error),
            )

    async def _look(self) -> None:
        """Have every shard be read whose turn it is, and forget those that are no more."""
        shards = {shard.id: shard for shard in await self._it.stream.shards()}
        if self._leases is None:
            self._leases = await self._take_over()
            self._it.lifetime = await self._it.stream.lifetime()
        leases = self._leases
        whole = leases[_WHOLE]
        settled = json.loads(whole.checkpoint)["settled"]
        iterators: dict[str, str] = {}
        for shard in shards.values():
            if shard.id not in leases:
                position = START
                if not settled:
                    position, iterator = await self._first(shard)
                    if iterator:
                        iterators[shard.id] = iterator
                leases[shard.id] = await self._take(shard.id, 0, position.text())
        if not settled:
            leases[_WHOLE] = await self._it.leases.write(whole, self._whole(settled=True))
        for shard in shards.values():
            self._have_read(shard, shards, iterators.get(shard.id))
        for gone in leases.keys() - shards.keys() - {_WHOLE}:
            await self._forget(gone)

    async def _take_over(self) -> dict[str, Lease]:
        """All the leases that there are, from whoever had them."""
        it = self._it
        found = await it.leases.of(it.mapping.uuid)
        whole = next((lease for lease in found if lease.shard == _WHOLE), None)
        self._since = it.clock.wall()
        if whole is not None:
            self._since = float(json.loads(whole.checkpoint)["since"])
        else:
            await self._take(_WHOLE, 0, self._whole(settled=False))
            found = await it.leases.of(it.mapping.uuid)
        return {
            lease.shard: await self._take(lease.shard, lease.epoch, lease.checkpoint)
            for lease in found
        }

    async def _take(self, shard: str, seen: int, checkpoint: str) -> Lease:
        it = self._it
        return await it.leases.take(it.mapping.uuid, shard, self._node, seen, checkpoint)

    def _whole(self, *, settled: bool) -> str:
        return json.dumps({"since": self._since, "settled": settled})

    async def _first(self, shard: Shard) -> tuple[Position, str | None]:
        """Where a shard begins that was there before the mapping was, and the iterator of what
        comes from now on, if that is what is wanted. It is asked for at once: a later one would
        leave out what comes meanwhile. Where it is lost, the moment goes in its place."""
        mapping = self._it.mapping
        if mapping.starting_position is StartingPosition.TRIM_HORIZON:
            return START, None
        if mapping.starting_position is StartingPosition.AT_TIMESTAMP:
            return Position(Where.SINCE, repr(mapping.starting_at)), None
        if shard.closed:
            return END, None
        return Position(Where.SINCE, repr(self._since)), await self._it.stream.latest(shard.id)

    def _have_read(self, shard: Shard, shards: dict[str, Shard], iterator: str | None) -> None:
        """Read a shard, unless it is read already, or has not come to its turn."""
        assert self._leases is not None
        if shard.id in self._readers:
            self._readers[shard.id][0].closed = shard.closed
            return
        waits = any(parent in shards and not self._ended(parent) for parent in shard.parents)
        if self._stopping or waits or shard.id in self._lost or self._ended(shard.id):
            return
        reader = ShardReader(self._it, self._leases[shard.id], iterator, closed=shard.closed)
        task = asyncio.get_running_loop().create_task(reader.run())
        self._readers[shard.id] = reader, task
        task.add_done_callback(partial(self._over, shard.id))

    def _ended(self, shard: str) -> bool:
        assert self._leases is not None
        return shard in self._leases and self._leases[shard].checkpoint == END.text()

    def _over(self, shard: str, task: asyncio.Task[None]) -> None:
        """A reader came to an end: of its shard, or its own; then another one begins."""
        reader, _ = self._readers.pop(shard)
        assert self._leases is not None
        if shard in self._leases:
            self._leases[shard] = reader.lease
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LeaseLost):
            self._lost.add(shard)
            _log.info("%s: %s is read by somebody else", self._it.mapping.source_arn, error)
        elif error is not None:
            _log.error(
                "the reader of the shard %s of %s broke down, and another begins",
                *(shard, self._it.mapping.source_arn),
                exc_info=error,
            )
        elif not self._stopping:
            self._again.set()

    async def _forget(self, shard: str) -> None:
        """A shard that is not there any more, with all that was in it."""
        assert self._leases is not None
        if shard in self._readers:  # what it has in hand is done still, and the next look ends it
            self._readers[shard][0].stop()
            return
        lease = self._leases.pop(shard)
        try:
            await self._it.leases.remove(lease)
        except LeaseLost as lost:
            _log.debug("it was somebody else's: %s", lost)
