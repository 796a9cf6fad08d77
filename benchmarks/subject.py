"""What a contender's process runs: a subject, asked for commands by the harness.

A subject has `start()`, which returns facts (`port`, `pid`, `whole`; see `Remote`), `commands()` by
name, and `stop()`.
`Subject` runs on a uvloop loop and its methods are coroutines; `BlockingSubject` has no loop, so
that it may fork whenever it likes. Whatever a subject forks before its loop it forks in `__init__`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Call = Callable[[bytes], Awaitable[object]]


class BlockingSubject:
    """Runs one command at a time, without a loop."""

    def start(self) -> dict[str, Any]:
        return {}

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return {}

    def stop(self) -> None:
        return None


class Subject:
    """The same on a uvloop loop."""

    async def start(self) -> dict[str, Any]:
        return {}

    def commands(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {}

    async def stop(self) -> None:
        return None


async def drive(call: Call, payload: str, count: int, in_flight: int) -> dict[str, Any]:
    """`count` calls with `in_flight` outstanding: the load of every embedded asyncio contender."""
    event = payload.encode()
    latencies: list[int] = []
    clock = time.perf_counter_ns
    left = count

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            before = clock()
            await call(event)
            latencies.append(clock() - before)

    started = clock()
    if in_flight == 1:
        await caller()
    else:
        await asyncio.gather(*(caller() for _ in range(in_flight)))
    return {"elapsed": (clock() - started) / 1e9, "latencies": latencies}


def sorted_out(latencies: list[float], elapsed: float) -> dict[str, Any]:
    """What a load by time comes to, all in seconds: too many to be sent one by one."""
    latencies.sort()
    return {
        "count": len(latencies),
        "elapsed": elapsed,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }
