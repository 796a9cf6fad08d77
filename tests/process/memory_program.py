"""A program with an engine inside, to be run where memory is limited.

Its stdin says `<data dir>`. Calls of a function that keeps KEPT MB come one after the other and
stay, until one is refused or MOST are there; then they go, and another function is called. What
came of it all goes to stdout as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.process.house import FUNCTIONS, Gate, eventually, package, states

from samovar.engine import Engine
from samovar.errors import ClientError
from samovar.model.invocation import Outcome
from samovar.settings import Isolation, Settings

KEPT = 40  # MB
MOST = 30
RESERVE = 96  # for the engine, and for what the last context that started takes beyond the guess

HOLDING = f"""
import gate
block = bytearray({KEPT} << 20)
block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
handler = gate.wait
"""


async def main(data_dir: str) -> None:
    settings = Settings(
        data_dir=Path(data_dir), isolation=Isolation.NONE, spares=0, memory_reserve=RESERVE
    )
    async with Engine(settings) as engine, Gate() as gate:
        waiting = (FUNCTIONS / "gate.py").read_bytes()
        for name, source in (("holding", HOLDING), ("other", "def handler(*_): return 7")):
            code = package({"app.py": source, "gate.py": waiting})
            await engine.create_function(name, code=code, handler="app.handler", timeout=60)
        before = engine.memory_room()
        calls: list[asyncio.Task[Outcome]] = []
        refusal = ""
        while not refusal and len(calls) < MOST:
            call = gate.invoke(engine, "holding")
            try:
                await eventually(
                    lambda call=call: call.done() or gate.waiting > len(calls), "it is there"
                )
                if call.done():
                    await call
            except ClientError as error:
                refusal = str(error)
            else:
                calls.append(call)
        gate.open()
        await asyncio.gather(*calls)
        idle = states(engine).count("idle")
        other = await engine.invoke("other")
        told = {
            "before": before,
            "held": len(calls),
            "refusal": refusal,
            "idle": idle,
            "other": other.payload.decode(),
            "left": states(engine).count("idle"),
        }
    print(json.dumps(told))


asyncio.run(main(sys.stdin.readline().strip()))
