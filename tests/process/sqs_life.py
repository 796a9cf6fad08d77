"""Lives of engines that read a queue, and die where they are told to:

    python -m tests.process.sqs_life DIRECTORY MOTO_URL PORT

Reads lines «POINT TIME» and says what each life ended with, as a process is waited for. The first
one makes the function and the mapping. POINT is where it is killed (see POINTS), and TIME the
how-manieth time it passes there; `nowhere` lives until there is a file `enough`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import aiobotocore.config  # noqa: F401 - lives inherit it
import uvloop
from tests.process.crashes.nest import read_models_once

from samovar.engine import Engine
from samovar.event_sources import sqs_fetching
from samovar.event_sources.invoking import BatchInvoker
from samovar.event_sources.sqs import Queue
from samovar.model.event_source import EventSourceMapping
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings

ACCOUNT = "123456789012"
POINTS = ("receiving", "received", "invoking", "invoked", "deleting", "deleted")
_STEP = 0.01
_PR_SET_PDEATHSIG = 1


class Death:
    """Comes at a point, the so-manieth time."""

    def __init__(self, point: str, time: int) -> None:
        self._point = point
        self._left = time

    def passes(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        receive, delete, invoke = Queue.receive, Queue.delete, BatchInvoker.invoke

        async def receiving(queue: Queue, *given: Any) -> Any:
            self.passes("receiving")
            found = await receive(queue, *given)
            if found:
                self.passes("received")
            return found

        async def deleting(queue: Queue, *given: Any) -> Any:
            self.passes("deleting")
            left = await delete(queue, *given)
            self.passes("deleted")
            return left

        def invoking(invoker: BatchInvoker, *given: Any) -> Any:
            self.passes("invoking")
            future = invoke(invoker, *given)
            future.add_done_callback(lambda _: self.passes("invoked"))
            return future

        Queue.receive, Queue.delete = receiving, deleting  # type: ignore[method-assign]
        BatchInvoker.invoke = invoking  # type: ignore[method-assign]


async def live(
    settings: Settings, runtimes: Runtimes, directory: Path, port: str, death: Death
) -> None:
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{directory.name}"
    async with Engine(settings, runtimes=runtimes) as engine:
        mappings = engine.registry.event_sources
        if not mappings.all():
            made = await engine.create_function(
                "f",
                code=directory / "code",
                handler="app.handler",
                timeout=1,
                environment={"RECORD": port, "FREE": str(directory / "free")},
            )
            await mappings.create(
                EventSourceMapping("", made.arn, arn, batch_size=3, report_failures=True)
            )
        death.install()
        mapping = mappings.all()[0]
        queue = engine._parts.sources._pollers
        while mapping.uuid not in queue:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_STEP)
        while not (directory / "enough").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(_STEP)


def main() -> None:
    directory, url, port = Path(sys.argv[1]), *sys.argv[2:]
    sqs_fetching.BESIDES = 0  # a second and not half a minute, in which messages are a dead one's
    settings = Settings(
        data_dir=directory / "data",
        isolation=Isolation.NONE,
        spares=0,
        account_id=ACCOUNT,
        aws_endpoint=url,
    )
    runtimes = uvloop.run(Runtimes.discover(settings))
    read_models_once("sqs")
    for line in sys.stdin:
        point, time = line.split()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                uvloop.run(live(settings, runtimes, directory, port, Death(point, int(time))))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
