"""Run by test_freezing_hosts.py as on another host: is a context frozen there, does it go on?"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.process import freezing_house as house
from tests.process.house import create
from tests.process.template_house import publish

from samovar.engine import Engine
from samovar.settings import Settings

EVENT = {"start": ["thread", "child", "daemon"]}


async def main(place: Path) -> None:
    found: dict[str, Any] = {}
    settings = Settings(data_dir=place / "data", spares=1, freeze_after=0.1)
    async with Engine(settings) as engine:
        found["missing"] = dict(engine.report().walls_missing)
        await create(engine, "ticking.handler", timeout=30)
        await publish(engine)
        for qualifier in (None, "1"):
            for _ in range(3):  # each goes on, or runs out of time
                outcome = await engine.invoke("f", EVENT, qualifier=qualifier)
                assert outcome.function_error is None, outcome.payload
                await house.frozen(engine)
        found["processes"] = len(house.below(engine))
        found |= house.numbers(engine)
    print(json.dumps(found))


asyncio.run(main(Path(sys.argv[1])))
