"""What asynchronous invocation asks of a store. One conformance suite holds every implementation.

An item is an accepted event, or the delivery of what became of one. It waits until it is due, is
claimed for a time by one node, and then is completed, put off, or set aside as dead. A claim has a
number, the item's attempt: whoever settles an item must still hold the claim that he was given, so
that a claim which ran out, or was taken over after a crash, changes nothing any more.

All times are seconds since 1970-01-01 UTC: they outlive the process, and the machine's uptime.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

FORMAT_VERSION = 1


class ItemKind(StrEnum):
    """What an item is; the values are those of the records."""

    EVENT = "event"  # of an asynchronous invocation, to be handed to its function
    DELIVERY = "delivery"  # of what became of one, to be sent to a destination or dead-letter queue


class ItemState(StrEnum):
    """Where an item is."""

    WAITING = "waiting"  # until it is due, or until there is room for it
    CLAIMED = "claimed"  # a node has it in hand
    DEAD = "dead"  # given up; kept to be looked at, and to be sent again


@dataclass(slots=True)
class Item:
    """One thing in the queue. Not frozen: one is made per accepted event (see `Invocation`).

    `id` is unique: an event's is its request id. `lane` is what items share their turn with: the
    unqualified ARN of an event's function, the ARN of a delivery's target. `head` is what the
    engine knows of it (`samovar.model.event` makes and reads it) and `body` what it carries: an
    event's raw JSON, a delivery's message; the queue looks at neither. `accepted`
    is when it came in, `due` when its turn comes, `expires` when it is too old to be tried again.
    `attempt` is the number of its last claim, 0 before the first; `node` is the node that wrote it
    last, which the queue fills in. An item whose `format` is newer than FORMAT_VERSION waits until
    a node that knows it comes: it is counted and shown, but not claimed, and due for nobody.
    """

    id: str
    kind: ItemKind
    lane: str
    head: bytes
    body: bytes
    accepted: float
    due: float
    expires: float
    node: str
    attempt: int = 0
    format: int = FORMAT_VERSION


class Claimed(NamedTuple):
    """What `claim` found: `items` in their order, and when the lane's next one that is still
    waiting is due (which may be in the past), None if none is."""

    items: Sequence[Item]
    next_due: float | None


class Lane(NamedTuple):
    """Items of one kind that have their turn together; `next_due` and `oldest` (the earliest
    `accepted`) are of those that wait, None if none does."""

    kind: ItemKind
    name: str
    waiting: int
    claimed: int
    next_due: float | None
    oldest: float | None


class Found(NamedTuple):
    """An item as it is looked at from outside, and where it is. `number` says where it stands in
    the order in which items came in: above 0, another one for each, and the same until it ends."""

    item: Item
    state: ItemState
    number: int


class InvokeQueue(Protocol):
    """Items, durably, in the order in which they are due.

    What was awaited without an error survives kill -9 and power loss; what raised left nothing.
    Everything that is asked for at the same time is made durable together (group commit). If the
    awaiting task is cancelled, the change may or may not happen. Every method raises EngineError
    when the store itself fails (a full disk, a damaged file).
    """

    async def open(self) -> None:
        """Make ready. What this node had claimed before it died waits again, due as it was."""

    async def close(self) -> None:
        """Carry out what was asked for, then let go of files and threads; idempotent. From then on
        whoever asks gets EngineError."""

    def put(self, item: Item, claim_until: float | None = None) -> Future[None]:
        """Take an item in; the future is done once it is durable. Not a coroutine: one is put per
        accepted event. That ids are unique is up to who puts.

        With `claim_until` it is claimed at once, as by `claim`: its attempt is 1, in `item`, too.
        """

    async def claim(
        self, kind: ItemKind, lane: str, *, now: float, limit: int, until: float
    ) -> Claimed:
        """Claim up to `limit` items that are due, those first that are due first. Each gets its
        next attempt's number.

        Other nodes leave them alone until the time `until`; what they claimed themselves, and let
        run out, is no claim any more. For this node its own claims hold as long as it is there:
        a clock that jumps, or a machine that slept, does not run anything twice."""

    async def extend(self, item: Item, until: float) -> bool:
        """Have other nodes leave a claim alone for longer; False if it is not held any more."""

    async def complete(self, item: Item, *then: Item, dead: bytes | None = None) -> bool:
        """End an item that is claimed and put `then` in its place, all of it or nothing; with
        `dead`, which becomes its head, it is kept as dead. False if the claim is not held any
        more: nothing has changed then."""

    async def retry_at(self, item: Item, due: float, head: bytes) -> bool:
        """Give a claim back: the item waits until `due`, with another head. False if the claim is
        not held any more."""

    async def lanes(self) -> Sequence[Lane]:
        """All lanes that something waits or is claimed in; reads them all: for the start, and for
        people."""

    def depths(self) -> Mapping[tuple[ItemKind, ItemState], int]:
        """How many items there are. Costs nothing: metrics ask."""

    async def find(self, item_id: str) -> Found | None:
        """One item, in whatever state, as it was when this was asked or later. For people, as
        `look`: it may read everything, and what changes things does not wait for it."""

    async def look(
        self,
        state: ItemState,
        *,
        kind: ItemKind | None = None,
        lane: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Found]:
        """Items in a state (of a kind, of a lane) in the order in which they came in, from behind
        the number `after`, whether its item is still there or not; their bodies are cut to 1 KB.

        All that was durable when this was asked. For people, not for work: where few are of what
        is asked for it may read everything, but what changes things does not wait for it."""

    async def revive(self, item_id: str, *, now: float, expires: float, head: bytes) -> bool:
        """Have a dead item wait again, accepted and due now, with another head; False if there is
        no such dead item."""

    async def forget(self, item_id: str) -> bool:
        """Delete a dead item; False if there is no such dead item."""
