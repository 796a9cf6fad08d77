"""An InvokeQueue that keeps nothing: for tests, held to the real one by the contract tests."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from samovar.errors import EngineError
from samovar.stores.invoke_queue import (
    FORMAT_VERSION,
    Claimed,
    Found,
    Item,
    ItemKind,
    ItemState,
    Lane,
)

_log = logging.getLogger(__name__)

_SHOWN_BODY = 1024


@dataclass(slots=True)
class _Kept:
    number: int
    item: Item
    state: ItemState
    until: float = 0.0


class MemoryInvokeQueue:
    """Lives as long as the object; what was put is there again after `close` and `open`. It is open
    from the start."""

    def __init__(self, node: str = "node") -> None:
        self._node = node
        self._kept: dict[str, _Kept] = {}
        self._last = 0
        self._closed = False
        self._told_unknown = False

    async def open(self) -> None:
        self._closed = False
        for kept in self._kept.values():
            if kept.state is ItemState.CLAIMED and kept.item.node == self._node:
                kept.state = ItemState.WAITING

    async def close(self) -> None:
        """There is nothing to let go of."""
        self._closed = True

    def put(self, item: Item, claim_until: float | None = None) -> Future[None]:
        self._need_open()
        if claim_until is not None:
            item.attempt = 1
        self._keep(item, claim_until)
        done: Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def claim(
        self, kind: ItemKind, lane: str, *, now: float, limit: int, until: float
    ) -> Claimed:
        self._need_open()
        for kept in self._kept.values():
            theirs = kept.state is ItemState.CLAIMED and kept.item.node != self._node
            if theirs and kept.until <= now:
                kept.state = ItemState.WAITING
        waiting = [
            kept
            for kept in self._kept.values()
            if (kept.state, kept.item.kind, kept.item.lane) == (ItemState.WAITING, kind, lane)
            and kept.item.format <= FORMAT_VERSION
        ]
        waiting.sort(key=lambda kept: kept.item.due)
        taken = [kept for kept in waiting if kept.item.due <= now][:limit]
        for kept in taken:
            kept.state, kept.until = ItemState.CLAIMED, until
            kept.item = replace(kept.item, attempt=kept.item.attempt + 1, node=self._node)
        rest = [kept.item.due for kept in waiting if kept.state is ItemState.WAITING]
        return Claimed([replace(kept.item) for kept in taken], min(rest, default=None))

    async def extend(self, item: Item, until: float) -> bool:
        kept = self._held(item)
        if kept is not None:
            kept.until = until
        return kept is not None

    async def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> bool:
        kept = self._held(item)
        if kept is None:
            return False
        if dead is None:
            del self._kept[item.id]
        else:
            kept.item = replace(kept.item, head=dead, node=self._node)
            kept.state = ItemState.DEAD
        for one in then:
            self._keep(one, None)
        return True

    async def retry_at(self, item: Item, due: float, head: bytes) -> bool:
        kept = self._held(item)
        if kept is None:
            return False
        kept.item = replace(kept.item, due=due, head=head, node=self._node)
        kept.state = ItemState.WAITING
        return True

    async def lanes(self) -> Sequence[Lane]:
        found: dict[tuple[ItemKind, str], list[_Kept]] = {}
        for kept in self._kept.values():
            if kept.state is not ItemState.DEAD:
                found.setdefault((kept.item.kind, kept.item.lane), []).append(kept)
        lanes = []
        for (kind, name), kepts in found.items():
            waiting = [kept.item for kept in kepts if kept.state is ItemState.WAITING]
            lanes.append(
                Lane(
                    kind,
                    name,
                    len(waiting),
                    len(kepts) - len(waiting),
                    min(
                        (item.due for item in waiting if item.format <= FORMAT_VERSION),
                        default=None,
                    ),
                    min((item.accepted for item in waiting), default=None),
                )
            )
        return lanes

    def depths(self) -> Mapping[tuple[ItemKind, ItemState], int]:
        return Counter((kept.item.kind, kept.state) for kept in self._kept.values())

    async def find(self, item_id: str) -> Found | None:
        self._need_open()
        kept = self._kept.get(item_id)
        return None if kept is None else Found(replace(kept.item), kept.state, kept.number)

    async def look(
        self,
        state: ItemState,
        *,
        kind: ItemKind | None = None,
        lane: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Found]:
        self._need_open()
        found = []
        for kept in self._kept.values():
            if kept.state is not state or kept.number <= after:
                continue
            if kind in (None, kept.item.kind) and lane in (None, kept.item.lane):
                body = kept.item.body[:_SHOWN_BODY]
                found.append(Found(replace(kept.item, body=body), kept.state, kept.number))
        return found[:limit]

    async def revive(self, item_id: str, *, now: float, expires: float, head: bytes) -> bool:
        kept = self._kept.get(item_id)
        if kept is None or kept.state is not ItemState.DEAD:
            return False
        kept.item = replace(
            kept.item, accepted=now, due=now, expires=expires, head=head, node=self._node
        )
        kept.state = ItemState.WAITING
        return True

    async def forget(self, item_id: str) -> bool:
        kept = self._kept.get(item_id)
        if kept is None or kept.state is not ItemState.DEAD:
            return False
        del self._kept[item_id]
        return True

    def _keep(self, item: Item, until: float | None) -> None:
        if item.format > FORMAT_VERSION:
            until = None
            if not self._told_unknown:
                self._told_unknown = True
                _log.warning("%s has a format that is not known: it waits", item.id)
        state = ItemState.WAITING if until is None else ItemState.CLAIMED
        self._last += 1
        kept = _Kept(self._last, replace(item, node=self._node), state, until or 0.0)
        self._kept[item.id] = kept

    def _need_open(self) -> None:
        if self._closed:
            raise EngineError("the queue is not open")

    def _held(self, item: Item) -> _Kept | None:
        kept = self._kept.get(item.id)
        if kept is None or kept.state is not ItemState.CLAIMED:
            return None
        return kept if kept.item.attempt == item.attempt else None
