"""Events from the queue to their end, on a scheduler without processes, a queue in memory and a
clock that stands still."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from tests.unit.invocation.pump_house import Queue
from tests.unit.scheduler.driver_house import ARN, Observed, version

from samovar.context.host_memory import MemoryGauge
from samovar.errors import AWS, ClientError
from samovar.invocation.events import EventConsumer, Terms
from samovar.invocation.pump import Pump
from samovar.invocation.shares import Shares
from samovar.model.event import Ending, EventInvokeConfig, QueuedEvent
from samovar.model.function import FunctionVersion
from samovar.model.invocation import Invocation
from samovar.registry.recursion import RecursiveLoop
from samovar.scheduler.driver import Scheduler
from samovar.scheduler.policy import Policy
from samovar.stores.invoke_queue import Found, Item, ItemKind, ItemState
from samovar.testing import FakeLauncher, ManualClock

TARGET = "arn:aws:sqs:us-east-1:000000000000:failed"


class Watched(Observed):
    """What is told of events, besides."""

    def event_started(self, function: str, age: float) -> None:
        self.calls.append(("started", function, age))

    def event_retried(self, function: str, reason: str) -> None:
        self.calls.append(("retried", function, reason))

    def event_dropped(self, function: str, condition: str) -> None:
        self.calls.append(("dropped", function, condition))

    def recursion_stopped(self, function: str) -> None:
        self.calls.append(("loop", function))


class EventHouse:
    """Handlers do what the event says: «ok», «raise», «exit», or they wait for `release`."""

    def __init__(
        self,
        *,
        scale: float = 1.0,
        most: int = 100,
        memory: MemoryGauge | None = None,
        **policy: int,
    ) -> None:
        self.clock = ManualClock()
        self.watched = Watched()
        self.launcher = FakeLauncher(self._handle, self.clock)
        self.scheduler = Scheduler(
            Policy(300.0, **({"max_contexts": 50} | policy)),
            self.launcher,
            self.clock,
            self.watched,
            memory,
        )
        self.queue = Queue()
        self.runs: list[Invocation] = []
        self.inside: dict[str, asyncio.Future[None]] = {}
        self.threads = 0  # that want a processor
        self.functions: dict[str, FunctionVersion] = {name: version(name) for name in "fgh"}
        self.unready: set[str] = set()
        self.config = EventInvokeConfig()
        self.loop_ends = RecursiveLoop.TERMINATE
        self.endings: list[Ending] = []
        self.roles: list[str] = []  # that what became of them is sent with
        self.told: list[str] = []
        self.shares = Shares(self.scheduler, self.clock, lambda: self.threads, most, scale)
        self.consumer = EventConsumer(
            self,
            self.scheduler,
            self.shares,
            self.clock,
            self.watched,
            time_scale=scale,
            deliveries=self._deliveries,
            delivered=lambda item: self.told.append(item.lane),
        )
        self.pump = Pump(self.queue, ItemKind.EVENT, self.clock)
        self.pump.consumer = self.consumer
        self.consumer.pump = self.shares.pump = self.pump
        self._events = 0
        self._calls = 0

    # -- what the consumer asks of the registry

    def resolve(self, name: str, qualifier: str | None) -> FunctionVersion:
        found = self.functions.get(f"{name}:{qualifier}") or self.functions.get(name)
        if found is None:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, f"Function not found: {name}")
        if name in self.unready:
            raise ClientError(AWS.RESOURCE_CONFLICT, "it is Pending")
        return found

    def terms(self, name: str, _qualifier: str | None) -> Terms:
        if name not in self.functions:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, f"Function not found: {name}")
        return Terms(self.config, "", "role-of-latest")

    def in_loop(self, _name: str) -> RecursiveLoop:
        return self.loop_ends

    def _deliveries(
        self, item: Item, _event: QueuedEvent, ending: Ending, _terms: Terms, role: str
    ) -> Sequence[Item]:
        self.endings.append(ending)
        self.roles.append(role)
        now = self.clock.wall()
        delivery = Item(f"d-{item.id}", ItemKind.DELIVERY, TARGET, b"", b"", now, now, now, "node")
        return [delivery]

    # -- what functions do

    def _handle(self, event: Any, invocation: Invocation) -> Any:
        self.runs.append(invocation)
        if event == "raise":
            raise ValueError("no luck")
        if event == "exit":
            raise SystemExit(3)
        if event == "ok":
            return None
        future = self.inside[invocation.request_id] = asyncio.get_running_loop().create_future()
        return future

    # -- what tests do

    async def put(self, event: object = "ok", name: str = "f", **known: Any) -> str:
        """Put an event and tell the pump; its id."""
        self._events += 1
        head = QueuedEvent(name, ARN + name, **known).pack()
        now = self.clock.wall()
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        item = Item(
            f"e{self._events}",
            ItemKind.EVENT,
            ARN + name,
            head,
            body,
            now,
            now,
            now + 21600,
            "node",
        )
        await self.queue.put(item)
        self.pump.arrived(item.lane, now)
        return item.id

    def call(self, event: object = "wait", name: str = "f") -> asyncio.Future[Any]:
        """A call that somebody waits for."""
        self._calls += 1
        body = json.dumps(event).encode()
        invocation = Invocation(f"call{self._calls}", ARN + name, body)
        return self.scheduler.submit(invocation, self.functions[name])

    def release(self, request_id: str) -> None:
        self.inside.pop(request_id).set_result(None)

    async def turns(self, count: int = 60) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass in steps, and everything happen in between."""
        for _ in range(max(1, round(seconds / step))):
            self.clock.advance(min(step, seconds))
            await self.turns(20)

    async def after(self, seconds: float) -> None:
        """Let time pass at once."""
        await self.turns()
        self.clock.advance(seconds)
        await self.turns()

    async def found(self, event_id: str) -> Found | None:
        return await self.queue.find(event_id)

    async def dead(self, event_id: str) -> QueuedEvent:
        """The head of an event that must be dead."""
        found = await self.found(event_id)
        assert found is not None and found.state is ItemState.DEAD, found
        return QueuedEvent.unpack(found.item.head)

    async def head(self, event_id: str) -> QueuedEvent:
        found = await self.found(event_id)
        assert found is not None
        return QueuedEvent.unpack(found.item.head)

    def begun(self, prefix: str = "e") -> list[str]:
        return [run.request_id for run in self.runs if run.request_id.startswith(prefix)]

    async def stop(self) -> None:
        """As an engine does."""
        self.consumer.stop()
        self.pump.close()
        stopping = asyncio.ensure_future(self.scheduler.stop(1.0))
        await self.turns()
        self.clock.advance(1.0)
        await stopping
        ending = asyncio.ensure_future(self.pump.stop(1.0))
        await self.turns()
        self.clock.advance(1.0)
        await ending
        await self.turns()
