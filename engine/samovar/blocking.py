"""An engine for programs without an event loop: it runs on a loop and a thread of its own.

    with BlockingEngine(Settings(data_dir=Path("data"))) as engine:
        engine.create_function("hello", code=Path("src"), handler="app.handler")
        outcome = engine.invoke("hello", {"name": "world"})

The methods are those of `samovar.engine.Engine`; any number of threads may call them at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # its exit handler is to be older than ours
import functools
import logging
import math
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import uvloop

from samovar.clock import Clock
from samovar.engine import Code, Engine
from samovar.errors import EngineError
from samovar.logs.journals import LogSink
from samovar.model.function import FunctionVersion
from samovar.settings import Settings

_GRACE = 30.0  # seconds that running invocations get when the engine stops, as in Engine.stop
_living: set[BlockingEngine] = set()
_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    method: Callable[Concatenate[Engine, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[BlockingEngine, P], T]:
    """The same method for other threads: they wait for what it gives."""

    @functools.wraps(method)
    def call(self: BlockingEngine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._result_of(method(self._engine, *args, **kwargs))

    return call


def _asked(
    method: Callable[Concatenate[Engine, P], T],
) -> Callable[Concatenate[BlockingEngine, P], T]:
    """The same, for a method that is no coroutine but may be called on the loop's thread only."""

    @functools.wraps(method)
    def call(self: BlockingEngine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async def ask() -> T:
            return method(self._engine, *args, **kwargs)

        return self._result_of(ask())

    return call


class BlockingEngine:
    """One engine on one data directory; entered and left once, or as often as one likes.

    Entering raises what entering an Engine does: DataDirectoryInUse, SettingsError, EngineError.
    Left by an exception, KeyboardInterrupt for one, it gives running invocations no time to finish.
    An interpreter that ends without leaving it stops it in the same way.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        log_sink: LogSink | None = None,
    ) -> None:
        """As for an Engine. `clock` and `log_sink` are called on the engine's thread; a sink that
        calls a method of this engine gets an EngineError, because both would wait for ever."""
        self.settings = settings or Settings()
        self._engine = Engine(self.settings, clock=clock, log_sink=log_sink)
        self._life: _Life | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(_GRACE if kind is None else 0.0)

    def start(self) -> None:
        """Start the thread, and the engine on it; returns when it can be used."""
        if self._life is not None:
            raise EngineError("this engine is running already")
        life = self._life = _Life(self._engine)
        _living.add(self)
        try:
            life.begin()
        except BaseException:
            self.stop(0.0)
            raise

    def stop(self, grace: float = _GRACE) -> None:
        """Let running invocations finish for `grace` seconds, then end everything; idempotent.

        Returns, or raises, when the thread is gone. Interrupted by Ctrl-C it goes on without grace
        and raises KeyboardInterrupt at the end.
        """
        life, self._life = self._life, None
        if life is not None:
            _living.discard(self)
            life.end(grace)

    create_function = _awaited(Engine.create_function)
    publish_layer = _awaited(Engine.publish_layer)
    delete_function = _awaited(Engine.delete_function)
    put_function_concurrency = _awaited(Engine.put_function_concurrency)
    delete_function_concurrency = _awaited(Engine.delete_function_concurrency)
    put_provisioned_concurrency = _awaited(Engine.put_provisioned_concurrency)
    delete_provisioned_concurrency = _awaited(Engine.delete_provisioned_concurrency)
    publish_version = _awaited(Engine.publish_version)
    list_versions = _awaited(Engine.list_versions)
    delete_version = _awaited(Engine.delete_version)
    create_alias = _awaited(Engine.create_alias)
    update_alias = _awaited(Engine.update_alias)
    get_alias = _awaited(Engine.get_alias)
    list_aliases = _awaited(Engine.list_aliases)
    delete_alias = _awaited(Engine.delete_alias)
    invoke = _awaited(Engine.invoke)
    invoke_async = _awaited(Engine.invoke_async)
    put_event_invoke = _awaited(Engine.put_event_invoke)
    get_event_invoke = _awaited(Engine.get_event_invoke)
    delete_event_invoke = _awaited(Engine.delete_event_invoke)
    events = _awaited(Engine.events)
    event = _awaited(Engine.event)
    redrive = _awaited(Engine.redrive)
    forget = _awaited(Engine.forget)
    drop_idle_contexts = _asked(Engine.drop_idle_contexts)
    report = _asked(Engine.report)
    contexts = _asked(Engine.contexts)
    census = _awaited(Engine.census)
    metrics_text = _asked(Engine.metrics_text)

    # Written out: a type checker can't see through a wrapper that `changes` has no «self».
    def update_function(
        self,
        name: str,
        *,
        code: Code | None = None,
        watch: bool = False,
        publish: bool = False,
        **changes: Any,
    ) -> FunctionVersion:
        """As Engine.update_function."""
        return self._result_of(
            self._engine.update_function(name, code=code, watch=watch, publish=publish, **changes)
        )

    def _result_of(self, coroutine: Coroutine[Any, Any, T]) -> T:
        life = self._life
        if life is None:
            coroutine.close()
            raise EngineError("the engine is not running: enter it with `with`, or start it")
        return life.submit(coroutine).result()


def _stop_the_forgotten() -> None:
    for engine in list(_living):
        try:
            engine.stop(0.0)
        except Exception:
            _log.exception("an engine that was still running at the program's end did not stop")


# An engine stops with the help of threads, and by the time of atexit's handlers the interpreter
# has ended its pools of them. This is how these themselves are ended; the last to come is first.
threading._register_atexit(_stop_the_forgotten)  # type: ignore[attr-defined]


class _Life:
    """The thread and the loop from one start to the end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pid = os.getpid()
        self._loop = uvloop.new_event_loop()
        # Daemonic, so that the interpreter comes to the exit handler that ends it.
        self._thread = threading.Thread(target=self._run, name="samovar-engine", daemon=True)
        self._started: Future[None] = Future()
        # Whoever finds it open is served, or told: what ends the loop is asked for after closing.
        self._gate = threading.Lock()
        self._open = False
        self._calls: set[asyncio.Task[Any]] = set()
        self._grace = math.inf
        self._ending = asyncio.Event()
        self._grace_over = asyncio.Event()
        self._failure: BaseException | None = None

    # -- on the callers' threads

    def begin(self) -> None:
        """Raises what starting the engine raises."""
        try:
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise
        self._started.result()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Have the loop run it; raises EngineError if it can't."""
        future: Future[T] = Future()
        try:
            if os.getpid() != self._pid:
                raise EngineError(
                    f"this engine lives in process {self._pid}, of which this one is a fork: "
                    "start an engine after the fork"
                )
            if threading.current_thread() is self._thread:
                raise EngineError(
                    "this is the engine's own thread, which can't wait for itself: "
                    "call the engine from another one"
                )
            with self._gate:
                if not self._open:
                    raise EngineError("the engine is stopping; nothing was run")
                self._loop.call_soon_threadsafe(self._begin, coroutine, future)
        except EngineError:
            coroutine.close()
            raise
        return future

    def end(self, grace: float) -> None:
        """Raises what stopping the engine raises, and KeyboardInterrupt if there was one."""
        if os.getpid() != self._pid:
            return  # a fork, in which there is no such thread
        interrupted = None
        while self._thread.is_alive():
            try:
                self._ask_to_end(grace)
                self._thread.join()
            except KeyboardInterrupt as interrupt:
                interrupted, grace = interrupt, 0.0
        error = interrupted or self._failure
        if error is not None:
            raise error

    def _ask_to_end(self, grace: float) -> None:
        with self._gate:
            self._open = False
        try:
            self._loop.call_soon_threadsafe(self._end_within, grace)
        except RuntimeError:
            pass  # the loop is closed: the thread is as good as gone

    # -- on the thread of its own

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except BaseException as error:
            self._failure = error

    async def _live(self) -> None:
        try:
            await self._engine.start()
        except BaseException as error:
            self._started.set_exception(error)
            return
        with self._gate:
            self._open = not self._ending.is_set()
        self._started.set_result(None)
        await self._ending.wait()
        if self._calls:
            timer = self._loop.call_later(self._grace, self._grace_over.set)
            await self._grace_over.wait()
            timer.cancel()
        await self._engine.stop(0.0 if self._calls else self._grace)

    def _end_within(self, grace: float) -> None:
        self._grace = min(self._grace, grace)
        if self._ending.is_set() and not grace:
            self._grace_over.set()
        self._ending.set()

    def _begin(self, coroutine: Coroutine[Any, Any, T], future: Future[T]) -> None:
        task = self._loop.create_task(coroutine)
        self._calls.add(task)
        task.add_done_callback(functools.partial(self._answer, future))

    def _answer(self, future: Future[T], task: asyncio.Task[T]) -> None:
        self._calls.discard(task)
        if task.cancelled():
            future.set_exception(EngineError("the engine stopped before this was over"))
        elif (error := task.exception()) is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())
        if self._ending.is_set() and not self._calls:
            self._grace_over.set()
