"""Two kinds of launcher, what a contract test may do to each, and a listener that records."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.process.house import eventually

from samovar.context import launch_plan
from samovar.context.context import ExecutionContext
from samovar.context.deadlines import Deadlines
from samovar.context.environment import Region
from samovar.context.launcher import Context, Launcher
from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.context.nursery import Nursery
from samovar.context.provision import Provisioner
from samovar.context.run import Verdict
from samovar.context.surroundings import Surroundings
from samovar.model.function import CodePackage, Configuration, FunctionVersion
from samovar.model.invocation import Invocation
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation
from samovar.testing import FakeContext, FakeLauncher, ManualClock

INIT_TIMEOUT = 10.0
TIMEOUT = 3
PATIENCE = 10.0  # seconds
REQUEST_ID = "00000000-0000-4000-8000-000000000000"
RUNTIME = f"python3.{sys.version_info.minor}"
# One handler for both; what they can't do in the same way is `stay` and `first`.
HANDLER = """\
import sys

calls = 0

def handler(event, context):
    global calls
    calls += 1
    do = event.get("do", "count")
    if do == "count":
        return {"calls": calls}
    if do == "raise":
        raise ValueError("no luck")
    if do == "set":
        return {1}
    if do == "exit":
        sys.exit(event.get("code"))
    if do == "stay":
        return stay()

def init(how):
    if how == "raise":
        raise ValueError("not today")
    if how == "exit":
        sys.exit(4)
    if how == "once" and first():
        raise ValueError("not today")
    if how == "stay":
        return stay()
"""
IN_A_PROCESS = """\
import os, tempfile, time

def stay():
    time.sleep(600)

def first():
    marker = os.path.join(tempfile.gettempdir(), "first")
    new = not os.path.exists(marker)
    open(marker, "w").close()
    return new

init(os.environ.get("INIT"))
"""


def version(timeout: int = TIMEOUT, init: str = "works") -> FunctionVersion:
    """A function of HANDLER; `init`: how its module is loaded."""
    configuration = Configuration(
        handler="app.handler",
        runtime=RUNTIME,
        role="role",
        timeout=timeout,
        environment={"INIT": init},
    )
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    return FunctionVersion("f", arn, configuration, CodePackage("00", 1), "revision", 0.0)


class Rig(Protocol):
    """A launcher on a clock of the test's, and the blows that may hit its contexts."""

    clock: ManualClock
    launcher: Launcher

    def kill(self, context: Context) -> None:
        """The process dies of SIGKILL."""

    async def lose(self, context: Context) -> None:
        """The zygote dies; comes back when that is known."""

    async def until_dead(self, context: Context) -> None:
        """Wait until the end of an idle context's process is known."""

    async def until_heard(self, context: Context) -> None:
        """Wait until the process has its run: nobody else can have it any more."""


class FakeRig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.launcher = FakeLauncher(
            self._handler, self.clock, init=self._init, init_timeout=INIT_TIMEOUT
        )
        self._module: dict[str, Any] = {}
        self._inits = 0

    def kill(self, context: Context) -> None:
        assert isinstance(context, FakeContext)
        context.kill()

    async def lose(self, context: Context) -> None:
        assert isinstance(context, FakeContext)
        context.lose("the zygote died")

    async def until_dead(self, context: Context) -> None:
        assert isinstance(context, FakeContext)
        await eventually(lambda: not context._alive, "the process is dead")

    async def until_heard(self, context: Context) -> None:
        assert isinstance(context, FakeContext)
        assert not context._unheard

    def _init(self, version: FunctionVersion) -> Any:
        """A new process has a module of its own."""
        self._inits += 1
        self._module = {
            "stay": asyncio.get_running_loop().create_future,
            "first": lambda: self._inits == 1,
        }
        exec(HANDLER, self._module)
        assert version.configuration.environment is not None
        return self._module["init"](version.configuration.environment["INIT"])

    def _handler(self, event: Any, invocation: Any) -> Any:
        return self._module["handler"](event, invocation)


@dataclass(frozen=True)
class Extracted:
    path: Path
    layers: Path | None = None
    seconds: float = 0.25


class RealRig:
    def __init__(self, directory: Path, runtimes: Runtimes, isolation: Isolation) -> None:
        self.clock = ManualClock()
        self._tree = directory / "tree"
        self._deadlines = Deadlines(self.clock)
        self.nursery = Nursery(
            launch_plan.prepare(self._tree, directory / "run"),
            Surroundings(self.clock, self._deadlines, INIT_TIMEOUT, None),
            isolation=isolation,
            spares=0,
            uids=range(51051, 51100),
        )
        self.launcher = Provisioner(
            self.nursery, runtimes, self._extract, self.clock, Region("us-east-1", "")
        )

    def kill(self, context: Context) -> None:
        """Comes back when it is dead, and before the engine knows."""
        pidfd = os.pidfd_open(context.pid)
        try:
            os.kill(context.pid, signal.SIGKILL)
            assert select.select([pidfd], [], [], PATIENCE)[0], "it is dead"
        finally:
            os.close(pidfd)

    async def lose(self, context: Context) -> None:
        assert isinstance(context, ExecutionContext)
        os.kill(context.zygote.pid, signal.SIGKILL)
        await eventually(lambda: not context.zygote.alive, "the zygote is known to be dead")

    async def until_dead(self, context: Context) -> None:
        await eventually(lambda: not context.pid, "the process is known to be dead")

    async def until_heard(self, context: Context) -> None:
        assert isinstance(context, ExecutionContext)
        process = context._process
        assert process is not None
        await eventually(lambda: not process.channel.unheard(), "it has read all")

    async def stop(self) -> None:
        self._deadlines.clear()
        await self.nursery.stop()

    async def _extract(self, _version: FunctionVersion) -> Extracted:
        package = self._tree / "package"
        package.mkdir(parents=True, exist_ok=True)
        (package / "app.py").write_text(HANDLER + IN_A_PROCESS)
        return Extracted(package)


@asynccontextmanager
async def rig(kind: str, directory: Path, runtimes: Runtimes) -> AsyncIterator[Rig]:
    """A rig of one of KINDS."""
    if kind == "fake":
        yield FakeRig()
        return
    real = RealRig(directory, runtimes, Isolation(kind))
    try:
        yield real
    finally:
        await real.stop()


class Recorder:
    """A context's listener and its runs at once: `told` has all that was said, in order.

    Moves the lifecycle as the scheduler does. `verdicts` has what the runs came to.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.told: list[str] = []
        self.verdicts: list[Verdict] = []
        self.lifecycle = Lifecycle(1, "pool")
        self.request_id = REQUEST_ID
        self.when_ready: Callable[[], object] = lambda: None
        self.when_free: Callable[[], object] = lambda: None
        self.context: Context | None = None

    # -- as a ContextListener

    def context_ready(self, context: Context) -> None:
        self._of_mine(context, "ready")
        self.lifecycle.move(ContextState.IDLE)
        self.when_ready()

    def context_free(self, context: Context) -> None:
        self._of_mine(context, "free")
        self.lifecycle.move(ContextState.IDLE)
        self.when_free()

    def context_gone(self, context: Context, reason: str) -> None:
        self._of_mine(context, f"gone: {reason}")
        self.lifecycle.move(ContextState.DEAD, reason)

    def _of_mine(self, context: Context, what: str) -> None:
        assert context is self.context
        assert context.lifecycle is self.lifecycle
        self.told.append(what)

    # -- what the tests do

    async def start(self, *, provisioned: bool = False, **settings: Any) -> Context:
        prepared = await self.rig.launcher.prepare(version(TIMEOUT, **settings), provisioned)
        self.context = prepared.context
        self.context.start(self.lifecycle, prepared.placement, self)
        return self.context

    async def ready(self, **settings: Any) -> Context:
        context = await self.start(**settings)
        await self.until("ready")
        self.told.clear()
        return context

    def run(self, payload: bytes) -> RecordedRun:
        assert self.context is not None
        for state in (ContextState.RESERVED, ContextState.BUSY):
            self.lifecycle.move(state)
        run = RecordedRun(self, payload)
        self.context.run(run)
        return run

    async def result(self, **event: Any) -> Verdict:
        """What a run of `event` comes to, when the context is free again."""
        self.told.clear()
        self.run(json.dumps(event).encode())
        await self.until("free")
        await self.until("finished")
        return self.verdicts[-1]

    async def until(self, *what: str) -> None:
        """Wait for all that was told to be exactly this."""
        await eventually(lambda: set(what) <= set(self.told), f"{what} is told, not {self.told}")


class RecordedRun:
    """A `samovar.context.run.Run`."""

    def __init__(self, recorder: Recorder, payload: bytes) -> None:
        self.invocation = Invocation(recorder.request_id, "arn", payload)
        self.started = 0.0
        self.init_shown: float | None = None
        self._recorder = recorder

    def finished(self, verdict: Verdict) -> None:
        self._recorder.told.append("finished")
        self._recorder.verdicts.append(verdict)


KINDS = ("fake", str(Isolation.NAMESPACES), str(Isolation.NONE))
