"""An engine with a hostile function on it: one of `tests/attacks`, run again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.engine_subject import EngineSubject, packed

_ATTACKS = Path(__file__).resolve().parents[1] / "tests" / "attacks"
_TIMEOUT = 1  # seconds of each attack, of which most never end


class AttackedSubject(EngineSubject):
    """`attack`: the module's name; empty where nobody attacks. Options: see EngineSubject."""

    def __init__(self, attack: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._attack = attack
        self._attacker: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, Any]:
        found = await super().start()
        if self._attack:
            await self.engine.create_function(
                "hostile",
                code=_package(self._attack),
                handler=f"{self._attack}.handler",
                timeout=_TIMEOUT,
                memory_size=128,
            )
        return found

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {**super().commands(), "beset": self.beset, "leave": self.leave}

    async def beset(self) -> None:
        """Attack until `leave`; nothing happens where there is no attack."""
        if self._attack:
            self._attacker = asyncio.create_task(self._go_on())
            while not any(  # noqa: ASYNC110 - it tells nobody
                context["function"].endswith(":hostile") for context in self.engine.contexts()
            ):
                await asyncio.sleep(0.01)

    async def leave(self) -> None:
        """End it, with its contexts."""
        if self._attacker is not None:
            self._attacker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._attacker
            self._attacker = None

    async def _go_on(self) -> None:
        event = json.dumps({"port": 9, "own pid 1": True}).encode()
        while True:
            await self.engine.invoke("hostile", event)

    async def stop(self) -> None:
        await self.leave()
        await super().stop()


def _package(attack: str) -> bytes:
    return packed(*(_ATTACKS / f"{name}.py" for name in (attack, "tried")))
