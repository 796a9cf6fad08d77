"""The door as users meet it: a real server, a real registry on real files, and real clients.

Only invocation is stood in for: `PretendEngine.invoke` answers what its function's name asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import socket
import struct
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from samovar.clock import SystemClock
from samovar.doors.http.app import LambdaApp
from samovar.doors.http.limits import ConnectionLimits
from samovar.doors.http.server import HttpServer
from samovar.doors.http.sigv4 import Verifier
from samovar.errors import AWS, ClientError, EngineError
from samovar.invocation.acceptance import Acceptor
from samovar.invocation.pump import Pump
from samovar.metrics.observer import SilentObserver
from samovar.model.invocation import ColdStart, Outcome, StartKind
from samovar.registry.functions import FunctionRegistry
from samovar.registry.runtimes import Interpreter, Runtimes
from samovar.settings import Settings
from samovar.stores.code_files import FileCodeStore
from samovar.stores.invoke_queue import Item, ItemKind
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.stores.sqlite import SqliteRecordStore

ROLE = "arn:aws:iam::000000000000:role/r"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
RUNTIMES = Runtimes([Interpreter("python3.12", "/x", "3.12.1", "/", "cpython-312", "so")])

# One for all tests: it keeps the API model, which takes long to load.
SESSION = boto3.Session(
    region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
)

T = TypeVar("T")

_TURNS, _PAUSE = 100, 0.002  # looks in `until`, and seconds between the later ones

# What `run` makes its loop with, None for asyncio's own; the fixture `each_loop` changes it.
LOOP: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {"factory": None}


class Nobody:
    """Works on no event."""

    full = True

    def take(self, lane: str, most: int) -> int:
        return 0

    def give_back(self, lane: str, count: int) -> None:
        raise AssertionError("nothing was taken")

    def begin(self, item: Item) -> None:
        raise AssertionError("nothing was taken")


@dataclass
class PretendEngine:
    """A registry, and invocations that are made up.

    The function `fails` has a function error, `breaks` an error of the engine, `surprises` one that
    nobody foresaw, `throttles` is refused, `waits` waits for `gate`; every other one answers with
    the event and with what it was told besides.
    """

    settings: Settings
    registry: FunctionRegistry
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    finished: list[str] = field(default_factory=list)
    reason: str | None = None
    room: int | None = None
    dropped: list[tuple[str, str | None]] = field(default_factory=list)
    templates_possible: bool = True
    queue: MemoryInvokeQueue = field(default_factory=MemoryInvokeQueue)

    def submit_event(self, name: str, payload: bytes, **told: Any) -> asyncio.Future[str]:
        """Accepted as by a real engine; nothing takes it out of the queue."""
        clock = SystemClock()
        pump = Pump(self.queue, ItemKind.EVENT, clock)
        pump.consumer = Nobody()
        acceptor = Acceptor(
            lambda *asked: self.registry.candidates(*asked)[0],
            self.registry.event_invoke.effective,
            self.queue,
            pump,
            clock,
            SilentObserver(),
            node="node",
            time_scale=1.0,
        )
        accepted = acceptor.accept(name, payload, **told)
        accepted.add_done_callback(lambda _: pump.close())
        return accepted

    def submit(self, name: str, payload: bytes, **told: Any) -> asyncio.Future[Outcome]:
        return asyncio.ensure_future(self.invoke(name, payload, **told))

    async def invoke(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None,
        function_arn: str,
        client_context: str | None,
        trace: str | None,
        log_tail: bool,
        request_id: str,
    ) -> Outcome:
        version = self.registry.resolve(name, qualifier)
        try:
            event = json.loads(payload or b"{}")
        except ValueError as error:
            raise ClientError(AWS.INVALID_REQUEST_CONTENT, f"Could not parse: {error}") from error
        self.entered.release()
        if name == "breaks":
            raise EngineError("the zygote is gone")
        if name == "surprises":
            raise ZeroDivisionError("surprise")
        if name == "throttles":
            raise ClientError(
                AWS.TOO_MANY_REQUESTS,
                "Rate Exceeded.",
                Reason="ConcurrentInvocationLimitExceeded",
                retryAfterSeconds="1",
            )
        if name == "waits":
            await self.gate.wait()
        told = {
            "event": event,
            "arn": function_arn,
            "client_context": client_context,
            "trace": trace,
            "request_id": request_id,
        }
        self.finished.append(request_id)
        failed = name == "fails"
        return Outcome(
            request_id,
            b'{"errorMessage": "no", "errorType": "E"}' if failed else json.dumps(told).encode(),
            version.version,
            "c-1",
            StartKind.COLD if failed else StartKind.WARM,
            duration=0.0125,
            queued=0.001,
            max_memory_used=20,
            function_error="Unhandled" if failed else None,
            error_type="E" if failed else None,
            log_tail=b"END\n\xff" if log_tail else b"",
            cold_start=ColdStart(0.0015, 0.02, 0.1) if failed else None,
        )

    def memory_room(self) -> int | None:
        return self.room

    def drop_idle_contexts(self, name: str, *, qualifier: str | None = None) -> int:
        self.registry.resolve(name, qualifier)
        self.dropped.append((name, qualifier))
        return 2

    async def events(self, **asked: Any) -> dict[str, Any]:
        return {"schema": 1, "asked": {k: v for k, v in asked.items() if v is not None}}

    async def event(self, event_id: str) -> dict[str, Any]:
        if event_id == "nobody":
            raise ClientError(AWS.RESOURCE_NOT_FOUND, "There is no event or delivery 'nobody'.")
        return {"event": event_id}

    async def redrive(self, event_id: str) -> dict[str, Any]:
        return {"redriven": event_id}

    async def forget(self, event_id: str) -> None:
        self.dropped.append((event_id, None))

    def metrics_text(self) -> bytes:
        return b"# HELP samovar_up x\nsamovar_up 1\n"

    async def census(self, *, history: bool) -> dict[str, Any]:
        return {"contexts": [{"context": 1, "state": "idle"}], "asked": history}

    def not_ready(self) -> str | None:
        return self.reason


@dataclass
class House:
    """A served engine. `call` runs a blocking client's method beside the loop."""

    engine: PretendEngine
    server: HttpServer
    port: int
    client: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def call(self, method: str, /, **params: Any) -> Any:
        def blocking() -> Any:
            found = getattr(self.client, method)(**params)
            if "Payload" in found:  # a stream: to be read here, too, and not on the loop
                found["Payload"] = io.BytesIO(found["Payload"].read())
            return found

        return await asyncio.to_thread(blocking)

    async def refused(self, method: str, /, **params: Any) -> tuple[int, str, str]:
        """Status, code and message of the error that a call must end with."""
        try:
            await self.call(method, **params)
        except self.client.exceptions.ClientError as error:
            told = error.response
            assert told["ResponseMetadata"]["RequestId"]
            status = told["ResponseMetadata"]["HTTPStatusCode"]
            return status, told["Error"]["Code"], told["Error"]["Message"]
        raise AssertionError(f"{method} went through")

    async def create(self, name: str = "f", **changes: Any) -> Any:
        params: dict[str, Any] = {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": package()},
            **changes,
        }
        return await self.call("create_function", **params)

    async def active(self, name: str = "f", **changes: Any) -> None:
        """A function that is there and Active."""
        await self.create(name, **changes)
        await self.engine.registry.wait_settled(name)


def package(text: str = "def handler(event, context):\n    return event\n") -> bytes:
    """A deployment package of one file: the same bytes whenever it is made."""
    info = zipfile.ZipInfo("app.py")  # of 1980
    info.external_attr = 0o600 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, text)
    return buffer.getvalue()


@asynccontextmanager
async def house(
    data_dir: Path,
    limits: ConnectionLimits | None = None,
    verifier: Verifier | None = None,
    **chosen: Any,
) -> AsyncIterator[House]:
    settings = Settings(data_dir=data_dir, port=0, **chosen)
    registry = FunctionRegistry(
        SqliteRecordStore(data_dir),
        FileCodeStore(data_dir),
        RUNTIMES,
        SystemClock(),
        settings,
        "node-a",
    )
    await registry.open()
    engine = PretendEngine(settings, registry)
    app = LambdaApp(engine, verifier=verifier, connection_limits=limits)
    server = HttpServer(app, host=settings.host, port=0, limits=limits)
    port = await server.start()
    client = SESSION.client(
        "lambda",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )
    try:
        yield House(engine, server, port, client)
    finally:
        client.close()
        engine.gate.set()
        await server.stop(grace=10)
        await registry.close()


def run(
    data_dir: Path,
    scene: Callable[[House], Awaitable[T]],
    limits: ConnectionLimits | None = None,
    verifier: Verifier | None = None,
    **chosen: Any,
) -> T:
    """Play `scene` in a house of its own, on a loop of its own."""

    async def play() -> T:
        async with house(data_dir, limits, verifier, **chosen) as it:
            return await scene(it)

    with asyncio.Runner(loop_factory=LOOP["factory"]) as runner:
        return runner.run(play())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until `condition` holds.

    Most do within a few turns of it; what takes longer is done by processes and threads, which
    need the processor that looking at it without end would take from them.
    """
    async with asyncio.timeout(30):
        for look in itertools.count():
            if condition():
                return
            await asyncio.sleep(0 if look < _TURNS else _PAUSE)


@dataclass
class RawReply:
    """A reply as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """A client that may break every rule of HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[RawClient]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**23)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def reply(self, *, head_only: bool = False) -> RawReply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.strip().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name not in headers, f"{name} came twice"
            headers[name] = value
        status = int(status_line.split(" ")[1])
        length = 0 if head_only else int(headers.get("content-length", 0))
        return RawReply(status, headers, await self.reader.readexactly(length))

    async def ended(self) -> bool:
        """Wait until the server closes; false if it sends something instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    """Have the kernel hang up with a reset, as it does for a client that is gone."""
    for_no_time = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, for_no_time)


def request(
    method: str,
    path: str,
    body: bytes = b"",
    **headers: str,
) -> bytes:
    """A request as bytes; underscores in header names become dashes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: samovar"]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def invocation(name: str, body: bytes = b"{}", **headers: str) -> bytes:
    """An Invoke as bytes."""
    return request("POST", f"/2015-03-31/functions/{name}/invocations", body, **headers)
