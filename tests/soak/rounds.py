"""A round of everything that makes an engine make something, and let go of it again."""

from __future__ import annotations

import asyncio
from itertools import count

from tests.attacks import code_of
from tests.process.house import eventually, package

from samovar.engine import Engine

# What ends a context, or leaves something beside it.
HOSTILE = ("raw_bytes", "closed_pipes", "another_program", "threads_that_stay", "flood", "deaf")
CODE = """
import os, sys, threading, time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    with open(f"/tmp/{calls}", "wb") as file:
        file.write(b"x" * 100_000)
    if event == "exit":
        os._exit(1)
    if event == "raise":
        raise ValueError("as I was told")
    if event == "hang":
        time.sleep(60)
    if event == "print":
        print("x" * 10_000)
    return {"calls": calls, "much": "x" * (100_000 if event == "much" else 0)}
"""
WAYS = ("", "raise", "exit", "much", "print", "hang", "")


class Soak:
    """Rounds on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers = count()

    async def round(self) -> None:
        """New functions are called in every way, changed, published, attacked and deleted."""
        number = next(self._numbers)
        ordinary, hostile = f"f{number}", f"h{number}"
        engine = self._engine
        await engine.create_function(
            ordinary, code=package({"app.py": CODE}), handler="app.handler", timeout=1
        )
        for way in WAYS:
            await engine.invoke(ordinary, f'"{way}"')
        await asyncio.gather(*(engine.invoke(ordinary, '"print"') for _ in range(4)))
        await engine.invoke_async(ordinary, '""')
        await self._no_events()
        await engine.publish_version(ordinary)
        await engine.put_provisioned_concurrency(ordinary, "1", 1)
        await engine.invoke(ordinary, '""', qualifier="1")
        changed = package({"app.py": f"{CODE}\n# {number}\n"})
        await engine.update_function(ordinary, code=changed)
        await engine.invoke(ordinary, '""')
        await engine.delete_function(ordinary)
        attack = HOSTILE[number % len(HOSTILE)]
        await engine.create_function(
            hostile, code=package(code_of(attack)), handler=f"{attack}.handler", timeout=1
        )
        await engine.invoke(hostile, "{}")
        await engine.delete_function(hostile)
        await eventually(lambda: not engine.contexts(), "all contexts are gone")

    async def _no_events(self) -> None:
        while (await self._engine.events(limit=1))["events"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
