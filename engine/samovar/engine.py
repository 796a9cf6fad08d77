"""An engine: started, asked and stopped; its parts are put together in `assembly`.

    async with Engine(Settings(data_dir=Path("data"))) as engine:
        await engine.create_function("hello", code=Path("src"), handler="app.handler")
        outcome = await engine.invoke("hello", {"name": "world"})

The HTTP door stands above: `async with serving(engine) as endpoint` (`samovar.doors.http.serving`).
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from samovar import census
from samovar.assembly import Parts
from samovar.clock import Clock, SystemClock
from samovar.context.host_memory import MemoryGauge
from samovar.errors import EngineError
from samovar.events_api import EventsApi
from samovar.functions_api import Code, FunctionsApi
from samovar.logs.journals import LogSink
from samovar.logs.platform_lines import iso
from samovar.metrics.freezing import NONE, FreezeNumbers
from samovar.metrics.occupancy import NOTHING, Occupancy
from samovar.metrics.prometheus import PrometheusObserver
from samovar.model.arn import function_arn
from samovar.model.census import SCHEMA, ContextEntry, Document
from samovar.model.invocation import Outcome
from samovar.registry.runtimes import Interpreter, Runtimes
from samovar.settings import Settings
from samovar.sources_api import SourcesApi
from samovar.stores.invoke_queue import ItemKind, ItemState
from samovar.stores.lock import DataDirectoryLock

_GRACE = 30.0  # seconds that running invocations get when the engine stops

__all__ = ["Code", "Engine", "EngineReport"]


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What this engine found on its host. `walls_missing` has a reason for each wall."""

    interpreters: tuple[Interpreter, ...]
    walls_held: tuple[str, ...]
    walls_missing: Mapping[str, str]
    zygotes: tuple[int, ...]


class Engine(FunctionsApi, EventsApi, SourcesApi):
    """One engine on one data directory, for one event loop; touches no signals.

    All of it runs on the loop that entered it: methods are to be called there (for other threads
    there is `samovar.blocking`). Entering raises DataDirectoryInUse, SettingsError and EngineError.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        log_sink: LogSink | None = None,
        runtimes: Runtimes | None = None,
        memory: MemoryGauge | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`log_sink` gets everything that functions write, and the platform's lines; `runtimes`
        are the interpreters to serve, which this host is searched for when none are given; `memory`
        says how much of it new contexts may take, which the kernel is asked for otherwise; `draw`
        gives numbers from 0 to below 1, one for each invocation of an alias of two versions."""
        self.settings = settings or Settings()
        self.metrics = PrometheusObserver()
        self._clock: Clock = clock or SystemClock()
        self._sink = log_sink
        self._runtimes = runtimes
        self._memory = memory
        self._draw = draw
        self._started = 0.0
        self._lock = DataDirectoryLock(self.settings.data_dir)
        self._running: Parts | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lock the data directory, sweep it, load the functions, settle the walls."""
        if self._running is not None:
            raise EngineError("this engine is running already")
        _raise_descriptor_limit()
        self._lock.acquire()
        try:
            self._running = await Parts.assemble(
                *(self.settings, self.metrics, self._clock, self._sink, self._runtimes),
                memory=self._memory,
                draw=self._draw,
            )
        except BaseException:
            self._lock.release()
            raise
        self._started = self._clock.monotonic()
        self.metrics.watch_contexts(self._contexts_by_state)
        self.metrics.watch_freezing(self._freezing)
        self.metrics.watch_memory(self.memory_room)
        self.metrics.watch_occupancy(self._occupancy)
        self.metrics.watch_queue(self._queue_depths)

    async def stop(self, grace: float = _GRACE) -> None:
        """Let running invocations finish for `grace` seconds, then end everything; idempotent."""
        parts, self._running = self._running, None
        if parts is None:
            return
        try:
            parts.sources.pause()
            parts.asynchronous.pause()
            await parts.scheduler.stop(grace)
        finally:
            await parts.dismantle()
            self._lock.release()

    # -- invocations

    async def invoke(
        self,
        name: str,
        payload: Any = b"",
        *,
        qualifier: str | None = None,
        function_arn: str | None = None,
        client_context: str | None = None,
        trace: str | None = None,
        log_tail: bool = False,
        request_id: str | None = None,
    ) -> Outcome:
        """Run a function and wait for its outcome; a function's error is an outcome too.

        `payload`: bytes are raw JSON (empty: the handler gets `{}`), anything else is turned into
        JSON here. Cancelling does not stop the invocation. Raises ClientError and EngineError;
        TypeError for a payload that is neither bytes nor JSON-able.
        """
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return await self._parts.invoker.invoke(
            name,
            data,
            qualifier=qualifier,
            function_arn=function_arn,
            client_context=client_context,
            trace=trace,
            log_tail=log_tail,
            request_id=request_id,
        )

    def submit(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None,
        function_arn: str,
        client_context: str | None,
        trace: str | None,
        log_tail: bool,
        request_id: str,
    ) -> asyncio.Future[Outcome]:
        """What `invoke` waits for, for a door that has no coroutine to wait in."""
        return self._parts.invoker.invoke(
            name,
            payload,
            qualifier=qualifier,
            function_arn=function_arn,
            client_context=client_context,
            trace=trace,
            log_tail=log_tail,
            request_id=request_id,
        )

    def drop_idle_contexts(self, name: str, *, qualifier: str | None = None) -> int:
        """End the idle contexts of a function's version, or of all that an alias stands for, as
        their idle timeout would; how many there were.

        The next invocation has a cold start, unless a context that is busy now is free by then, or
        one is provisioned: those stay. Raises ClientError.
        """
        parts = self._parts
        versions = parts.registry.candidates(name, qualifier)
        return sum(parts.scheduler.drop_idle(version) for version in versions)

    # -- looking in

    def report(self) -> EngineReport:
        """What was found on this host."""
        parts = self._parts
        return EngineReport(
            parts.registry.runtimes.served,
            parts.walls_held,
            parts.walls_missing,
            tuple(parts.nursery.zygote_pids()),
        )

    def metrics_text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self.metrics.text()

    def contexts(self, *, history: bool = False) -> list[ContextEntry]:
        """Every context, oldest first; with `history`, its last states, too."""
        return census.contexts(self._parts.scheduler, self._clock, history=history)

    async def census(self, *, history: bool = False) -> Document:
        """Every context with its memory, and what each function has had to do: the document of
        docs/contexts.md."""
        scheduler = self._parts.scheduler
        now, time = self._clock.monotonic(), self._clock.wall()
        waiting, traffic = scheduler.waiting(), self.metrics.traffic()
        occupancy = scheduler.occupancy()
        entries = await census.with_memory(self.contexts(history=history))
        found = census.functions(entries, waiting, traffic, occupancy, self._arn_prefix)
        return {
            "schema": SCHEMA,
            "time": iso(time),
            "uptime_seconds": round(now - self._started, 3),
            "limits": {
                "contexts": self.settings.max_contexts,
                "account_concurrency": self.settings.account_concurrency,
            },
            "host": census.host(self.memory_room()),
            "totals": census.totals(found, occupancy),
            "queue": self._parts.asynchronous.inspection.depths(),
            "functions": found,
            "sources": census.sources(self.event_sources(), self._parts.sources.numbers()),
            "contexts": entries,
        }

    def memory_room(self) -> int | None:
        """MB that new contexts may take, negative where more is used than should be; None when the
        engine does not run."""
        return None if self._running is None else self._running.memory.room()

    @property
    def templates_possible(self) -> bool:
        """Whether this host lets contexts be forked from templates (SnapStart)."""
        return self._parts.provisioner.templates.impossible is None

    def templates(self) -> list[dict[str, Any]]:
        """Every template that contexts are forked from: whose, its process and its steward's, and
        what its init left open (docs/snapstart.md)."""
        shown = []
        for version, template in self._parts.provisioner.templates.all():
            left = template.left_open
            shown.append(
                {
                    "function": version.arn,
                    "version": version.version,
                    "pid": template.pid or None,
                    "steward_pid": template.steward.pid or None,
                    "threads": list(left.threads) if left is not None else [],
                    "sockets": list(left.sockets) if left is not None else [],
                }
            )
        return shown

    def not_ready(self) -> str | None:
        """Why this engine can't take invocations now; None when it can."""
        if self._running is None:
            return "the engine is not running"
        if not self.registry.runtimes.served:
            return "no interpreter was found"
        return None

    @property
    def _parts(self) -> Parts:
        if self._running is None:
            raise EngineError("the engine is not running: enter it with `async with`, or start it")
        return self._running

    @property
    def _arn_prefix(self) -> str:
        return function_arn(self.settings.region, self.settings.account_id, "")

    def _occupancy(self) -> Occupancy:
        return NOTHING if self._running is None else self._running.scheduler.occupancy()

    def _queue_depths(self) -> Mapping[tuple[str, str], int]:
        if self._running is None:
            return {}
        depths = self._running.asynchronous.queue.depths()
        # All of them: a gauge that came and went with its items would leave gaps.
        return {(k.value, s.value): depths.get((k, s), 0) for k in ItemKind for s in ItemState}

    def _freezing(self) -> FreezeNumbers:
        return NONE if self._running is None else self._running.freezing()

    def _contexts_by_state(self) -> Mapping[str, int]:
        if self._running is None:
            return {}
        return Counter(item.state.value for item in self._running.scheduler.lifecycles())


def _raise_descriptor_limit() -> None:
    """A context takes five descriptors; the soft limit is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
