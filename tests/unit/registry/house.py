"""A registry on real files for the tests, with a clock that stands still and a store that waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.registry.zips import handler_zip

from samovar.errors import AwsError, ClientError, EngineError
from samovar.model.alias import Alias
from samovar.model.function import Configuration, FunctionVersion
from samovar.registry.functions import (
    CodeSource,
    ConfigurationChanges,
    FunctionRegistry,
    NewFunction,
    ZipBytes,
)
from samovar.registry.runtimes import Interpreter, Runtimes
from samovar.settings import Settings
from samovar.stores.code_files import FileCodeStore
from samovar.stores.protocols import Put, RecordStore, Remove
from samovar.stores.sqlite import SqliteRecordStore

# A second package.
OTHER = ZipBytes(handler_zip("def handler(event, context):\n    return 2\n"))
ROLE = "arn:aws:iam::000000000000:role/r"
PREFIX = "arn:aws:lambda:us-east-1:000000000000:function:"
RUNTIMES = Runtimes(
    Interpreter(f"python3.{minor}", "/x", f"3.{minor}.0", "/", "cpython", "cpython")
    for minor in (11, 12, 13)
)


@dataclass
class HandClock:
    """Stands still; `fire` runs what was put off."""

    now: float = 1_700_000_000.0
    pending: list[Pending] = field(default_factory=list)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Pending:
        self.pending.append(Pending(callback))
        self._filled.set()
        return self.pending[-1]

    async def fire(self) -> None:
        """Run what is put off, as soon as there is something."""
        await self._filled.wait()
        self._filled.clear()
        pending, self.pending = self.pending, []
        for timer in pending:
            if not timer.cancelled:
                timer.callback()


@dataclass
class Pending:
    """What `call_later` gives."""

    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class SlowStore:
    """A store whose writes wait after `hold`, or fail after `fail`, until `let_go`."""

    def __init__(self, inner: RecordStore) -> None:
        self._inner = inner
        self.open = inner.open
        self.close = inner.close
        self.load = inner.load
        self._gate = asyncio.Event()
        self._gate.set()
        self._passing = 0
        self._failing = False
        self.reached = asyncio.Event()

    def hold(self, after: int = 0) -> None:
        """Let `after` more writes pass; the next one sets `reached` and waits."""
        self._passing, self._failing = after, False
        self.reached.clear()
        self._gate.clear()

    def fail(self, after: int = 0) -> None:
        """Let `after` more writes pass; each one behind them sets `reached` and fails."""
        self.hold(after)
        self._failing = True

    def let_go(self) -> None:
        """Writes pass again, those that wait too."""
        self._failing = False
        self._gate.set()

    async def _pass(self) -> None:
        if self._gate.is_set():
            return
        if self._passing > 0:
            self._passing -= 1
            return
        self.reached.set()
        if self._failing:
            raise EngineError("the disk is full")
        await self._gate.wait()

    async def write(self, *changes: Put | Remove) -> None:
        await self._pass()
        await self._inner.write(*changes)


@dataclass
class Listener:
    """Writes down what it is told."""

    told: list[tuple[FunctionVersion | None, FunctionVersion | None]] = field(default_factory=list)
    reserved: list[tuple[str, int | None]] = field(default_factory=list)
    provisioned: list[str] = field(default_factory=list)
    of_versions: list[tuple[str, str]] = field(default_factory=list)  # what, and which
    of_aliases: list[tuple[Alias | None, Alias | None]] = field(default_factory=list)

    def function_changed(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        self.told.append((old, new))

    def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
        self.reserved.append((function_arn, reserved))

    def provisioned_changed(self, function_arn: str, qualifier: str) -> None:
        self.provisioned.append(f"{function_arn}:{qualifier}")

    def version_published(self, version: FunctionVersion) -> None:
        self.of_versions.append(("published", version.version))

    def version_deleted(self, version: FunctionVersion) -> None:
        self.of_versions.append(("deleted", version.version))

    def alias_changed(self, function_arn: str, old: Alias | None, new: Alias | None) -> None:
        assert function_arn == PREFIX + "f"
        self.of_aliases.append((old, new))


@dataclass
class House:
    """A registry and what it stands on."""

    registry: FunctionRegistry
    store: SlowStore
    code: FileCodeStore
    clock: HandClock
    listener: Listener

    async def active(self, name: str = "f", **changes: Any) -> FunctionVersion:
        """A function that has been created and has turned Active."""
        await self.registry.create(new(name, **changes))
        return await self.registry.wait_settled(name)

    async def published(self, name: str = "f", **given: Any) -> FunctionVersion:
        """A version of a function, once it is Active."""
        version = await self.registry.versions.publish(name, **given)
        return await self.registry.wait_settled(name, version.version)

    async def changed(self, name: str = "f", **changes: Any) -> FunctionVersion:
        """$LATEST with another configuration, once it is in force."""
        await self.registry.update_configuration(name, ConfigurationChanges(**changes))
        return await self.registry.wait_settled(name)


@asynccontextmanager
async def house(
    data_dir: Path, draw: Callable[[], float] = random.random, **settings: Any
) -> AsyncIterator[House]:
    store = SlowStore(SqliteRecordStore(data_dir))
    code = FileCodeStore(data_dir)
    clock = HandClock()
    registry = FunctionRegistry(
        store, code, RUNTIMES, clock, Settings(data_dir=data_dir, **settings), "node-a", draw
    )
    listener = Listener()
    registry.subscribe(listener)
    await registry.open()
    registry.resume()
    try:
        async with asyncio.timeout(60):  # a test that would hang fails
            yield House(registry, store, code, clock, listener)
    finally:
        store.let_go()
        await registry.close()


def configuration(**changes: Any) -> Configuration:
    """A small valid one."""
    given: dict[str, Any] = {
        "handler": "app.handler",
        "runtime": "python3.12",
        "role": ROLE,
        **changes,
    }
    return Configuration(**given)


def new(
    name: str = "f",
    source: CodeSource | None = None,
    tags: dict[str, str] | None = None,
    **changes: Any,
) -> NewFunction:
    """A request for a function of one small file."""
    return NewFunction(
        name, configuration(**changes), source or ZipBytes(handler_zip()), tags or {}
    )


Check = Callable[[House], Awaitable[None]]


def run(data_dir: Path, check: Check, **given: Any) -> None:
    async def opened() -> None:
        async with house(data_dir, **given) as home:
            await check(home)

    asyncio.run(opened())


async def refused(awaitable: Awaitable[object], error: AwsError, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        await awaitable
    assert caught.value.error is error
    assert caught.value.message == message
