"""Run by test_network.py, as this user or on a host that allows less: functions with and without a
network. Prints as JSON what each of them saw, or why it was refused.

    python -m tests.process.network_program DIRECTORY SETTINGS
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop
from tests.process.house import create
from tests.process.template_house import publish

from samovar.engine import Engine
from samovar.errors import SamovarError, WallsMissing
from samovar.settings import Settings

WALL = "network namespace"


class Doors:
    """What listens on this host, by TCP and by a name; `guests` has how many came to each."""

    def __init__(self) -> None:
        self.guests = {"tcp": 0, "abstract": 0}
        self._name = f"samovar-network-{os.getpid()}"

    async def __aenter__(self) -> Doors:
        named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        named.bind("\0" + self._name)
        self._servers = [
            await asyncio.start_server(self._greeter("tcp"), "127.0.0.1", 0),
            await asyncio.start_unix_server(self._greeter("abstract"), sock=named),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()

    def event(self) -> dict[str, Any]:
        port = self._servers[0].sockets[0].getsockname()[1]
        return {"tcp": port, "abstract": self._name}

    def _greeter(self, which: str) -> Any:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.guests[which] += 1
            writer.close()

        return greet


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
