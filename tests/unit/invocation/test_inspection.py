"""What people see of the queue, and what they do to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from samovar.errors import AWS, ClientError
from samovar.invocation import lineage
from samovar.invocation.inspection import Inspection
from samovar.model import event_entries
from samovar.model.event import Channel, Delivery, EventInvokeConfig, QueuedEvent
from samovar.stores.invoke_queue import Found, Item, ItemKind, ItemState
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.testing.manual_clock import ManualClock

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:failed"


@dataclass
class Desk:
    """An inspection of a queue in memory, and whom the pumps were told of."""

    queue: MemoryInvokeQueue = field(default_factory=MemoryInvokeQueue)
    clock: ManualClock = field(default_factory=ManualClock)
    arrived: list[tuple[ItemKind, str, float]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inspection = Inspection(
            self.queue,
            self.clock,
            self._find,
            lambda name, _: EventInvokeConfig(max_event_age=90 if name == "short" else None),
            lambda *told: self.arrived.append(told),
            arn=ARN,
            time_scale=0.5,
        )

    def _find(self, name: str, qualifier: str | None) -> object:
        if name in self.missing:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, f"Function not found: {ARN}{name}")
        return name, qualifier

    async def event(
        self, item_id: str, function: str = "f", *, state: ItemState = ItemState.WAITING
    ) -> Item:
        head = QueuedEvent(function, f"{ARN}{function}", "live", "Root=1", 2, 1, 3).pack()
        item = Item(item_id, ItemKind.EVENT, ARN + function, head, b'{"a": 1}', 0, 7, 99, "node")
        return await self._put(item, state, "RetriesExhausted")

    async def delivery(
        self, item_id: str, event: str, function: str = "f", *, state: ItemState = ItemState.WAITING
    ) -> Item:
        head = Delivery(
            event,
            f"{ARN}{function}:live",
            Channel.ON_FAILURE,
            QUEUE,
            "role",
            "RetriesExhausted",
            failures=4,
            failure="no answer",
        ).pack()
        item = Item(
            item_id, ItemKind.DELIVERY, QUEUE, head, b'{"version": "1.0"}', 0, 7, 99, "node"
        )
        return await self._put(item, state, "")

    async def _put(self, item: Item, state: ItemState, condition: str) -> Item:
        await self.queue.put(item, None if state is ItemState.WAITING else 1e12)
        if state is ItemState.DEAD:
            dead = item.head
            if item.kind is ItemKind.EVENT:
                event = QueuedEvent.unpack(item.head)
                dead = QueuedEvent(
                    *(event.name, event.function_arn, event.qualifier, event.trace, 3, 3, 0),
                    *(condition, "ValueError", "no picture"),
                ).pack()
            assert await self.queue.complete(item, dead=dead)
        return item

    async def ids(self, **asked: object) -> list[str]:
        found = await self.inspection.list(**asked)  # type: ignore[arg-type]
        return [entry["id"] for entry in found["events"]]


def play(scene: Callable[[Desk], Awaitable[None]]) -> None:
    async def begin() -> None:
        await scene(Desk())

    asyncio.run(begin())


async def some_of_each(desk: Desk) -> None:
    await desk.event("dead", state=ItemState.DEAD)
    await desk.event("waits")
    await desk.event("others", "g")
    await desk.event("runs", state=ItemState.CLAIMED)
    await desk.delivery("sent", "dead")
    await desk.delivery("undelivered", "dead", state=ItemState.DEAD)


def test_what_is_in_hand_comes_first_then_what_waits_then_the_dead() -> None:
    async def scene(desk: Desk) -> None:
        await some_of_each(desk)
        assert await desk.ids() == ["runs", "waits", "others", "sent", "dead", "undelivered"]
        found = await desk.inspection.list()
        assert found["queue"] == {
            "events": {"waiting": 2, "claimed": 1, "dead": 1},
            "deliveries": {"waiting": 1, "claimed": 0, "dead": 1},
        }
        assert found["next"] is None

    play(scene)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"state": ItemState.DEAD}, ["dead", "undelivered"]),
        ({"kind": ItemKind.DELIVERY}, ["sent", "undelivered"]),
        ({"kind": ItemKind.EVENT, "state": ItemState.WAITING}, ["waits", "others"]),
        ({"function": "f"}, ["runs", "waits", "sent", "dead", "undelivered"]),
        ({"function": "f", "kind": ItemKind.EVENT}, ["runs", "waits", "dead"]),
        ({"function": "nobody"}, []),
        ({"condition": "RetriesExhausted"}, ["sent", "dead", "undelivered"]),
        ({"condition": "EventAgeExceeded"}, []),
    ],
    ids=[
        "state",
        "kind",
        "kind and state",
        "function",
        "its events",
        "nobody",
        "condition",
        "none",
    ],
)
def test_filters(asked: dict[str, object], expected: list[str]) -> None:
    async def scene(desk: Desk) -> None:
        await some_of_each(desk)
        assert await desk.ids(**asked) == expected

    play(scene)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_have_everything_once(limit: int) -> None:
    async def scene(desk: Desk) -> None:
        await some_of_each(desk)
        seen: list[str] = []
        after = None
        while True:
            page = await desk.inspection.list(limit=limit, after=after)
            assert len(page["events"]) <= limit
            seen += [entry["id"] for entry in page["events"]]
            after = page["next"]
            if after is None:
                break
        assert seen == await desk.ids()

    play(scene)


def test_a_page_goes_on_behind_an_event_that_is_gone() -> None:
    """Under a load that works off what is shown, pages come to an end all the same."""

    async def scene(desk: Desk) -> None:
        for number in range(6):
            await desk.event(f"{number}", state=ItemState.DEAD)
        page = await desk.inspection.list(limit=2)
        await desk.inspection.forget("1")
        assert await desk.ids(limit=2, after=page["next"]) == ["2", "3"]

    play(scene)


class Watched(MemoryInvokeQueue):
    """Counts what was looked at."""

    seen = 0

    async def look(self, *asked: Any, **of: Any) -> Sequence[Found]:
        found = await super().look(*asked, **of)
        self.seen += len(found)
        return found


@pytest.mark.parametrize("state", ItemState)
def test_one_is_shown_without_a_look_at_what_waits_besides(state: ItemState) -> None:
    async def scene(desk: Desk) -> None:
        desk.queue = desk.inspection._queue = queue = Watched()
        for number in range(20):
            await desk.event(f"{number}", state=state)
        await desk.delivery("one", "7", state=state)
        shown = await desk.inspection.show("7")
        assert [one["id"] for one in shown["deliveries"]] == ["one"]
        assert queue.seen == 1
        assert await desk.ids(kind="delivery") == ["one"]
        assert queue.seen == 2

    play(scene)


@pytest.mark.parametrize("function", ["f", "g", None])
def test_more_than_one_look_into_the_queue_is_one_page(function: str | None) -> None:
    async def scene(desk: Desk) -> None:
        for number in range(1500):
            await desk.event(f"{number}", "g" if number % 700 == 0 else "f")
        await desk.delivery("one", "0")
        expected = {"f": 1000, "g": 3, None: 1000}
        page = await desk.inspection.list(function=function, limit=1000)
        assert len(page["events"]) == expected[function]
        assert (page["next"] is None) == (function == "g")

    play(scene)


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "gone"},
        {"kind": "x"},
        {"limit": 0},
        {"limit": 1001},
        {"after": "x"},
        {"after": "dead"},
        {"after": "dead:"},
        {"after": "dead:8f507cfc-9b1c-4697-b07a-ac58fc914c95"},
        {"after": "dead:-1"},
        {"after": f"dead:{10**18}"},
    ],
)
def test_what_is_asked_wrongly(asked: dict[str, object]) -> None:
    async def scene(desk: Desk) -> None:
        with pytest.raises(ClientError) as refused:
            await desk.ids(**asked)
        assert refused.value.error is AWS.VALIDATION

    play(scene)


def test_a_cursor_is_for_the_state_that_was_asked_for() -> None:
    async def scene(desk: Desk) -> None:
        with pytest.raises(ClientError, match="next"):
            await desk.ids(state=ItemState.WAITING, after="dead:1")

    play(scene)


def test_one_is_shown_with_its_payload_and_what_is_sent_of_it() -> None:
    async def scene(desk: Desk) -> None:
        await some_of_each(desk)
        await desk.delivery("of another", "x")
        found = await desk.inspection.show("dead")
        assert found["event"] == {
            "kind": "event",
            "id": "dead",
            "state": "dead",
            "function": "f",
            "function_arn": f"{ARN}f",
            "qualifier": "live",
            "accepted": "1970-01-01T00:00:00.000Z",
            "due": None,
            "expires": "1970-01-01T00:01:39.000Z",
            "invoked": 3,
            "errors": 3,
            "puts_off": 0,
            "condition": "RetriesExhausted",
            "error_type": "ValueError",
            "error_message": "no picture",
            "trace": "Root=1",
            "payload": '{"a": 1}',
        }
        assert [one["id"] for one in found["deliveries"]] == ["sent", "undelivered"]
        shown = await desk.inspection.show("sent")
        assert (shown["event"].get("payload"), shown["deliveries"]) == ('{"version": "1.0"}', [])
        assert shown["event"]["due"] == "1970-01-01T00:00:07.000Z"
        with pytest.raises(ClientError, match="no event or delivery 'nobody'"):
            await desk.inspection.show("nobody")

    play(scene)


def test_what_nobody_can_read_is_shown_all_the_same_and_not_redriven() -> None:
    async def scene(desk: Desk) -> None:
        for kind in ItemKind:
            item = Item(kind.value, kind, ARN + "f", b"\xc1", b"{}", 0, 0, 0, "node")
            await desk.queue.put(item, 1e12)
            await desk.queue.complete(item, dead=b"\xc1")
            entry = (await desk.inspection.show(kind.value))["event"]
            assert entry["state"] == "dead"
            with pytest.raises(ClientError) as refused:
                await desk.inspection.redrive(kind.value)
            assert refused.value.error is AWS.RESOURCE_CONFLICT

    play(scene)


@pytest.mark.parametrize(("ended", "kept"), [(5.0, 5.0), (0.0, 3.0)], ids=["new", "old"])
def test_a_delivery_that_begins_again_knows_when_its_event_ended(ended: float, kept: float) -> None:
    async def scene(desk: Desk) -> None:
        delivery = Delivery(
            *("e", f"{ARN}f:live", Channel.ON_FAILURE, QUEUE, "role", "RetriesExhausted"),
            ended=ended,
        )
        item = Item("d", ItemKind.DELIVERY, QUEUE, delivery.pack(), b"{}", 3, 7, 99, "node")
        await desk._put(item, ItemState.DEAD, "")
        await desk.inspection.redrive("d")
        found = await desk.queue.find("d")
        assert found is not None and found.item.accepted == desk.clock.wall()
        assert Delivery.unpack(found.item.head).ended == kept

    play(scene)


@pytest.mark.parametrize(("function", "life"), [("f", 21600), ("short", 90)])
def test_a_dead_event_begins_again(function: str, life: int) -> None:
    async def scene(desk: Desk) -> None:
        await desk.event("dead", function, state=ItemState.DEAD)
        now = desk.clock.wall()
        entry = await desk.inspection.redrive("dead")
        found = await desk.queue.find("dead")
        assert found is not None and found.state is ItemState.WAITING
        event = QueuedEvent.unpack(found.item.head)
        assert event == QueuedEvent(function, f"{ARN}{function}", "live", "Root=1")
        assert (found.item.accepted, found.item.due) == (now, now)
        assert found.item.expires == now + life * 0.5
        assert found.item.body == b'{"a": 1}'
        assert desk.arrived == [(ItemKind.EVENT, ARN + function, now)]
        assert (entry["id"], entry["state"], entry["condition"]) == ("dead", "waiting", None)

    play(scene)


def test_what_was_stopped_in_a_loop_begins_a_chain_of_its_own() -> None:
    """Whoever has repaired the loop wants it to run; else it would be stopped again at once."""

    async def scene(desk: Desk) -> None:
        trace = f"Root=1-{1:08x};Sampled=0;Lineage=1:00000000:3"
        for _ in range(lineage.LIMIT + 1):
            trace, _ = lineage.follow(trace, ARN + "f")
        head = QueuedEvent("f", ARN + "f", trace=trace).pack()
        item = Item("dead", ItemKind.EVENT, ARN + "f", head, b"{}", 0, 7, 99, "node")
        await desk._put(item, ItemState.DEAD, "RecursiveInvocation")
        await desk.inspection.redrive("dead")
        found = await desk.queue.find("dead")
        assert found is not None
        assert QueuedEvent.unpack(found.item.head).trace == f"Root=1-{1:08x};Sampled=0"

    play(scene)


def test_a_dead_delivery_is_sent_again() -> None:
    async def scene(desk: Desk) -> None:
        await desk.delivery("undelivered", "e", state=ItemState.DEAD)
        now = desk.clock.wall()
        entry = await desk.inspection.redrive("undelivered")
        assert entry["kind"] == "delivery"
        assert (entry["failures"], entry["failure"]) == (0, None)
        assert desk.arrived == [(ItemKind.DELIVERY, QUEUE, now)]

    play(scene)


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.CLAIMED])
def test_only_the_dead_are_redriven_and_forgotten(state: ItemState) -> None:
    async def scene(desk: Desk) -> None:
        await desk.event("alive", state=state)
        for act in (desk.inspection.redrive, desk.inspection.forget):
            with pytest.raises(ClientError, match=f"alive is {state.value};") as refused:
                await act("alive")
            assert refused.value.error is AWS.RESOURCE_CONFLICT
            with pytest.raises(ClientError) as refused:
                await act("nobody")
            assert refused.value.error is AWS.RESOURCE_NOT_FOUND
        assert desk.arrived == []

    play(scene)


def test_an_event_of_a_function_that_is_gone_stays_dead() -> None:
    async def scene(desk: Desk) -> None:
        await desk.event("dead", state=ItemState.DEAD)
        desk.missing.add("f")
        with pytest.raises(ClientError, match="Function not found"):
            await desk.inspection.redrive("dead")
        found = await desk.queue.find("dead")
        assert found is not None and found.state is ItemState.DEAD

    play(scene)


def test_what_is_forgotten_is_gone() -> None:
    async def scene(desk: Desk) -> None:
        await desk.event("dead", state=ItemState.DEAD)
        await desk.inspection.forget("dead")
        assert await desk.ids() == []

    play(scene)


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("The list:", event_entries.EventList),
        ("One of them:", event_entries.EventDetails),
        ("An event:", event_entries.EventEntry),
        ("A delivery:", event_entries.DeliveryEntry),
    ],
    ids=["list", "details", "event", "delivery"],
)
def test_the_page_has_every_key_and_no_other(
    checkout: Path, heading: str, shape: type[object]
) -> None:
    page = (checkout / "docs" / "events.md").read_text()
    rows = page.partition(f"\n{heading}\n")[2].partition("| --- |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `(\w+)` \| ", rows, re.MULTILINE)
    assert listed == list(get_type_hints(shape))
