"""What the promises of an InvokeQueue are told with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from samovar.stores.invoke_queue import Claimed, InvokeQueue, Item, ItemKind, ItemState

Check = Callable[[InvokeQueue], Awaitable[None]]

EVENT, DELIVERY = ItemKind.EVENT, ItemKind.DELIVERY
WAITING, CLAIMED, DEAD = ItemState.WAITING, ItemState.CLAIMED, ItemState.DEAD
LANE = "arn:aws:lambda:us-east-1:000000000000:function:f"
NOW = 1_800_000_000.0
LATER = NOW + 60.0  # when claims run out
LARGE = bytes(range(256)) * 4096  # 1 MB


def run(queue: InvokeQueue, check: Check) -> None:
    async def opened() -> None:
        await queue.open()
        try:
            await check(queue)
        finally:
            await queue.close()

    asyncio.run(opened())


def item(name: str, **changes: Any) -> Item:
    made = Item(name, EVENT, LANE, b"head", b'{"\xc3\xbc":1}', NOW, NOW, NOW + 600.0, "here")
    return replace(made, **changes)


async def claim(
    queue: InvokeQueue,
    limit: int = 100,
    *,
    now: float = NOW,
    lane: str = LANE,
    kind: ItemKind = EVENT,
    until: float = LATER,
) -> Claimed:
    return await queue.claim(kind, lane, now=now, limit=limit, until=until)


async def claimed(queue: InvokeQueue, name: str, **changes: Any) -> Item:
    """An item that was put and then claimed."""
    await queue.put(item(name, **changes))
    ((found,), _) = await claim(queue)
    return found


def names(found: Any) -> list[str]:
    """The ids of what was claimed or found."""
    items = found.items if isinstance(found, Claimed) else [one.item for one in found]
    return [one.id for one in items]


async def seen(queue: InvokeQueue, name: str) -> tuple[Item, ItemState] | None:
    """An item as it is found, and where it is."""
    found = await queue.find(name)
    return None if found is None else (found.item, found.state)


async def state(queue: InvokeQueue, name: str) -> ItemState | None:
    found = await queue.find(name)
    return None if found is None else found.state
