"""Samovar as a contender: an engine embedded in a process of its own, with or without HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.event import EVENT_BYTES
from benchmarks.pure_msgpack import demand_pure, hide_c_extension
from benchmarks.remote import UnavailableError
from benchmarks.subject import Subject, drive, sorted_out

if TYPE_CHECKING:
    from samovar.engine import Engine

_HANDLERS = Path(__file__).with_name("functions") / "handlers.py"
# Long enough for 1,000 contexts to come up while the first ones still hold theirs; a slower machine
# gets a second and a third try with twice the time.
_SECONDS_PER_CONTEXT = 0.02
_TRIES = 3
_PARKED = 890.0  # seconds; a function may run for 900
# More callers than contexts wait in the engine, as they do in the pools it is held against.
_MAX_WAITING = 1000


class EngineSubject(Subject):
    """`http`: serve the Lambda API. `contexts`: how many may exist; embedded calls never have more
    outstanding (the engine refuses what it has no context for, as Lambda does, so the caller
    queues). `cold_functions`: how many `noop-N` to create. `provisioned`: how many `first-N`,
    each with a published version of which one context is provisioned. `pure_msgpack`: workers
    without msgpack's C extension. `parked`: of all events one may run at a time, and one of `hold`
    does, for as long as the engine lives: all others wait. The rest are settings.
    """

    def __init__(  # noqa: PLR0917 - by name, from JSON
        self,
        http: bool = False,
        contexts: int = 1000,
        cold_functions: int = 0,
        provisioned: int = 0,
        pure_msgpack: bool = False,
        parked: bool = False,
        **settings: Any,
    ) -> None:
        self._http = http
        self._contexts = contexts
        self._cold_functions = cold_functions
        self._provisioned = provisioned
        self._pure_msgpack = pure_msgpack
        self._parked = parked
        self._holding = False
        self._directory = tempfile.mkdtemp(prefix="samovar-benchmark-")
        # The engine's own import comes first: it keeps the C extension.
        try:
            from samovar.engine import Engine
            from samovar.settings import Settings
        except ImportError as error:
            shutil.rmtree(self._directory)
            raise UnavailableError(f"the engine can't be imported: {error}") from error
        if pure_msgpack:
            hide_c_extension(Path(self._directory) / "pure")
        self._doors = AsyncExitStack()
        self._package = packed(_HANDLERS)
        self._engine: Engine = Engine(
            Settings(
                data_dir=Path(self._directory) / "data",
                port=0,
                max_contexts=contexts,
                max_waiting=_MAX_WAITING,
                # What is measured is the engine, not how well it throttles.
                account_concurrency=1_000_000,
                scaling_rate=0,
                request_rate=0,
                unreserved_minimum=0,
                **({"async_concurrency": 1} if parked else {}),
                **settings,
            )
        )

    @property
    def engine(self) -> Engine:
        """The engine; running from `start` on."""
        return self._engine

    async def start(self) -> dict[str, Any]:
        await self._engine.start()
        await self.create("noop", "noop")
        await self.create("stamp", "stamp")
        if self._parked:
            await self._park()
        if self._pure_msgpack:
            demand_pure(self._engine.report().zygotes)
        for number in range(self._cold_functions):
            await self.create(f"noop-{number}", "noop")
        for number in range(self._provisioned):
            await self._provision(f"first-{number}")
        if not self._http:
            return {}
        from samovar.doors.http.serving import serving

        endpoint = await self._doors.enter_async_context(serving(self._engine))
        return {"port": urlsplit(endpoint).port}

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "calls": self.calls,
            "puts": self.puts,
            "each": self.each,
            "create": self.create,
            "delete": self.delete,
            "fill": self.fill,
            "put_events": self.put_events,
            "no_events": self.no_events,
            "empty": self.empty,
        }

    async def create(self, function: str, handler: str, timeout: int = 900) -> None:
        """A function with a handler of `functions/handlers.py`; returns when it is Active."""
        await self._engine.create_function(
            function, code=self._package, handler=f"handlers.{handler}", timeout=timeout
        )

    async def _park(self) -> None:
        await self.create("hold", "hold")
        self._holding = True
        event = json.dumps({"until": time.time() + _PARKED}).encode()
        await self._engine.invoke_async("hold", event)
        while not any(  # noqa: ASYNC110 - it tells nobody
            context["state"] == "busy" for context in self._engine.contexts()
        ):
            await asyncio.sleep(0.01)

    async def _provision(self, function: str) -> None:
        await self.create(function, "noop")
        versions = self._engine.registry.versions
        number = (await versions.publish(function)).version
        await self._engine.registry.wait_settled(function, number)
        shown = await self._engine.put_provisioned_concurrency(function, number, 1)
        if shown.status != "READY":
            raise RuntimeError(f"{function} could not be provisioned: {shown}")

    async def delete(self, function: str) -> None:
        await self._engine.delete_function(function)

    async def calls(
        self, payload: str, count: int, in_flight: int, function: str = "noop"
    ) -> dict[str, Any]:
        engine = self._engine

        async def call(event: bytes) -> None:
            outcome = await engine.invoke(function, event)
            if outcome.function_error:
                raise RuntimeError(f"{function} failed: {outcome.payload!r}")

        return await drive(call, payload, count, in_flight)

    async def puts(self, seconds: float, in_flight: int) -> dict[str, Any]:
        """Accept one event after the other for a time, `in_flight` at once."""
        clock, engine = time.perf_counter, self._engine
        started = clock()
        latencies: list[float] = []

        async def caller() -> None:
            while (before := clock()) < started + seconds:
                await engine.invoke_async("noop", EVENT_BYTES)
                latencies.append(clock() - before)

        await asyncio.gather(*(caller() for _ in range(in_flight)))
        return sorted_out(latencies, clock() - started)

    async def each(self, payload: str, first: int, count: int) -> dict[str, Any]:
        """One call of each of `count` provisioned functions, from `first-{first}` on."""
        numbers = iter(range(first, first + count))

        async def call(event: bytes) -> None:
            function = f"first-{next(numbers)}"
            outcome = await self._engine.invoke(function, event, qualifier="1")
            if outcome.function_error or outcome.start != "provisioned":
                raise RuntimeError(f"{function}: {outcome.start} {outcome.payload!r}")

        return await drive(call, payload, count, in_flight=1)

    async def fill(self, count: int) -> int:
        """Bring the function `hold` to at least `count` idle contexts; returns how many it has."""
        if not self._holding:
            await self.create("hold", "hold")
            self._holding = True
        there = 0
        for attempt in range(1, _TRIES + 1):
            until = time.time() + 1 + attempt * count * _SECONDS_PER_CONTEXT
            event = json.dumps({"until": until}).encode()
            outcomes = await asyncio.gather(
                *(self._engine.invoke("hold", event) for _ in range(count))
            )
            there = len({outcome.context_id for outcome in outcomes})
            if there >= count:
                break
        return there

    async def put_events(self, payload: str, count: int, function: str) -> None:
        """Have `count` events of a function accepted."""
        await drive(
            lambda event: self._engine.invoke_async(function, event), payload, count, in_flight=256
        )

    async def no_events(self) -> None:
        """Wait until no event is left."""
        while await self._events_left():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)

    async def _events_left(self) -> bool:
        return bool((await self._engine.events(limit=1))["events"])

    async def empty(self) -> None:
        """End the contexts of `hold`."""
        await self.delete("hold")
        self._holding = False

    async def stop(self) -> None:
        try:
            await self._doors.aclose()
            await (self._engine.stop(0.0) if self._parked else self._engine.stop())
        finally:
            shutil.rmtree(self._directory)


def packed(*files: Path) -> bytes:
    """A zip of just these: whether this checkout has a `__pycache__` must make no difference."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for file in files:
            archive.writestr(file.name, file.read_bytes())
    return memory.getvalue()
