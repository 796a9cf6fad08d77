"""Samovar as a contender in starts from a template (SnapStart)."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.remote import UnavailableError
from benchmarks.subject import Subject

if TYPE_CHECKING:
    from samovar.engine import Engine

_FUNCTIONS = Path(__file__).with_name("functions")
_SECONDS_PER_CONTEXT = 0.1  # until a burst of them, with their own inits, is up


class TemplateSubject(Subject):
    """An embedded engine with one function, `library` (a module of `functions/`), published.

    `template`: with SnapStart, or every context runs its own init; `spares`: contexts forked ahead
    of need.
    """

    def __init__(self, library: str, template: bool = True, spares: int = 1) -> None:
        self._library = library
        self._template = template
        self._directory = tempfile.mkdtemp(prefix="samovar-benchmark-")
        try:
            from samovar.engine import Engine
            from samovar.settings import Settings
        except ImportError as error:
            shutil.rmtree(self._directory)
            raise UnavailableError(f"the engine can't be imported: {error}") from error
        sys.path.insert(0, str(_FUNCTIONS))  # shared with the function, as is this environment
        self._engine: Engine = Engine(
            Settings(
                data_dir=Path(self._directory) / "data",
                spares=spares,
                account_concurrency=1_000_000,
                scaling_rate=0,
                request_rate=0,
            )
        )

    async def start(self) -> dict[str, Any]:
        from samovar.model.function import State

        await self._engine.start()
        await self._engine.create_function(
            "f", code=f"{self._library}:handler", timeout=900, snap_start=self._template
        )
        registry = self._engine.registry
        await registry.versions.publish("f")
        version = await registry.wait_settled("f", "1")
        if version.state is not State.ACTIVE:
            raise UnavailableError(f"there is no template: {version.state_reason}")
        if self._template and not self._engine.templates_possible:
            raise UnavailableError("this host lets no contexts be forked from templates")
        return {}

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"forks": self.forks, "fill": self.fill, "empty": self.empty}

    async def forks(self, count: int) -> dict[str, Any]:
        """Cold starts, one after the other: each function's contexts are gone before the next."""
        latencies = []
        started = time.perf_counter_ns()
        for _ in range(count):
            await self.empty()
            before = time.perf_counter_ns()
            outcome = await self._engine.invoke("f", b"{}", qualifier="1")
            latencies.append(time.perf_counter_ns() - before)
            if outcome.function_error or outcome.cold_start is None:
                raise RuntimeError(f"no cold start: {outcome}")
        return {"elapsed": (time.perf_counter_ns() - started) / 1e9, "latencies": latencies}

    async def fill(self, count: int) -> int:
        """Bring the version to at least `count` idle contexts; returns how many it has."""
        until = time.time() + 1 + count * _SECONDS_PER_CONTEXT
        event = json.dumps({"until": until}).encode()
        outcomes = await asyncio.gather(
            *(self._engine.invoke("f", event, qualifier="1") for _ in range(count))
        )
        return len({outcome.context_id for outcome in outcomes})

    async def empty(self) -> None:
        """End its contexts."""
        self._engine.drop_idle_contexts("f", qualifier="1")
        while self._engine.contexts():  # noqa: ASYNC110  # nothing tells of a context's end
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        try:
            await self._engine.stop()
        finally:
            shutil.rmtree(self._directory)
