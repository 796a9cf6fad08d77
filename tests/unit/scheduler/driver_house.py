"""A scheduler on contexts without processes, on a clock that stands still."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from samovar.errors import ClientError, EngineError
from samovar.metrics.observer import SilentObserver
from samovar.model.function import LATEST, CodePackage, Configuration, FunctionVersion
from samovar.model.invocation import Invocation, Outcome
from samovar.scheduler.driver import Scheduler
from samovar.scheduler.policy import Policy
from samovar.testing import FakeContext, FakeLauncher, ManualClock

IDLE_TIMEOUT = 300.0
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


class Observed(SilentObserver):
    """What the observer was told of invocations and starts, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def invocation_finished(  # noqa: PLR0917 - see Observer
        self,
        function: str,
        qualifier: str,
        version: str,
        start: str,
        duration: float,
        overhead: float,
        error_type: str,
    ) -> None:
        self.calls.append(("finished", function, start, duration, overhead, error_type))

    def invocation_throttled(
        self, function: str, qualifier: str, version: str, reason: str
    ) -> None:
        self.calls.append(("throttled", function, reason))

    def invocation_failed(self, function: str, kind: str) -> None:
        self.calls.append(("failed", function, kind))

    def function_removed(self, function: str) -> None:
        self.calls.append(("removed", function))

    def version_removed(self, function: str, version: str) -> None:
        self.calls.append(("version removed", function, version))

    def invocation_spilled_over(self, function: str, qualifier: str, version: str) -> None:
        self.calls.append(("spilled over", function, qualifier, version))

    def cold_start(
        self,
        function: str,
        version: str,
        kind: str,
        *,
        environment: float,
        package: float,
        init: float,
    ) -> None:
        self.calls.append(("cold", function, environment, package, init))


class Gauge:
    """A `MemoryGauge` that says what the test says, and counts how often it is asked."""

    def __init__(self, mb: int) -> None:
        self.mb = mb
        self.looks = 0

    def room(self) -> int:
        self.looks += 1
        return self.mb


class House:
    """Handlers wait for `release`, unless the event says «now»; inits, where `slow_init` is set,
    for `loaded`; and getting a package, where `slow_fetch` is set, for `fetched`."""

    def __init__(self, memory: Gauge | None = None, **policy: int) -> None:
        self.clock = ManualClock()
        self.observed = Observed()
        self.launcher = FakeLauncher(self._handle, self.clock, init=self._init, fetch=self._fetch)
        self.scheduler = Scheduler(
            Policy(IDLE_TIMEOUT, policy.get("max_contexts", 10), policy.get("max_waiting", 0)),
            self.launcher,
            self.clock,
            self.observed,
            memory,
        )
        self.slow_init = self.slow_fetch = False
        self.refused: Exception | None = None  # what getting a package raises
        self.inside: dict[str, asyncio.Future[None]] = {}
        self.inits: list[asyncio.Future[None]] = []
        self.fetches: list[asyncio.Future[float]] = []
        self.handled: list[str] = []
        self._requests = 0

    # -- what functions do

    def _handle(self, event: Any, invocation: Invocation) -> Any:
        self.handled.append(invocation.request_id)
        if event == "raise":
            raise ValueError("no luck")
        if event == "now":
            return None
        future = self.inside[invocation.request_id] = asyncio.get_running_loop().create_future()
        return future

    def _init(self, _version: FunctionVersion) -> Any:
        if self.slow_init:
            self.inits.append(asyncio.get_running_loop().create_future())
            return self.inits[-1]
        return None

    async def _fetch(self, _version: FunctionVersion) -> float:
        if self.refused is not None:
            raise self.refused
        if self.slow_fetch:
            self.fetches.append(asyncio.get_running_loop().create_future())
            return await self.fetches[-1]
        return 0.0

    # -- what callers do

    def submit(
        self,
        event: object = "wait",
        name: str = "f",
        generation: int = 1,
        timeout: int = 900,
        *,
        qualifier: str = LATEST,
    ) -> Call:
        self._requests += 1
        request = f"r{self._requests}"
        invocation = Invocation(request, ARN + name, json.dumps(event).encode())
        invocation.qualifier = qualifier
        future = self.scheduler.submit(invocation, version(name, generation, timeout))
        return Call(request, future)

    def release(self, call: Call) -> None:
        self.inside.pop(call.request_id).set_result(None)

    async def begun(self, *calls: Call) -> None:
        """Let everything happen until the handlers of these calls run."""
        await settle()
        assert {call.request_id for call in calls} <= set(self.inside)

    async def served(self, name: str = "f") -> Outcome:
        """The outcome of a call that does not wait."""
        return await self.submit("now", name).future

    async def stop(self) -> None:
        """Stop the scheduler, and end its grace at once."""
        stop = asyncio.create_task(self.scheduler.stop(30))
        await settle()
        self.clock.advance(30)
        await stop

    def states(self) -> list[str]:
        return [lifecycle.state.value for lifecycle in self.scheduler.lifecycles()]

    @property
    def contexts(self) -> list[FakeContext]:
        return self.launcher.contexts


class Call:
    """An invocation on its way."""

    def __init__(self, request_id: str, future: asyncio.Future[Outcome]) -> None:
        self.request_id = request_id
        self.future = future

    async def error(self) -> ClientError | EngineError:
        """What it came to, which must be no outcome."""
        try:
            outcome = await self.future
        except (ClientError, EngineError) as error:
            return error
        raise AssertionError(outcome)


def version(name: str = "f", generation: int = 1, timeout: int = 900) -> FunctionVersion:
    return FunctionVersion(
        name,
        ARN + name,
        Configuration("app.handler", "python3.12", "role", timeout=timeout),
        CodePackage("00", 1),
        "revision",
        0.0,
        generation=generation,
    )


async def settle() -> None:
    """Let all that is due on the loop happen; nothing here waits for anything else."""
    for _ in range(20):
        await asyncio.sleep(0)


Scenario = Callable[[House], Awaitable[None]]


def play(scenario: Scenario, memory: Gauge | None = None, **policy: int) -> None:
    """Run a scenario; nothing may be raised in a callback, and at the end nothing is left."""
    raised: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: raised.append(about))
        house = House(memory, **policy)
        await scenario(house)
        await house.stop()
        await settle()
        assert house.states() == []
        assert house.scheduler.contexts == {}
        assert house.scheduler._births == {}
        assert house.scheduler._versions == {}
        assert len(house.launcher.released) == len(house.contexts)
        assert house.clock.pending == 0

    asyncio.run(main())
    assert raised == []
