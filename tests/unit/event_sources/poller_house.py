"""A poller on a queue in memory, a function that the test plays, and a clock that stands still."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Self

from tests.unit.scheduler.driver_house import ARN, House, version

from samovar.event_sources.admission import Admission
from samovar.event_sources.sqs_fetching import QueueReading
from samovar.event_sources.sqs_poller import SqsPoller
from samovar.metrics.event_sources import SourceNumbers
from samovar.model.event_source import EventSourceMapping
from samovar.model.invocation import Invocation, Outcome

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"


class Queue:
    """As SQS: what was received is in flight until it is deleted; `reappear` has it wait again."""

    longest_poll = 2

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.in_flight: dict[str, str] = {}
        self.asked: list[tuple[int, int, int | None]] = []
        self.errors: list[Exception] = []
        self.undeletable = 0
        self.fails_at = 0  # the number of the request that fails
        self.given_back = 0
        self.traces: dict[str, str] = {}  # headers of messages, by their bodies
        self.own_visibility: int | Exception = 30
        self._more = asyncio.Event()

    def now(self) -> Self:
        return self

    async def visibility_timeout(self) -> int:
        if isinstance(self.own_visibility, Exception):
            raise self.own_visibility
        return self.own_visibility

    def put(self, *bodies: str) -> None:
        self.waiting.extend(bodies)
        self._more.set()

    def reappear(self) -> None:
        self.put(*self.in_flight.values())
        self.in_flight.clear()

    async def receive(self, most: int, wait: int, visibility: int | None) -> Sequence[Any]:
        self.asked.append((most, wait, visibility))
        if len(self.asked) == self.fails_at:
            raise OSError("reset")
        if self.errors:
            raise self.errors.pop(0)
        if not self.waiting and wait:
            self._more.clear()
            await self._more.wait()
        found = []
        while self.waiting and len(found) < most:
            body = self.waiting.popleft()
            key = body[:12]
            receipt = f"{key}/{len(self.asked)}"
            self.in_flight[receipt] = body
            message: dict[str, Any] = {
                "MessageId": key,
                "ReceiptHandle": receipt,
                "Body": body,
                "MD5OfBody": "",
            }
            if body in self.traces:
                message["Attributes"] = {"AWSTraceHeader": self.traces[body]}
            found.append(message)
        return found

    async def delete(self, receipts: Sequence[str]) -> list[str]:
        if self.undeletable:
            self.undeletable -= 1
            return list(receipts)
        for receipt in receipts:
            del self.in_flight[receipt]
        return []

    async def give_back(self, receipts: Sequence[str]) -> list[str]:
        for receipt in receipts:
            self.waiting.append(self.in_flight.pop(receipt))
        self.given_back += len(receipts)
        return []

    def give_up(self) -> None:
        """Answer whoever waits with nothing, as after a long poll."""
        self._more.set()


class PollerHouse:
    """Functions wait for `end`."""

    def __init__(
        self, *, reserved: int | None = None, fifo: bool = False, timeout: int = 3, **mapped: Any
    ) -> None:
        self.house = House(max_contexts=100)
        if reserved is not None:
            self.house.scheduler.reserve(ARN + "f", reserved)
        self.clock = self.house.clock
        self.queue = Queue()
        self.admission = Admission(self.house.scheduler, self.clock)
        self.numbers = SourceNumbers()
        self.processors_are_busy = False
        self.batches: list[list[str]] = []
        self.traces: list[str] = []
        self.refuses: Exception | None = None
        self._invocations = 0
        self.timeout = timeout
        source = QUEUE + ".fifo" if fifo else QUEUE
        self.mapping = EventSourceMapping("uuid", ARN + "f", source, **mapped)
        self.poller = self.another(self.queue, self.mapping)

    def another(self, queue: Queue, mapping: EventSourceMapping) -> SqsPoller:
        """A poller that the test starts and stops."""
        reading = QueueReading(
            mapping=mapping,
            passes=_passes,
            queue=queue,
            admission=self.admission,
            invoke=self._invoke,
            stops=lambda mapping, trace: trace.endswith("loop"),
            clock=self.clock,
            numbers=self.numbers,
            busy=lambda: self.processors_are_busy,
            timeout=lambda: self.timeout,
        )
        return SqsPoller(reading)

    def change(self, **changes: Any) -> None:
        """As a mapping's update does."""
        self.mapping = replace(self.mapping, **changes)
        self.poller.change(self.mapping, _passes)
        self.admission.look_again()

    def _invoke(
        self, mapping: EventSourceMapping, payload: bytes, trace: str
    ) -> asyncio.Future[Outcome]:
        self.traces.append(trace)
        self.batches.append([record["body"] for record in json.loads(payload)["Records"]])
        if self.refuses is not None:
            raise self.refuses
        self._invocations += 1
        invocation = Invocation(f"b{self._invocations}", mapping.function_arn, b'"wait"')
        return self.house.scheduler.submit(invocation, version())

    def second(self, name: str, **changes: Any) -> tuple[Queue, SqsPoller]:
        """Another queue that is read for the same function."""
        queue = Queue()
        poller = self.another(queue, replace(self.mapping, uuid=name, **changes))
        poller.start()
        return queue, poller

    async def stop(self, poller: SqsPoller, queue: Queue) -> None:
        ending = asyncio.ensure_future(poller.stop())
        await self.turns()
        queue.give_up()
        await ending

    def end(self, number: int, error: bool = False, answer: object = None) -> None:
        """End an invocation, by its number from 1 on."""
        future = self.house.inside.pop(f"b{number}")
        if error:
            future.set_exception(ValueError("no luck"))
        else:
            future.set_result(answer)

    async def turns(self, count: int = 60) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def close(self) -> None:
        ending = asyncio.ensure_future(self.poller.stop())
        for _ in range(10):  # what is in hand may be run yet
            await self.turns()
            self.queue.give_up()
            for number in [int(name[1:]) for name in self.house.inside]:
                self.end(number)
            await self.turns()
            self.clock.advance(100)
        assert ending.done(), "it ends"
        await ending
        self.admission.close()
        await self.house.stop()


def _passes(record: dict[str, Any]) -> bool:
    return not record["body"].startswith("out")


def play(scene: Callable[[PollerHouse], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        it = PollerHouse(**given)
        it.poller.start()
        await it.turns()
        try:
            await scene(it)
        finally:
            await it.close()
        assert it.clock.pending == 0, "no timer is left"

    asyncio.run(run())
