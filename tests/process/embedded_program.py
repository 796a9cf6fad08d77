"""A program with an engine inside, to be killed.

Its stdin says `<data dir> <isolation> <port> <marker>`. It creates a function and invokes it three
times at once; the handlers come to the port and wait there.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.process.house import sample

from samovar.engine import Engine
from samovar.settings import Isolation, Settings


async def main(data_dir: str, isolation: str, port: str, marker: str) -> None:
    settings = Settings(data_dir=Path(data_dir), isolation=Isolation(isolation), spares=1)
    async with Engine(settings) as engine:
        await engine.create_function(
            "f",
            code=sample("witness"),
            handler="witness.handler",
            timeout=60,
            environment={"EDITION": "first"},
            tags={"kept": "yes"},
        )
        event = {"port": int(port), "children": [marker]}
        await asyncio.gather(*(engine.invoke("f", event) for _ in range(3)))


asyncio.run(main(*sys.stdin.readline().split()))
