"""A served engine with tight limits, until stdin ends: `abused_program.py DATA_DIR CODE_DIR`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from samovar.doors.http.limits import ConnectionLimits
from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.settings import Settings

LIMITS = ConnectionLimits(incoming_bytes=8_000_000, unread_bytes=8_000_000, connections=200)


async def main(data_dir: Path, code: Path) -> None:
    async with Engine(Settings(data_dir=data_dir, port=0, spares=0)) as engine:
        await engine.create_function("f", code=code, handler="app.handler")
        async with serving(engine, limits=LIMITS) as endpoint:
            print(endpoint, flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
