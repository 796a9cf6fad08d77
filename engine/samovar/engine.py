"""An engine: started, asked and stopped; its parts are put together in `assembly`.

    async with Engine(Settings(data_dir=Path("data"))) as engine:
        await engine.create_function("hello", code=Path("src"), handler="app.handler")
        outcome = await engine.invoke("hello", {"name": "world"})

The HTTP door stands above: `async with serving(engine) as endpoint` (`samovar.doors.http.serving`).
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from samovar.assembly import Parts
from samovar.clock import Clock, SystemClock
from samovar.errors import AWS, ClientError, EngineError
from samovar.logs.journals import LogSink
from samovar.metrics.prometheus import PrometheusObserver
from samovar.model.function import DEFAULT_ROLE, Configuration, FunctionVersion, SnapStart
from samovar.model.invocation import Outcome
from samovar.model.layer import LayerVersion
from samovar.registry.functions import (
    CodeSource,
    ConfigurationChanges,
    Directory,
    FunctionRegistry,
    LiveDirectory,
    Module,
    NewFunction,
    ZipBytes,
)
from samovar.registry.layers import NewLayerVersion
from samovar.registry.runtimes import Interpreter, Runtimes
from samovar.settings import Settings
from samovar.stores.lock import DataDirectoryLock

_GRACE = 30.0  # seconds that running invocations get when the engine stops


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What this engine found on its host. `walls_missing` has a reason for each wall."""

    interpreters: tuple[Interpreter, ...]
    walls_held: tuple[str, ...]
    walls_missing: Mapping[str, str]
    zygotes: tuple[int, ...]


Code = CodeSource | Path | bytes | str


class Engine:
    """One engine on one data directory, for one event loop; touches no signals.

    All of it runs on the loop that entered it: methods are to be called there (for other threads
    there is `samovar.blocking`). Entering raises DataDirectoryInUse, SettingsError and EngineError.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        log_sink: LogSink | None = None,
        runtimes: Runtimes | None = None,
    ) -> None:
        """`log_sink` gets everything that functions write, and the platform's lines; `runtimes`
        are the interpreters to serve, which this host is searched for when none are given."""
        self.settings = settings or Settings()
        self.metrics = PrometheusObserver()
        self._clock: Clock = clock or SystemClock()
        self._sink = log_sink
        self._runtimes = runtimes
        self._lock = DataDirectoryLock(self.settings.data_dir)
        self._running: Parts | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lock the data directory, sweep it, load the functions, settle the walls."""
        if self._running is not None:
            raise EngineError("this engine is running already")
        _raise_descriptor_limit()
        self._lock.acquire()
        try:
            self._running = await Parts.assemble(
                self.settings, self.metrics, self._clock, self._sink, self._runtimes
            )
        except BaseException:
            self._lock.release()
            raise
        self.metrics.watch_contexts(self._contexts_by_state)

    async def stop(self, grace: float = _GRACE) -> None:
        """Let running invocations finish for `grace` seconds, then end everything; idempotent."""
        parts, self._running = self._running, None
        if parts is None:
            return
        try:
            await parts.scheduler.stop(grace)
        finally:
            await parts.dismantle()
            self._lock.release()

    # -- functions

    @property
    def registry(self) -> FunctionRegistry:
        """The functions and their tags."""
        return self._parts.registry

    async def create_function(
        self,
        name: str,
        *,
        code: Code,
        handler: str = "",
        runtime: str = "",
        role: str = "",
        description: str = "",
        timeout: int = 3,
        memory_size: int = 128,
        ephemeral_storage: int = 512,
        environment: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        layers: Sequence[str] = (),
        watch: bool = False,
        snap_start: bool = False,
    ) -> FunctionVersion:
        """Create a function and wait until it is Active.

        `code`: a directory, the path or the bytes of a zip, or «package.module:function» importable
        here (which also says handler and runtime). `runtime` defaults to the running interpreter's;
        `layers` are the ARNs of layer versions (see `publish_layer`). With `watch`, a directory's
        later changes are taken in as they happen (docs/hot-reload.md); with `snap_start`, contexts
        of its published versions start from a template (docs/snapstart.md). Raises ClientError.
        """
        configuration = Configuration(
            handler=handler,
            runtime=runtime or ("" if isinstance(code, str) else _own_runtime()),
            role=role or DEFAULT_ROLE.format(account=self.settings.account_id),
            description=description,
            timeout=timeout,
            memory_size=memory_size,
            ephemeral_storage=ephemeral_storage,
            environment=environment,
            snap_start=(SnapStart.PUBLISHED_VERSIONS if snap_start else SnapStart.NONE).value,
        )
        source = _source(code, watch)
        new = NewFunction(name, configuration, source, dict(tags or {}), layers=layers)
        await self.registry.create(new)
        return await self.registry.wait_settled(name)

    async def update_function(
        self, name: str, *, code: Code | None = None, watch: bool = False, **changes: Any
    ) -> FunctionVersion:
        """Replace the code, change the configuration (fields of ConfigurationChanges), or both;
        wait until it is in force. `watch` goes with `code`, as in `create_function`. Raises
        ClientError; TypeError for an unknown field."""
        if changes:
            await self.registry.update_configuration(name, ConfigurationChanges(**changes))
            await self.registry.wait_settled(name)
        if code is not None:
            await self.registry.update_code(name, _source(code, watch))
        return await self.registry.wait_settled(name)

    async def delete_function(self, name: str) -> None:
        """Delete a function; running invocations finish. Raises ClientError."""
        await self.registry.delete(name)

    async def publish_layer(
        self, name: str, *, content: Directory | ZipBytes | Path | bytes, description: str = ""
    ) -> LayerVersion:
        """Publish the next version of a layer; functions take its `version_arn`.

        `content`: a directory, or the path or the bytes of a zip, laid out as it is to be at /opt
        (Python modules in `python/`). Raises ClientError.
        """
        new = NewLayerVersion(name, _source(content, watch=False), description)
        return await self.registry.layers.publish(new)

    # -- invocations

    async def invoke(
        self,
        name: str,
        payload: Any = b"",
        *,
        qualifier: str | None = None,
        function_arn: str | None = None,
        client_context: str | None = None,
        trace: str | None = None,
        log_tail: bool = False,
        request_id: str | None = None,
    ) -> Outcome:
        """Run a function and wait for its outcome; a function's error is an outcome too.

        `payload`: bytes are raw JSON (empty: the handler gets `{}`), anything else is turned into
        JSON here. Cancelling does not stop the invocation. Raises ClientError and EngineError;
        TypeError for a payload that is neither bytes nor JSON-able.
        """
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return await self._parts.invoker.invoke(
            name,
            data,
            qualifier=qualifier,
            function_arn=function_arn,
            client_context=client_context,
            trace=trace,
            log_tail=log_tail,
            request_id=request_id,
        )

    def submit(
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
    ) -> asyncio.Future[Outcome]:
        """What `invoke` waits for, for a door that has no coroutine to wait in."""
        return self._parts.invoker.invoke(
            name,
            payload,
            qualifier=qualifier,
            function_arn=function_arn,
            client_context=client_context,
            trace=trace,
            log_tail=log_tail,
            request_id=request_id,
        )

    def drop_idle_contexts(self, name: str, *, qualifier: str | None = None) -> int:
        """End the function's idle contexts, as their idle timeout would; how many there were.

        The next invocation has a cold start, unless a context that is busy now is free by then.
        Raises ClientError.
        """
        parts = self._parts
        return parts.scheduler.drop_idle(parts.registry.resolve(name, qualifier))

    # -- looking in

    def report(self) -> EngineReport:
        """What was found on this host."""
        parts = self._parts
        nursery = parts.nursery
        return EngineReport(
            parts.registry.runtimes.served,
            tuple(nursery.walls),
            dict(nursery.missing),
            tuple(nursery.zygote_pids()),
        )

    def metrics_text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self.metrics.text()

    def contexts(self) -> list[dict[str, Any]]:
        """Every context, oldest first: its function, state and history."""
        now = self._clock.monotonic()
        shown = []
        for lifecycle in self._parts.scheduler.lifecycles():
            context = self._parts.scheduler.contexts.get(lifecycle.context)
            arn, _, rest = lifecycle.pool.rpartition(":")
            version, _, generation = rest.partition("#")
            entry: dict[str, Any] = {
                "context": lifecycle.context,
                "function": arn,
                "version": version,
                "generation": int(generation),
                "state": lifecycle.state.value,
            }
            if context is not None:
                entry |= {
                    "pid": context.pid or None,
                    "invocations": context.invocations,
                    "max_memory_used_mb": context.memory_used,
                }
            if lifecycle.idle_since:
                entry["idle_seconds"] = round(max(0.0, now - lifecycle.idle_since), 3)
            shown.append(entry)
        return shown

    @property
    def templates_possible(self) -> bool:
        """Whether this host lets contexts be forked from templates (SnapStart)."""
        return self._parts.provisioner.templates.impossible is None

    def templates(self) -> list[dict[str, Any]]:
        """Every template that contexts are forked from: whose, its process and its steward's, and
        what its init left open (docs/snapstart.md)."""
        shown = []
        for version, template in self._parts.provisioner.templates.all():
            left = template.left_open
            shown.append(
                {
                    "function": version.arn,
                    "version": version.version,
                    "pid": template.pid or None,
                    "steward_pid": template.steward.pid or None,
                    "threads": list(left.threads) if left is not None else [],
                    "sockets": list(left.sockets) if left is not None else [],
                }
            )
        return shown

    def not_ready(self) -> str | None:
        """Why this engine can't take invocations now; None when it can."""
        if self._running is None:
            return "the engine is not running"
        if not self.registry.runtimes.served:
            return "no interpreter was found"
        return None

    @property
    def _parts(self) -> Parts:
        if self._running is None:
            raise EngineError("the engine is not running: enter it with `async with`, or start it")
        return self._running

    def _contexts_by_state(self) -> Mapping[str, int]:
        if self._running is None:
            return {}
        return Counter(item.state.value for item in self._running.scheduler.lifecycles())


def _source(code: Code, watch: bool) -> CodeSource:
    if watch:
        if not isinstance(code, Path):
            raise ClientError(AWS.INVALID_PARAMETER, "watch=True needs a directory as the code")
        return LiveDirectory(code.absolute(), trusted=True)
    if isinstance(code, bytes):
        return ZipBytes(code)
    if isinstance(code, str):
        return Module(code)
    if isinstance(code, Path):
        if code.is_dir():
            return Directory(code)
        try:
            return ZipBytes(code.read_bytes())
        except OSError as error:
            raise ClientError(
                AWS.INVALID_PARAMETER, f"{code} is neither a directory nor a readable zip: {error}"
            ) from error
    return code


def _own_runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _raise_descriptor_limit() -> None:
    """A context takes five descriptors; the soft limit is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
