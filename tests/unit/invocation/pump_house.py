"""A pump on a queue in memory, with a consumer that does what the test says."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from samovar.errors import EngineError
from samovar.invocation.pump import Pump
from samovar.stores.invoke_queue import Claimed, Item, ItemKind
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.testing import ManualClock

KIND = ItemKind.EVENT


class Places:
    """The half of a `Consumer` that counts, for one whose lanes are all alike."""

    def __init__(self, of_lane: int, in_all: int) -> None:
        self._of_lane = of_lane
        self._left = in_all
        self._taken: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether there is none for any lane."""
        return self._left <= 0

    def take(self, lane: str, most: int) -> int:
        """Take up to `most`, and say how many."""
        taken = self._taken.get(lane, 0)
        count = max(0, min(most, self._of_lane - taken, self._left))
        if count:
            self._taken[lane] = taken + count
            self._left -= count
        return count

    def give_back(self, lane: str, count: int) -> None:
        """`count` of those that were taken are free again."""
        left = self._taken[lane] - count
        if left:
            self._taken[lane] = left
        else:
            del self._taken[lane]
        self._left += count


class Queue(MemoryInvokeQueue):
    """Counts the claims, and fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: list[tuple[str, int]] = []
        self.extended: list[str] = []
        self.broken = False

    def _work(self) -> None:
        if self.broken:
            raise EngineError("the disk is full")

    async def claim(
        self, kind: ItemKind, lane: str, *, now: float, limit: int, until: float
    ) -> Claimed:
        self.claims.append((lane, limit))
        await asyncio.sleep(0)
        self._work()
        return await super().claim(kind, lane, now=now, limit=limit, until=until)

    async def extend(self, item: Item, until: float) -> bool:
        self._work()
        self.extended.append(item.id)
        return await super().extend(item, until)

    async def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> bool:
        await asyncio.sleep(0)
        self._work()
        return await super().complete(item, *then, dead=dead)

    async def retry_at(self, item: Item, due: float, head: bytes) -> bool:
        self._work()
        return await super().retry_at(item, due, head)


class Crew:
    """A `Consumer` that keeps what it was given until the test ends it."""

    def __init__(self, pump: Pump, of_lane: int, in_all: int) -> None:
        self.pump = pump
        self.places = Places(of_lane, in_all)
        self.at_work: deque[Item] = deque()
        self.begun: list[str] = []
        self.most: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        return self.places.full

    def take(self, lane: str, most: int) -> int:
        return self.places.take(lane, most)

    def give_back(self, lane: str, count: int) -> None:
        self.places.give_back(lane, count)

    def begin(self, item: Item) -> None:
        self.begun.append(item.id)
        self.at_work.append(item)

    def end(self, item: Item | None = None) -> asyncio.Task[bool]:
        """End the item that was begun first, or this one."""
        if item is None:
            item = self.at_work.popleft()
        else:
            self.at_work.remove(item)
        self.give_back(item.lane, 1)
        self.pump.room_again(item.lane)
        return self.pump.complete(item)


class House:
    """All of it; to be made on a loop."""

    def __init__(self, of_lane: int = 2, in_all: int = 100) -> None:
        self.clock = ManualClock()
        self.queue = Queue()
        self.pump = Pump(self.queue, KIND, self.clock)
        self.crew = self.pump.consumer = Crew(self.pump, of_lane, in_all)

    def item(self, number: int, lane: str = "a", after: float = 0.0) -> Item:
        now = self.clock.wall()
        name = f"{lane}{number}"
        return Item(name, KIND, lane, b"head", b"{}", now, now + after, now + 3600, "node")

    async def put(self, count: int, lane: str = "a", after: float = 0.0) -> None:
        """Put items, and tell the pump."""
        for number in range(count):
            item = self.item(number, lane, after)
            await self.queue.put(item)
            self.pump.arrived(lane, item.due)

    async def turns(self, count: int = 50) -> None:
        """Let everything happen that needs no time."""
        for _ in range(count):
            await asyncio.sleep(0)

    @property
    def waiting(self) -> int:
        return sum(count for (_, state), count in self.queue.depths().items() if state == "waiting")

    @property
    def kept(self) -> int:
        return sum(self.queue.depths().values())


async def closed(house: House) -> None:
    """Stop the pump; what is at work is let go."""
    stopping = asyncio.ensure_future(house.pump.stop(5.0))
    await house.turns()
    house.clock.advance(10.0)
    await stopping


def names(items: Sequence[Any]) -> list[str]:
    return [item.id for item in items]
