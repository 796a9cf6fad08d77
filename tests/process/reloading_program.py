"""An engine with a function that hot reload keeps: `<data dir> <directory>`.

It says «up» once the function runs, then answers each line of its input with what the function
says, after the line's word has come through: `<word>` waits until the function says it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from samovar.engine import Engine
from samovar.errors import ClientError
from samovar.settings import Isolation, Settings

PATIENCE = 30.0  # seconds; only a function that is never reloaded takes them


async def says(engine: Engine, word: str) -> None:
    said = None
    async with asyncio.timeout(PATIENCE):
        while said != word:
            said = json.loads((await engine.invoke("f")).payload)
            await asyncio.sleep(0.01)


async def main(data_dir: Path, code: Path) -> None:
    settings = Settings(data_dir=data_dir, isolation=Isolation.NONE, spares=0)
    async with Engine(settings) as engine:
        try:
            engine.registry.get("f")
        except ClientError:
            await engine.create_function("f", code=code, handler="app.handler", watch=True)
        await engine.invoke("f")
        print("up", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await says(engine, line.strip())
            print(line.strip(), flush=True)


logging.basicConfig(level=logging.WARNING)
asyncio.run(main(*map(Path, sys.argv[1:])))
