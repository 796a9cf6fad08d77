"""Run by test_network.py, as this user or on a host that allows less: functions with and without a
network. Prints as JSON what each of them saw, or why it was refused.

    python -m tests.process.network_program DIRECTORY SETTINGS
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import uvloop
from tests.process.house import create
from tests.process.template_house import publish
from tests.process.test_network import WALL, Doors

from samovar.engine import Engine
from samovar.errors import SamovarError, WallsMissing
from samovar.settings import Settings


async def tell(engine: Engine, event: Any, name: str, qualifier: str | None = None) -> Any:
    try:
        outcome = await engine.invoke(name, event, qualifier=qualifier)
    except SamovarError as error:
        return {"error": str(error)}
    return json.loads(outcome.payload)


async def look(engine: Engine) -> dict[str, Any]:
    report = engine.report()
    line = f'samovar_wall_held{{wall="{WALL}"}} '
    found: dict[str, Any] = {
        "held": list(report.walls_held),
        "missing": dict(report.walls_missing),
        "metric": engine.metrics_text().decode().partition(line)[2].partition("\n")[0],
    }
    async with Doors() as doors:
        event = doors.event()
        for name in ("off", "on"):
            await create(engine, "network.look", name, timeout=2)
            found[name] = await tell(engine, event, name)
        await tell(engine, event | {"hang": True}, "off")
        found["off again"] = await tell(engine, event, "off")
        version = await publish(engine, "off")
        found["state"] = version.state
        found["off restored"] = await tell(engine, event, "off", "1")
        found["guests"] = sum(doors.guests.values())
    return found


async def main(place: Path, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        async with Engine(Settings(data_dir=place / "data", spares=1, **settings)) as engine:
            return await look(engine)
    except WallsMissing as error:
        return {"walls missing": sorted(error.missing)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    print(json.dumps(uvloop.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))))
