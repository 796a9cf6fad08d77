"""The whole of it: a real engine behind its door, for what only running functions show."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from botocore.config import Config
from tests.api.house import SESSION, House

from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings

RUNTIME = f"python3.{sys.version_info.minor}"
T = TypeVar("T")
_LIMIT = 60.0  # seconds; only a scene that hangs gets there


@dataclass
class ServedHouse(House):
    """A house whose functions run."""

    async def create(self, name: str = "f", **changes: Any) -> Any:
        return await super().create(name, **{"Runtime": RUNTIME, **changes})


@dataclass(frozen=True, slots=True)
class Serve:
    """Call it with a scene: plays it in front of an engine."""

    data_dir: Path
    runtimes: Runtimes

    def __call__(
        self,
        scene: Callable[[ServedHouse], Awaitable[T]],
        isolation: Isolation = Isolation.AUTO,
        **settings: Any,
    ) -> T:
        async def play() -> T:
            async with asyncio.timeout(_LIMIT), self._house(isolation, settings) as it:
                return await scene(it)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(play())

    @asynccontextmanager
    async def _house(
        self, isolation: Isolation, settings: dict[str, Any]
    ) -> AsyncIterator[ServedHouse]:
        chosen = Settings(
            **{"data_dir": self.data_dir, "port": 0, "spares": 1, "isolation": isolation} | settings
        )
        engine = Engine(chosen, runtimes=self.runtimes)
        async with engine, serving(engine) as endpoint:
            client = SESSION.client(
                "lambda",
                endpoint_url=endpoint,
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
            try:
                yield ServedHouse(engine, None, int(endpoint.rpartition(":")[2]), client)
            finally:
                client.close()
