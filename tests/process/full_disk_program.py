"""An engine whose disk is full for a while: `<data dir> <isolation>`, in a mount namespace.

The data directory becomes a tmpfs of a few megabytes. Says what happened as JSON.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from tests.process.house import eventually, package
from tests.process.programs import client

from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.logs.reader import Reader, Wanted
from samovar.settings import Isolation, Settings

# Prints more than a page, which a file may have left.
SOURCE = "def handler(event, context):\n    print('x' * 20_000)\n    return event\n"
ROLE = "arn:aws:iam::000000000000:role/r"
SIZE = 8  # MB
LOST = b'samovar_log_records_lost_total{place="files",reason="the disk refuses them"}'


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


def files(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in (place / "code").rglob("*"))


def asked(call: Any, **parameters: Any) -> Any:
    """What boto3 gets: a reply, or an error's code, status and message."""
    try:
        return call(**parameters)
    except ClientError as error:
        told = error.response
        status = told["ResponseMetadata"]["HTTPStatusCode"]
        return [told["Error"]["Code"], status, told["Error"]["Message"]]


def logged(place: Path, beginning: str) -> list[str]:
    """The lines of f's log that begin so."""
    events = Reader(place / "logs", "f").read(Wanted())
    return [event.message for event in events if event.message.startswith(beginning)]


def mount(place: Path) -> None:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", place], check=True)


async def main(place: Path, isolation: str) -> None:
    said: dict[str, Any] = {}
    settings = Settings(
        data_dir=place, isolation=Isolation(isolation), port=0, spares=1, log_files=True
    )
    async with Engine(settings) as engine, serving(engine) as endpoint:
        aws = client(endpoint)
        runtime = engine.report().interpreters[0].runtime
        small = package({"app.py": SOURCE})
        large = package({"app.py": SOURCE, "ballast": os.urandom(1 << 20)})

        ballast = place / "ballast"

        async def create(name: str, code: bytes) -> Any:
            return await asyncio.to_thread(
                asked,
                aws.create_function,
                FunctionName=name,
                Runtime=runtime,
                Role=ROLE,
                Handler="app.handler",
                Code={"ZipFile": code},
            )

        async def invoke(name: str) -> list[Any]:
            outcome = await engine.invoke(name, {"a": 1})
            return [outcome.payload.decode(), outcome.start]

        for name in ("f", "h"):
            await create(name, small)
            await engine.registry.wait_settled(name)
        said["before"] = await invoke("f")
        await eventually(lambda: any(logged(place, "REPORT ")), "its log is written")
        before = files(place)
        fill(ballast)
        said["create"] = await create("g", large)
        os.truncate(ballast, ballast.stat().st_size - len(large) * 3 // 2)
        said["half"] = await create("g", large)  # the zip fits, what it holds does not
        fill(place / "more")
        said["get"] = await asyncio.to_thread(asked, aws.get_function, FunctionName="g")
        said["left"] = [name for name in files(place) if name not in before]
        said["functions"] = [function.name for function in engine.registry.list().functions]
        said["warm"] = await invoke("f")
        said["cold"] = await invoke("h")
        # Three lines of a warm invocation (the last page has room for START), five of a cold one.
        await eventually(lambda: LOST + b" 8.0" in engine.metrics_text(), "lost lines are counted")
        ballast.unlink()
        said["created"] = (await create("g", large))["State"]
        await engine.registry.wait_settled("g")
        said["after"] = await invoke("g")
        await invoke("f")
        await eventually(lambda: any(logged(place, "LOGS_DROPPED ")), "the log says what is lost")
        said["dropped"] = [line.split("\t")[0] for line in logged(place, "LOGS_DROPPED ")]
        aws.close()
    print(json.dumps(said))


mount(Path(sys.argv[1]))
asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
