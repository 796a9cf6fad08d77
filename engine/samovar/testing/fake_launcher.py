"""Contexts without processes: a function is a callable of the test, its context an object.

For tests of what is scheduled when, on a clock that the test holds:

    launcher = FakeLauncher(lambda event, invocation: event, clock)
    scheduler = Scheduler(Policy(idle_timeout=300, max_contexts=10), launcher, clock, observer)

The contract that the real contexts pass too is `tests/contract/test_launcher.py`. There is no log,
no memory figure and no wall here, and a callable that blocks blocks the test: one that is to take
time returns an awaitable.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from samovar.clock import Clock, Timer
from samovar.context import verdict
from samovar.context.launcher import (
    Context,
    ContextListener,
    Placement,
    Prepared,
    long_init_timeout,
)
from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.context.run import Run, Verdict
from samovar.logs.stream import LogStream
from samovar.model.function import FunctionVersion
from samovar.model.invocation import Initialization, Invocation

_KILLED = 9

Handler = Callable[[Any, Invocation], Any]
Init = Callable[[FunctionVersion], Any]
Fetch = Callable[[FunctionVersion], Awaitable[float]]


class FakeLauncher:
    """A `samovar.context.launcher.Launcher`; `contexts` has all that it made, oldest first, and
    `released` those that are gone."""

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        *,
        init: Init = lambda version: None,
        fetch: Fetch | None = None,
        init_timeout: float = 10.0,
    ) -> None:
        """`handler(event, invocation)` and `init(version)` are what the worker would run: they may
        raise, SystemExit too, and may return an awaitable. `fetch(version)` is what comes before
        there is a context: its result is the seconds that the package took, and what it raises
        `prepare` raises."""
        self.contexts: list[FakeContext] = []
        self.released: list[Context] = []
        self.handler = handler
        self.init = init
        self.clock = clock
        self.init_timeout = init_timeout
        self._fetch = fetch

    async def prepare(self, version: FunctionVersion, provisioned: bool = False) -> Prepared:
        package = 0.0 if self._fetch is None else await self._fetch(version)
        context = FakeContext(self)
        self.contexts.append(context)
        kind = Initialization.PROVISIONED if provisioned else Initialization.ON_DEMAND
        log = LogStream(
            f"/aws/lambda/{version.name}", "stream", version.name, initialization=kind.value
        )
        timeout = long_init_timeout(version) if provisioned else None
        placement = Placement(
            *(version, "/var/task", {}, (), None, log),
            provisioned=provisioned,
            init_timeout=timeout,
        )
        return Prepared(context, placement, package)

    def release(self, context: Context) -> None:
        self.released.append(context)


class FakeContext:
    """A `samovar.context.launcher.Context`. What is not asked for by the scheduler happens when the
    test says so: `kill` ends the process, `lose` takes the whole context away."""

    def __init__(self, launcher: FakeLauncher) -> None:
        self.lifecycle: Lifecycle | None = None
        self.placement: Placement | None = None
        self.invocations = 0
        self.memory_used = 0
        self.init_began = 0.0
        self.init_seconds: float | None = None
        self.lost = False
        self._launcher = launcher
        self._clock = launcher.clock
        self._loop = asyncio.get_running_loop()
        self._listener: ContextListener | None = None
        self._alive = True  # the process, not the context
        self._dying = False  # it is dead, but nobody has heard of it
        self._unheard = False  # nor it of its run
        self._work: asyncio.Task[None] | None = None
        self._run: Run | None = None
        self._timer: Timer | None = None
        self._out_of_time = False
        self._failed_init: tuple[bytes, str] | None = None
        self._stopping: str | None = None
        self._lost: str | None = None

    @property
    def pid(self) -> int:
        return 0

    @property
    def frozen(self) -> bool:
        return False

    @property
    def current(self) -> Run | None:
        return self._run

    # -- what the test asks for

    def kill(self, signal: int = _KILLED) -> None:
        """The process dies of a signal; nothing happens if there is none."""
        self._die(None, signal)

    def lose(self, reason: str) -> None:
        """The zygote dies, and takes process and mounts with it."""
        if self._listener is None:
            self._lost = reason
        else:
            self.abandon(reason)

    # -- what the scheduler's driver asks for

    def start(self, lifecycle: Lifecycle, placement: Placement, listener: ContextListener) -> None:
        self.lifecycle = lifecycle
        self.placement = placement
        self._listener = listener
        if self._lost is not None:
            self._loop.call_soon(self._gone, self._lost)
            return
        if lifecycle.state is not ContextState.STARTING:
            return  # called off: `stop` follows
        lifecycle.move(ContextState.INITIALIZING)
        self._timer = self._clock.call_later(
            placement.init_timeout or self._launcher.init_timeout, self._expired
        )
        self._do(self._first_init())

    def run(self, run: Run) -> None:
        assert self.placement is not None
        self._run = run
        run.started = self._clock.monotonic()
        timeout = self.placement.version.configuration.timeout
        self._timer = self._clock.call_later(timeout, self._expired)
        suppressed, self._alive = not self._alive, True
        self._unheard = self._dying
        self._do(self._serve(run, suppressed))

    def stop(self, reason: str) -> None:
        self._stopping = reason
        if self._alive:
            self.kill()
        else:
            self._loop.call_soon(self._gone, reason)

    def abandon(self, reason: str) -> None:
        self._cancel_work()
        self._alive = False
        self.lost = True
        if self._run is not None:
            self._answer(b"", broken=reason)
        self._gone(self._stopping or reason)

    # -- the worker's part

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        if self._dying:
            work.close()  # said to a dead process
        else:
            self._work = self._loop.create_task(work)

    async def _first_init(self) -> None:
        if await self._init():
            self._withdraw_timer()
            assert self._listener is not None
            self._listener.context_ready(self)

    async def _init(self) -> bool:
        """Whether it worked; the process is on its way out if not."""
        assert self.placement is not None
        self.init_began = self._clock.monotonic()
        self._failed_init = None
        try:
            await _settled(self._launcher.init(self.placement.version))
        except SystemExit as stop:
            self._die(_exit_code(stop), None)
            return False
        except Exception as error:
            self._failed_init = (_error_json(error, ""), type(error).__name__)
            self._die(1, None)
            return False
        self.init_seconds = self._clock.monotonic() - self.init_began
        return True

    async def _serve(self, run: Run, suppressed: bool) -> None:
        if suppressed and not await self._init():
            return
        began = self._clock.monotonic()
        invocation = run.invocation
        try:
            event = json.loads(invocation.payload or b"{}")
        except ValueError as error:
            self._reply(b"", refused=str(error))
            return
        error_type = None
        try:
            payload = _marshal(await _settled(self._launcher.handler(event, invocation)))
        except SystemExit as stop:
            self._die(_exit_code(stop), None)
            return
        except Exception as error:
            error_type = _error_type(error)
            payload = _error_json(error, invocation.request_id)
        self._reply(payload, error_type, self._clock.monotonic() - began)

    # -- endings

    def _reply(
        self,
        payload: bytes,
        error_type: str | None = None,
        in_handler: float | None = None,
        refused: str | None = None,
    ) -> None:
        """The process has answered: the context is free before the caller has its answer."""
        run, listener = self._run, self._listener
        assert run is not None and listener is not None
        final = self._verdict(run, payload, error_type, in_handler=in_handler, refused=refused)
        self._run = None
        listener.context_free(self)
        run.finished(final)

    def _answer(
        self, payload: bytes, error_type: str | None = None, broken: str | None = None
    ) -> None:
        run, self._run = self._run, None
        assert run is not None
        run.finished(self._verdict(run, payload, error_type, broken=broken))

    def _verdict(
        self,
        run: Run,
        payload: bytes,
        error_type: str | None,
        *,
        in_handler: float | None = None,
        refused: str | None = None,
        broken: str | None = None,
    ) -> Verdict:
        assert self.placement is not None
        self._withdraw_timer()
        self.invocations += 1
        duration = self._clock.monotonic() - run.started
        if self._out_of_time:
            duration = float(self.placement.version.configuration.timeout)
        return Verdict(
            payload,
            duration,
            self.memory_used,
            verdict.UNHANDLED if error_type is not None else None,
            error_type,
            in_handler,
            b"",
            refused,
            broken,
        )

    def _expired(self) -> None:
        self._timer = None
        self._out_of_time = True
        self._die(None, _KILLED)

    def _die(self, code: int | None, signal: int | None) -> None:
        if self._alive and not self._dying:
            self._dying = True
            self._cancel_work()
            self._loop.call_soon(self._exited, code, signal)

    def _cancel_work(self) -> None:
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()
        self._work = None

    def _exited(self, code: int | None, signal: int | None) -> None:
        """The process is reaped: the run or the init that it was in is over, /tmp is kept."""
        listener, run = self._listener, self._run
        self._alive = self._dying = False
        self._withdraw_timer()
        if listener is None:
            self._lost = self._lost or "its process ended"
            return
        provisioned = self.placement is not None and self.placement.provisioned
        kept = not (provisioned or self._out_of_time or self._stopping)
        if run is not None and self._unheard and kept:
            self.run(run)  # it was said to a dead process: another one has it
            return
        if run is not None:
            self._answer(*self._last_words(run, code, signal))
        self._out_of_time = False
        if provisioned or self._stopping is not None:
            self._gone(self._stopping or "its process ended")
        elif run is not None:
            listener.context_free(self)
        elif self.lifecycle is not None and self.lifecycle.state is ContextState.INITIALIZING:
            listener.context_ready(self)

    def _last_words(self, run: Run, code: int | None, signal: int | None) -> tuple[bytes, str]:
        assert self.placement is not None
        request_id = run.invocation.request_id
        if self._out_of_time:
            error = verdict.timed_out(request_id, self.placement.version.configuration.timeout)
        elif self._failed_init is not None:
            return self._failed_init
        else:
            error = verdict.exited(request_id, verdict.Exit(code, signal))
        return error.to_json(), error.error_type

    def _gone(self, reason: str) -> None:
        self._withdraw_timer()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.context_gone(self, reason)

    def _withdraw_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class _NotMarshalled(Exception):
    """A result that is not JSON."""


def _marshal(result: Any) -> bytes:
    try:
        return json.dumps(result).encode()
    except (TypeError, ValueError) as error:
        raise _NotMarshalled(f"Unable to marshal response: {error}") from None


def _error_type(error: Exception) -> str:
    return "Runtime.MarshalError" if isinstance(error, _NotMarshalled) else type(error).__name__


def _error_json(error: Exception, request_id: str) -> bytes:
    stack = [] if isinstance(error, _NotMarshalled) else traceback.format_tb(error.__traceback__)
    told = {
        "errorMessage": str(error),
        "errorType": _error_type(error),
        "requestId": request_id,
        "stackTrace": stack[1:],  # the first frame is ours
    }
    return json.dumps(told).encode()


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return (stop.code or 0) & 0xFF
    return 1


async def _settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result
