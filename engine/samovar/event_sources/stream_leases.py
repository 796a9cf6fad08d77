"""The leases of one mapping of a stream, as its poller has them.

There is one for each shard, with how far that was read, and one of no shard, for the whole: since
when the mapping reads, and of which stream all this is.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import Self

from samovar.event_sources.reading import StreamReading
from samovar.event_sources.streams import END, START, Position
from samovar.stores.leases import Lease, LeaseLost

_log = logging.getLogger(__name__)

_WHOLE = ""  # the shard of the lease that is of none


@dataclass(frozen=True, slots=True)
class Whole:
    """What is kept beside the shards. `since`: epoch seconds from which on what comes is new to the
    mapping; `settled`: whether all shards of its first look have their leases; `stream`: the
    identity of the one that they are of, empty where nobody has said; `result`: the last
    LastProcessingResult, empty where there is none."""

    since: float
    settled: bool = False
    stream: str = ""
    result: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what `text` has not made. Earlier versions knew no `stream`."""
        try:
            found = json.loads(text)
            return cls(
                float(found["since"]),
                bool(found["settled"]),
                str(found.get("stream", "")),
                str(found.get("result", "")),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{text!r} is nothing of a stream") from error

    def text(self) -> str:
        """As a lease keeps it."""
        return json.dumps(
            {
                "since": self.since,
                "settled": self.settled,
                "stream": self.stream,
                "result": self.result,
            }
        )


class StreamLeases:
    """Ours, once they were taken over."""

    def __init__(self, it: StreamReading, node: str) -> None:
        """`node` owns them."""
        self.of: dict[str, Lease] = {}  # by shard, those that are ours
        self.lost: set[str] = set()  # shards that somebody else reads
        self.whole = Whole(0.0)
        self._it = it
        self._node = node
        self._own: Lease | None = None  # that of the whole
        self._left: dict[str, Lease] = {}  # that could not be taken over yet, as they were seen

    async def take_over(self, since: float) -> bool:
        """Take all that there are from whoever had them; whether there were any: else reading
        begins, `since` a moment. Raises what the store does; then all is as it was."""
        it = self._it
        found = {lease.shard: lease for lease in await it.leases.of(it.mapping.uuid)}
        own = found.pop(_WHOLE, None)
        if own is None:
            self.whole = Whole(since)
            self._own = await self._take(_WHOLE, 0, self.whole.text())
        else:
            self._own = await self._take(_WHOLE, own.epoch, own.checkpoint)
            self.whole = self._parsed(self._own, since)
        self._left = found
        return own is not None

    async def keep(self, whole: Whole) -> None:
        """Write down what has changed of the whole."""
        own = self._own
        if own is None or whole == self.whole:
            return
        try:
            self._own = await self._it.leases.write(own, whole.text())
        except LeaseLost as lost:  # so is what it says
            self._own = None
            _log.info("%s: %s is read by somebody else", self._it.mapping.source_arn, lost)
        self.whole = whole

    async def take(self, shard: str, position: Position = START) -> None:
        """Make a shard's lease ours, as it was seen, or a new one that begins at a position."""
        seen = self._left.get(shard)
        try:
            if seen is not None:
                self.of[shard] = await self._take(shard, seen.epoch, seen.checkpoint)
            else:
                self.of[shard] = await self._take(shard, 0, position.text())
        except LeaseLost as lost:
            self.lose(shard, lost)
        self._left.pop(shard, None)

    def has(self, shard: str) -> bool:
        """Whether a shard has one, whose ever."""
        return shard in self.of or shard in self.lost

    @property
    def left(self) -> set[str]:
        """Shards whose leases are there and are to be taken over still."""
        return set(self._left)

    def lose(self, shard: str, lost: LeaseLost) -> None:
        """Somebody else reads a shard from now on."""
        self.lost.add(shard)
        _log.info("%s: %s is read by somebody else", self._it.mapping.source_arn, lost)

    def ended(self, shard: str) -> bool:
        """Whether all of a shard is done."""
        return shard in self.of and self.of[shard].checkpoint == END.text()

    async def remove(self, shard: str) -> None:
        """Keep nothing of a shard any more."""
        try:
            await self._it.leases.remove(self.of[shard])
        except LeaseLost as lost:
            _log.debug("it was somebody else's: %s", lost)
        del self.of[shard]

    async def begin_anew(self, stream: str) -> None:
        """Keep nothing of any shard: the stream is another one, and all that is in it is new."""
        for shard in tuple(self.of):
            await self.remove(shard)
        # Last: whoever dies before goes on with it.
        await self.keep(replace(self.whole, settled=True, stream=stream))
        self.lost.clear()

    async def _take(self, shard: str, seen: int, checkpoint: str) -> Lease:
        it = self._it
        return await it.leases.take(it.mapping.uuid, shard, self._node, seen, checkpoint)

    def _parsed(self, own: Lease, since: float) -> Whole:
        try:
            return Whole.parse(own.checkpoint)
        except ValueError as error:
            # Shards that have no lease are read from their start: rather twice than never.
            _log.error("what was kept of %s is lost: %s", self._it.mapping.source_arn, error)
            return Whole(since, settled=True)
