"""The queue of asynchronous invocation as people see it: what is in there, and dead items revived.

Filters are looked for page by page, in the order in which items came in: for people, not for work.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.invocation import lineage
from samovar.invocation.entries import delivery_of, depths_of, entry_of
from samovar.invocation.records import PATIENCE
from samovar.logs.platform_lines import iso
from samovar.model.event import Delivery, EventInvokeConfig, QueuedEvent
from samovar.model.event_entries import (
    SCHEMA,
    Entry,
    EventDetails,
    EventList,
    QueueDepths,
)
from samovar.stores.invoke_queue import Found, InvokeQueue, Item, ItemKind, ItemState

MOST = 1000  # entries of one page, and items that are looked through at a time
# What is in hand comes first, then what waits, then what was given up.
_ORDER = (ItemState.CLAIMED, ItemState.WAITING, ItemState.DEAD)

_NUMBER = re.compile(r"[0-9]{1,18}")  # of an item, as SQLite can count

Choice = TypeVar("Choice", bound=StrEnum)
Find = Callable[[str, str | None], object]
ConfigOf = Callable[[str, str | None], EventInvokeConfig]
Arrived = Callable[[ItemKind, str, float], None]


class Inspection:
    """Looks into the queue. `find` raises ClientError for a function or qualifier that is not
    there; `arrived` is told the kind, lane and time of what waits again; `arn` is what stands
    before a function's name in its ARN."""

    def __init__(
        self,
        queue: InvokeQueue,
        clock: Clock,
        find: Find,
        config_of: ConfigOf,
        arrived: Arrived,
        *,
        arn: str,
        time_scale: float,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._find = find
        self._config_of = config_of
        self._arrived = arrived
        self._arn: Final = arn
        self._time_scale = time_scale

    def depths(self) -> QueueDepths:
        """How many items there are."""
        found = self._queue.depths()
        return {
            "events": depths_of(found, ItemKind.EVENT),
            "deliveries": depths_of(found, ItemKind.DELIVERY),
        }

    async def list(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        function: str | None = None,
        condition: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> EventList:
        """A page of what there is, at most `limit` (1 to 1,000) entries: of a `state`, a `kind`, a
        function's name, a condition; all of it where none is given.

        `after` is the `next` of the page before. Raises ClientError for what is none of these.
        """
        of_kind = _choice(ItemKind, "kind", kind)
        of_state = _choice(ItemState, "state", state)
        if not 1 <= limit <= MOST:
            raise ClientError(AWS.VALIDATION, f"limit is {limit}; it is from 1 to {MOST}.")
        states, behind = _from(after, _ORDER if of_state is None else (of_state,))
        few = limit + 1 if condition is None else MOST

        def wanted(entry: Entry) -> bool:
            named = function in (None, entry["function"])
            return named and condition in (None, entry["condition"])

        entries: list[Entry] = []
        last = cursor = None
        for one in states:
            async for found in self._of(one, of_kind, function, behind, few):
                entry = entry_of(found)
                if not wanted(entry):
                    continue
                if len(entries) == limit:
                    cursor = last
                    break
                entries.append(entry)
                last = f"{one.value}:{found.number}"
            if cursor is not None:
                break
            behind = 0
        return {
            "schema": SCHEMA,
            "time": iso(self._clock.wall()),
            "queue": self.depths(),
            "events": entries,
            "next": cursor,
        }

    async def show(self, item_id: str) -> EventDetails:
        """One event or delivery, with its payload, and an event's deliveries. Raises ClientError
        (404) if there is none."""
        found = await self._demand(item_id)
        entry = entry_of(found)
        entry["payload"] = found.item.body.decode(errors="replace")
        deliveries = []
        if found.item.kind is ItemKind.EVENT:
            deliveries = [
                shown
                for state in _ORDER
                async for one in self._of(state, ItemKind.DELIVERY, None, 0, MOST)
                if (shown := delivery_of(one))["event"] == item_id
            ]
        return {
            "schema": SCHEMA,
            "time": iso(self._clock.wall()),
            "event": entry,
            "deliveries": deliveries,
        }

    async def redrive(self, item_id: str) -> Entry:
        """Have a dead event run again, or a dead delivery sent again, under its old id, and else as
        if it had just come in; returns what it is then.

        Raises ClientError: 404 if there is none, or no such function any more, 409 if it is not
        dead.
        """
        found = await self._demand(item_id)
        item = found.item
        if found.state is not ItemState.DEAD:
            raise _alive(item_id, found.state)
        head, life = self._anew(item)
        now = self._clock.wall()
        expires = now + life * (self._time_scale or 1.0)
        if not await self._queue.revive(item_id, now=now, expires=expires, head=head):
            raise _alive(item_id, None)  # somebody else was quicker
        self._arrived(item.kind, item.lane, now)
        again = replace(item, head=head, accepted=now, due=now, expires=expires)
        return entry_of(Found(again, ItemState.WAITING, found.number))

    async def forget(self, item_id: str) -> None:
        """Delete a dead event or delivery; raises ClientError as `redrive` does."""
        found = await self._demand(item_id)
        if found.state is not ItemState.DEAD:
            raise _alive(item_id, found.state)
        if not await self._queue.forget(item_id):
            raise _alive(item_id, None)

    def _anew(self, item: Item) -> tuple[bytes, float]:
        """The head of an item that begins again, and for how many seconds it is good (AWS's)."""
        try:
            if item.kind is ItemKind.DELIVERY:
                delivery = Delivery.unpack(item.head)
                ended = delivery.ended or item.accepted
                unsent = replace(delivery, failures=0, failure="", ended=ended)
                return unsent.pack(), PATIENCE
            event = QueuedEvent.unpack(item.head)
        except (ValueError, TypeError) as error:
            raise ClientError(
                AWS.RESOURCE_CONFLICT, f"{item.id} can't be sent again: {error}"
            ) from error
        self._find(event.name, event.qualifier)
        # Whoever repaired a loop has what it left run: its chain begins here.
        again = replace(event.again(), trace=lineage.forgotten(event.trace))
        return again.pack(), float(self._config_of(event.name, event.qualifier).age)

    async def _demand(self, item_id: str) -> Found:
        found = await self._queue.find(item_id)
        if found is None:
            raise ClientError(
                AWS.RESOURCE_NOT_FOUND,
                f"There is no event or delivery {item_id[:100]!r}. What ended well is not kept.",
            )
        return found

    async def _of(
        self, state: ItemState, kind: ItemKind | None, function: str | None, after: int, few: int
    ) -> AsyncIterator[Found]:
        """Items of a kind in a state; where that saves anything, a function's alone. They are read
        `few` at a time where every one of them is of what is looked for."""
        depths = self._queue.depths()
        there = {one for one in ItemKind if depths.get((one, state))}
        if kind is not None:
            there &= {kind}
        if not there:
            return
        kind = next(iter(there)) if len(there) == 1 else None
        lane = None
        if function is not None and there == {ItemKind.EVENT}:
            lane = self._arn + function
        step = min(few if function is None or lane is not None else MOST, MOST)
        while True:
            page = await self._queue.look(state, kind=kind, lane=lane, after=after, limit=step)
            for found in page:
                yield found
            if len(page) < step:
                return
            after = page[-1].number


def _choice(of: type[Choice], name: str, text: str | None) -> Choice | None:
    if text is None:
        return None
    try:
        return of(text)
    except ValueError:
        known = ", ".join(of)
        raise ClientError(AWS.VALIDATION, f"{name}={text[:100]!r} is none of {known}.") from None


def _from(after: str | None, order: tuple[ItemState, ...]) -> tuple[tuple[ItemState, ...], int]:
    if not after:
        return order, 0
    state, _, number = after.partition(":")
    if state not in order or _NUMBER.fullmatch(number) is None:
        raise ClientError(
            AWS.VALIDATION,
            f"after={after[:100]!r} is not the «next» of a page that was asked for in this way.",
        )
    return order[order.index(ItemState(state)) :], int(number)


def _alive(item_id: str, state: ItemState | None) -> ClientError:
    now = f"is {state.value}" if state is not None else "was changed by somebody else meanwhile"
    return ClientError(
        AWS.RESOURCE_CONFLICT, f"{item_id} {now}; this is for what was given up (dead)."
    )
