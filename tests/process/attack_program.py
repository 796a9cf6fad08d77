"""Run by test_attacks.py, as this user or as another: every attack, beside a neighbour.

    python -m tests.process.attack_program DIRECTORY [ATTACK ...]

SAMOVAR_ variables are settings. Prints what became of each, as JSON: `{attack: {"end": ...,
"wrong": ...}}`. An end is the handler's answer, or its error's type. `wrong` says what was not as
before: empty, if all was.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
import uvloop
from tests.attacks import ALL, code_of
from tests.process.house import Silence, eventually, package, result

from samovar.engine import Engine
from samovar.settings import Settings

# Those that only time ends.
ENDLESS = ("spin", "sleep_in_c", "deaf", "daemon", "at_exit")
SECRET = "canary-of-the-neighbour"
NEIGHBOUR = """
import os
calls = 0
def handler(event, context):
    global calls
    calls += 1
    return {"calls": calls, "pid": os.getpid()}
"""


class Doors:
    """What the host's programs listen on: TCP, a name, and a path. What connects is kept."""

    def __init__(self, place: Path) -> None:
        self.path = place / "door"
        self.name = f"samovar-attack-{os.getpid()}"
        self._guests: list[asyncio.StreamReader] = []

    async def __aenter__(self) -> Doors:
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        abstract.bind("\0" + self.name)
        self._servers = [
            await asyncio.start_server(self._greet, "127.0.0.1", 0),
            await asyncio.start_unix_server(self._greet, self.path),
            await asyncio.start_unix_server(self._greet, sock=abstract),
        ]
        self.path.chmod(0o777)
        self.port: int = self._servers[0].sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._guests.append(reader)
        await reader.read()
        writer.close()

    def all_left(self) -> bool:
        """Whether nobody holds a connection any more."""
        return all(guest.at_eof() for guest in self._guests)


class House:
    """An engine, its neighbour of all attacks, and what they aim at."""

    def __init__(self, engine: Engine, doors: Doors, data: Path) -> None:
        self._engine, self._doors, self._data = engine, doors, data
        self._calls = 0
        self._code = ""

    async def begin(self) -> None:
        await self._engine.create_function(
            "neighbour",
            code=package({"app.py": NEIGHBOUR}),
            handler="app.handler",
            environment={"SECRET": SECRET},
            timeout=30,
        )
        await self._neighbour()
        # Now, while no attack's package is being removed.
        self._code = str(next(self._data.rglob("app.py")))

    async def _neighbour(self) -> str:
        """What is wrong with it; empty if nothing is."""
        self._calls += 1
        found = (await result(self._engine, name="neighbour"))["calls"]
        return (
            "" if found == self._calls else f"the neighbour's {self._calls}. call was its {found}."
        )

    def _event(self) -> dict[str, Any]:
        contexts = self._engine.contexts()
        (neighbour,) = (one["pid"] for one in contexts if one["function"].endswith(":neighbour"))
        zygote = psutil.Process().children()[0]
        return {
            "data": str(self._data),
            "records": str(next(self._data.glob("*.db"))),
            "code": self._code,
            "home": str(Path.home()),
            "neighbour": neighbour,
            "zygote": zygote.pid,
            "engine": os.getpid(),
            "port": self._doors.port,
            "abstract": self._doors.name,
            "socket": str(self._doors.path),
            "own pid 1": "pid namespace" in self._engine.report().walls_held,
        }

    async def attack(self, name: str) -> dict[str, Any]:
        function = name.replace("_", "-")
        await self._engine.create_function(
            function,
            code=package(code_of(name)),
            handler=f"{name}.handler",
            timeout=1 if name in ENDLESS else 30,
            # So that its processes come to an end before its memory does.
            memory_size=1024 if name == "fork_bomb" else 128,
        )
        call = asyncio.create_task(self._engine.invoke(function, self._event()))
        wrong = ""
        while not call.done():
            wrong = wrong or await self._neighbour()
            await asyncio.wait([call], timeout=0.05)
        outcome = await call
        wrong = wrong or await self._neighbour()
        await self._engine.delete_function(function)
        await eventually(self._doors.all_left, f"{name}: nobody is left of it")
        return {
            "end": outcome.error_type or json.loads(outcome.payload),
            "wrong": wrong,
        }


async def main(place: Path, attacks: list[str]) -> dict[str, Any]:
    settings = Settings.from_environment(os.environ, data_dir=place / "data", spares=1)
    async with Doors(place) as doors, Engine(settings, log_sink=Silence()) as engine:
        house = House(engine, doors, settings.data_dir)
        await house.begin()
        found = {name: await house.attack(name) for name in attacks}
        report = engine.report()
        return {
            "attacks": found,
            "held": list(report.walls_held),
            "missing": dict(report.walls_missing),
        }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(Path(sys.argv[1]), sys.argv[2:] or ALL))))
