"""What the process tests share: packages of sample handlers, the log, and waiting for a fact."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import psutil

from samovar.engine import Engine
from samovar.model.invocation import Outcome

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
_STEP = 0.01  # seconds between two looks at something that settles by itself


class Log:
    """A log sink that keeps everything, by function and by stream."""

    def __init__(self) -> None:
        self._written: list[tuple[str, str, bytes]] = []

    def write(self, function: str, stream: str, data: bytes) -> None:
        self._written.append((function, stream, data))

    def text(self, function: str = "f") -> str:
        """Everything logged for `function`, in the order in which it came."""
        return self.data(function).decode(errors="replace")

    def data(self, function: str = "f") -> bytes:
        """As `text`, byte by byte."""
        return b"".join(data for name, _, data in self._written if name == function)

    def streams(self, function: str = "f") -> set[str]:
        return {stream for name, stream, _ in self._written if name == function}


class Silence(Log):
    """Keeps nothing."""

    def write(self, function: str, stream: str, data: bytes) -> None:
        pass


def package(files: Mapping[str, str | bytes]) -> bytes:
    """A zip of `files`, by path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def sample(*modules: str) -> bytes:
    """A zip of modules of `tests/functions`."""
    return package({f"{name}.py": (FUNCTIONS / f"{name}.py").read_bytes() for name in modules})


async def create(engine: Engine, handler: str, name: str = "f", **configuration: Any) -> None:
    """Create a function of a sample handler: «module.function» of `tests/functions`."""
    code = sample(handler.partition(".")[0])
    await engine.create_function(name, code=code, handler=handler, **configuration)


async def write(engine: Engine, source: str, name: str = "f", **configuration: Any) -> None:
    """Create a function of one module, `app`, whose handler is called `handler`."""
    settings = {"code": package({"app.py": source}), "handler": "app.handler"}
    await engine.create_function(name, **(settings | configuration))


async def result(engine: Engine, event: Any = None, name: str = "f") -> Any:
    """The result of one invocation, which must not be an error."""
    outcome = await engine.invoke(name, {} if event is None else event)
    assert outcome.function_error is None, outcome.payload
    return json.loads(outcome.payload)


def own_uids(count: int) -> str:
    """A range for `worker_uids` that no other test's engine has at the same time: the kernel counts
    the processes of a uid over the whole host."""
    first = 1_000_000 + os.getpid() * 100
    return f"{first}-{first + count - 1}"


def error(outcome: Outcome) -> dict[str, Any]:
    """The error that an invocation came to."""
    assert outcome.function_error == "Unhandled", outcome.payload
    found: dict[str, Any] = json.loads(outcome.payload)
    return found


async def eventually(
    condition: Callable[[], object], what: str, within: float = 10.0, every: float = _STEP
) -> None:
    """Wait until `condition` holds; fails with `what` when it does not in `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        await asyncio.sleep(every)


def states(engine: Engine) -> list[str]:
    """The states of all contexts, oldest first."""
    return [context["state"] for context in engine.contexts()]


def family(engine: Engine) -> dict[int, psutil.Process]:
    """All processes below the engine's zygotes."""
    found = {}
    for zygote in engine.report().zygotes:
        try:
            for process in psutil.Process(zygote).children(recursive=True):
                found[process.pid] = process
        except psutil.NoSuchProcess:
            continue
    return found


def named(marker: str) -> list[int]:
    """The pids of living processes anywhere on this host with `marker` among their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if marker in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


class Gate:
    """Handlers of `tests/functions/gate.py` wait here; `async with Gate() as gate`.

    `waiting` counts those that do; `open(n)` lets the first n of them go, `open()` everyone from
    now on.
    """

    def __init__(self) -> None:
        self.port = 0
        self._inside: list[asyncio.StreamWriter] = []
        self._wide_open = False
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.open()
        self._server.close()

    @property
    def waiting(self) -> int:
        return len(self._inside)

    def event(self) -> dict[str, int]:
        """What a handler has to be told."""
        return {"port": self.port}

    def invoke(self, engine: Engine, name: str = "f") -> asyncio.Task[Outcome]:
        """An invocation that is on its way to the gate."""
        return asyncio.create_task(engine.invoke(name, self.event()))

    async def reached(self, count: int) -> None:
        """Wait until `count` handlers wait here."""
        await eventually(lambda: self.waiting == count, f"{count} handlers wait at the gate")

    def open(self, count: int | None = None) -> None:
        if count is None:
            self._wide_open = True
            count = len(self._inside)
        for writer in self._inside[:count]:
            writer.write(b"x")
            writer.close()
        del self._inside[:count]

    def open_last(self) -> None:
        """Let the one that came last go."""
        self._inside.insert(0, self._inside.pop())
        self.open(1)

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        self._inside.append(writer)
        if self._wide_open:
            self.open()
