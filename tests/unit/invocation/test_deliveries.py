"""Deliveries: sent, sent again, given up; with a sender that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvloop
from botocore.exceptions import ClientError as Refused
from botocore.exceptions import EndpointConnectionError
from tests.api.house import until

from samovar.errors import AWS, ClientError
from samovar.invocation.deliveries import DeliveryConsumer
from samovar.invocation.delivery_errors import Undeliverable
from samovar.invocation.pump import Pump
from samovar.metrics.observer import SilentObserver
from samovar.model.event import Channel, Delivery
from samovar.model.target import Target
from samovar.neighbours import NoEndpoint
from samovar.stores.invoke_queue import Item, ItemKind, ItemState
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.testing import ManualClock

uvloop.new_event_loop().close()  # its signal pipe stays: before any test

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f"
DELIVERY = ItemKind.DELIVERY


class Told(SilentObserver):
    __slots__ = ("heard",)

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def delivered(self, function: str, channel: str, service: str) -> None:
        self.heard.append(("delivered", function, channel, service))

    def delivery_retried(self, function: str, channel: str, service: str) -> None:
        self.heard.append(("retried", function, channel, service))

    def delivery_failed(self, function: str, channel: str, service: str) -> None:
        self.heard.append(("failed", function, channel, service))

    def records_delivered(self, mapping: str, records: int) -> None:
        self.heard.append(("records delivered", mapping, str(records)))

    def records_not_delivered(self, mapping: str, service: str) -> None:
        self.heard.append(("records not delivered", mapping, service))


@dataclass
class Sender:
    """Raises what it is to raise, one after the other, and then sends."""

    errors: list[Exception] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    begun: int = 0

    async def send(self, item: Item, delivery: Delivery, target: Target) -> None:
        self.begun += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(item.id)


class House:
    def __init__(
        self, own: Callable[..., Item | None] = lambda *_: None, time_scale: float = 1.0
    ) -> None:
        self.clock = ManualClock()
        self.queue = MemoryInvokeQueue()
        self.sender = Sender()
        self.told = Told()
        self.accepted: list[str] = []
        self.pump = Pump(self.queue, DELIVERY, self.clock)
        self.consumer = DeliveryConsumer(
            self.sender,
            own,
            lambda item: self.accepted.append(item.id),
            self.clock,
            self.told,
            time_scale=time_scale,
            own="arn:aws:lambda:us-east-1:111111111111:function:",
        )
        self.consumer.pump = self.pump
        self.pump.consumer = self.consumer

    async def put(self, name: str = "d", target: str = QUEUE, **given: Any) -> None:
        delivery = Delivery("e", f"{FUNCTION}:$LATEST", Channel.ON_FAILURE, target, "r", "x")
        head = replace(delivery, **given).pack()
        now = self.clock.wall()
        await self.queue.put(
            Item(name, DELIVERY, target, head, b"{}", now, now, now + 21600, "node")
        )
        self.pump.arrived(target, now)

    async def state(self, name: str = "d") -> tuple[ItemState, Delivery] | None:
        found = await self.queue.find(name)
        return None if found is None else (found.state, Delivery.unpack(found.item.head))

    async def stop(self) -> None:
        self.pump.close()
        await self.consumer.stop()
        await self.pump.stop(0.0)


def play(scene: Callable[[House], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        it = House(**given)
        try:
            await scene(it)
        finally:
            await it.stop()

    uvloop.run(run())


def refusal(status: int, code: str = "Code") -> Exception:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return Refused(answer, "SendMessage")


async def fails_and_waits(it: House, *waits: float) -> None:
    """Each try fails, and the next one comes after so many seconds and no sooner."""
    waiting = {(DELIVERY, ItemState.WAITING): 1}
    for number, wait in enumerate(waits, start=1):
        await until(lambda: len(it.told.heard) == number)  # noqa: B023 - awaited in its turn
        await until(lambda: it.queue.depths() == waiting)
        found = await it.state()
        assert found is not None
        assert found[1].failures == number == it.sender.begun
        it.clock.advance(wait - 0.001)
        await asyncio.sleep(0)
        assert it.sender.begun == number
        it.clock.advance(0.002)


def test_what_is_sent_is_gone() -> None:
    async def scene(it: House) -> None:
        await it.put()
        await until(lambda: not it.queue.depths())
        assert it.sender.sent == ["d"]
        assert it.told.heard == [("delivered", "f", "on-failure", "sqs")]

    play(scene)


def test_records_of_a_stream_count_when_they_have_arrived() -> None:
    async def scene(it: House) -> None:
        it.sender.errors = [refusal(503)]
        await it.put(mapping="uuid", records=3)
        await until(lambda: len(it.told.heard) == 2)
        await until(lambda: it.queue.depths() == {(DELIVERY, ItemState.WAITING): 1})
        assert it.told.heard == [
            ("records not delivered", "uuid", "sqs"),
            ("retried", "f", "on-failure", "sqs"),
        ]
        it.clock.advance(60.0)
        await until(lambda: not it.queue.depths())
        assert it.told.heard[2:] == [
            ("delivered", "f", "on-failure", "sqs"),
            ("records delivered", "uuid", "3"),
        ]

    play(scene)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        TimeoutError("it hangs"),
        ConnectionResetError("gone"),
        refusal(500),
        refusal(503),
        refusal(429),
        refusal(400, "ThrottlingException"),
    ],
    ids=["refused", "timeout", "reset", "500", "503", "429", "throttled"],
)
def test_what_may_pass_is_tried_again_with_longer_and_longer_waits(error: Exception) -> None:
    async def scene(it: House) -> None:
        it.sender.errors = [error] * 3
        await it.put()
        await fails_and_waits(it, 1.0, 2.0, 4.0)
        await until(lambda: not it.queue.depths())
        assert [one[0] for one in it.told.heard] == ["retried"] * 3 + ["delivered"]

    play(scene)


@pytest.mark.parametrize("time_scale", [0.0, 0.0001])
def test_a_neighbour_comes_back_no_sooner_on_a_short_time_scale(time_scale: float) -> None:
    async def scene(it: House) -> None:
        it.sender.errors = [refusal(500)] * 9
        await it.put()
        await fails_and_waits(it, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0)
        await until(lambda: it.sender.sent == ["d"])

    play(scene, time_scale=time_scale)


@pytest.mark.parametrize(
    "error",
    [
        refusal(400, "AWS.SimpleQueueService.NonExistentQueue"),
        refusal(403),
        Undeliverable("it is FIFO"),
        NoEndpoint("sqs"),
    ],
    ids=["no such queue", "denied", "undeliverable", "no endpoint"],
)
def test_what_will_not_pass_is_given_up_at_once_and_kept(error: Exception) -> None:
    async def scene(it: House) -> None:
        it.sender.errors = [error]
        await it.put()
        await until(lambda: it.queue.depths() == {(DELIVERY, ItemState.DEAD): 1})
        found = await it.state()
        assert found is not None
        assert str(error) in found[1].failure
        assert it.told.heard == [("failed", "f", "on-failure", "sqs")]

    play(scene)


def test_in_the_end_what_might_have_passed_is_given_up_too() -> None:
    async def scene(it: House) -> None:
        it.sender.errors = [refusal(500)] * 1000
        await it.put()
        while (DELIVERY, ItemState.DEAD) not in it.queue.depths():
            begun = it.sender.begun
            await until(lambda: it.queue.depths().get((DELIVERY, ItemState.CLAIMED), 0) == 0)
            it.clock.advance(300.0)
            if (DELIVERY, ItemState.WAITING) in it.queue.depths():
                await until(lambda: it.sender.begun > begun)  # noqa: B023 - awaited in its turn
            await asyncio.sleep(0)
        # 1 s to 256 s, then every five minutes, within six hours.
        assert 70 <= it.sender.begun <= 82

    play(scene)


def test_a_target_that_does_not_answer_holds_up_its_own_alone() -> None:
    other = QUEUE + "2"

    async def scene(it: House) -> None:
        it.sender.gate = asyncio.Event()
        for number in range(20):
            await it.put(f"d{number}")
        await until(lambda: it.sender.begun == 8)
        await it.put("e", other)
        await until(lambda: it.sender.begun == 9)
        it.sender.gate.set()
        await until(lambda: not it.queue.depths())
        assert len(it.sender.sent) == 21

    play(scene)


def test_what_is_in_the_air_at_the_end_waits_to_be_sent_again() -> None:
    async def scene(it: House) -> None:
        it.sender.gate = asyncio.Event()
        await it.put()
        await until(lambda: it.sender.begun == 1)
        await it.stop()
        found = await it.state()
        assert found is not None
        assert (found[0], found[1].failures) == (ItemState.WAITING, 0)

    play(scene)


def test_to_a_function_of_ours_it_becomes_an_event_in_one_step() -> None:
    event = Item("e2", ItemKind.EVENT, FUNCTION, b"", b"{}", 0.0, 0.0, 1.0, "node")

    async def scene(it: House) -> None:
        await it.put(target=f"{FUNCTION}:live")
        await until(lambda: it.accepted == ["e2"])
        assert it.queue.depths() == {(ItemKind.EVENT, ItemState.WAITING): 1}
        assert it.told.heard == [("delivered", "f", "on-failure", "lambda")]

    play(scene, own=lambda *_: event)


def test_a_function_of_ours_that_is_gone_can_not_be_delivered_to() -> None:
    def own(*_: object) -> Item | None:
        raise ClientError(AWS.RESOURCE_NOT_FOUND, "Function not found: f")

    async def scene(it: House) -> None:
        await it.put(target=FUNCTION)
        await until(lambda: it.queue.depths() == {(DELIVERY, ItemState.DEAD): 1})

    play(scene, own=own)


def test_a_head_that_nobody_can_read_is_kept_as_it_is() -> None:
    async def scene(it: House) -> None:
        now = it.clock.wall()
        await it.queue.put(Item("d", DELIVERY, QUEUE, b"?", b"", now, now, now + 9, "node"))
        it.pump.arrived(QUEUE, now)
        await until(lambda: it.queue.depths() == {(DELIVERY, ItemState.DEAD): 1})
        assert it.sender.begun == 0

    play(scene)
