"""Group commit: whatever is asked for while the last commit runs shares the next one.

The loop's side and the thread's side of it, and nothing of what is written. A group goes to the
thread whole and comes back whole: one wake-up each way per commit, however much is in it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from samovar.errors import EngineError

_log = logging.getLogger(__name__)

# Seconds without work after which what can wait is done.
QUIET = 1.0


class Writer(Protocol):
    """What is done in the thread, and only there."""

    def open(self) -> None:
        """Make ready; what it raises, `start` raises."""

    def carry_out(self, requests: Sequence[Any]) -> Sequence[Any]:
        """Do all that was asked for and make it durable: what comes of each, in their order; an
        exception among them is raised where it was asked for. Raises nothing itself."""

    def tidy(self) -> float | None:
        """Do a step of what can wait; in how many seconds the next one is due, None if there is
        none."""

    def close(self) -> None:
        """Let go of everything."""


class GroupCommit:
    """One thread, and what it is asked for. All methods are called on the loop's thread."""

    def __init__(
        self,
        name: str,
        writer: Writer,
        quiet: float = QUIET,
        remedy: str = "the engine must be restarted",
    ) -> None:
        """`remedy`: what helps when the thread broke down."""
        self._name = name
        self._remedy = remedy
        self._writer = writer
        self._quiet = quiet
        self._loop: AbstractEventLoop | None = None  # while it takes requests
        self._thread: threading.Thread | None = None
        self._ended: Future[None] | None = None
        self._inbox: SimpleQueue[tuple[list[Future[Any]], list[Any]] | None] = SimpleQueue()
        self._futures: list[Future[Any]] = []
        self._requests: list[Any] = []
        self._busy = False  # a group is in the thread, or will be before the loop waits again
        self._broken: str | None = None  # what broke the thread down, and what to do

    async def start(self) -> None:
        """Start the thread; raises what opening raises."""
        if self._thread is not None:
            raise RuntimeError("already open")
        loop = asyncio.get_running_loop()
        opened: Future[None] = loop.create_future()
        self._ended = loop.create_future()
        self._inbox = SimpleQueue()  # a thread that could not open has left its own end unread
        # Daemonic: a program that ends without closing must not wait for it, and loses nothing of
        # what it was told is there.
        self._thread = threading.Thread(
            target=self._run, args=(loop, opened, self._ended), name=self._name, daemon=True
        )
        self._thread.start()
        self._loop = loop
        self._broken = None
        try:
            await asyncio.shield(opened)
        except BaseException:
            await self.close()
            raise

    def ask(self, request: Any) -> Future[Any]:
        """Have a request carried out with those that come while the last commit runs. Raises
        EngineError if it is not open, or its thread broke down."""
        loop = self._loop
        if loop is None:
            raise EngineError(self._broken or "the queue is not open")
        future: Future[Any] = loop.create_future()
        self._futures.append(future)
        self._requests.append(request)
        if not self._busy:
            # Not at once: what else this turn of the loop brings goes with it.
            self._busy = True
            loop.call_soon(self._hand_over)
        return future

    async def close(self) -> None:
        """Carry out what was asked for, then end the thread; idempotent."""
        thread, ended = self._thread, self._ended
        if thread is None or ended is None:
            return
        if self._loop is not None:
            self._loop = None
            self._hand_over()
            self._inbox.put(None)
        await asyncio.shield(ended)
        thread.join()  # it has nothing left to do
        self._thread = self._ended = None

    def _hand_over(self) -> None:
        if self._requests:
            self._inbox.put((self._futures, self._requests))
            self._futures, self._requests = [], []
        else:
            self._busy = False

    def _settle(self, futures: list[Future[Any]], results: Sequence[Any]) -> None:
        self._hand_over()  # first: the disk works while the loop tells
        for future, result in zip(futures, results, strict=True):
            if future.done():  # cancelled: it happened all the same
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _break_down(self, error: Exception, futures: list[Future[Any]]) -> None:
        """Leave nobody waiting for a thread that is no more: neither those whose requests it had
        (`futures`), nor those that were still to come to it, nor whoever asks from now on."""
        self._loop = None
        self._busy = False
        self._broken = (
            f"{self._name} broke down ({error!r}): {self._remedy}. Nothing that was accepted is "
            "lost."
        )
        waiting = [*futures, *self._futures]
        self._futures, self._requests = [], []
        while not self._inbox.empty():
            group = self._inbox.get_nowait()
            if group is not None:
                waiting += group[0]
        for future in waiting:
            _fail(future, EngineError(self._broken))

    # -- in the thread

    def _run(self, loop: AbstractEventLoop, opened: Future[None], ended: Future[None]) -> None:
        try:
            self._writer.open()
        except Exception as error:
            self._tell(loop, _fail, opened, error)
        else:
            if self._tell(loop, _succeed, opened):
                self._serve(loop)
        try:
            self._writer.close()
        except Exception:  # whoever waits for the end must hear of it all the same
            _log.exception("%s did not end well", self._name)
        self._tell(loop, _succeed, ended)

    def _serve(self, loop: AbstractEventLoop) -> None:
        futures: list[Future[Any]] = []
        pause: float | None = self._quiet
        try:
            while True:
                try:
                    group = self._inbox.get(timeout=pause)
                except Empty:
                    pause = self._writer.tidy()
                    continue
                if group is None:
                    return
                futures, requests = group
                results = self._writer.carry_out(requests)
                if not self._tell(loop, self._settle, futures, results):
                    return
                futures = []
                del group, requests, results  # they hold bodies
                pause = self._quiet
        except Exception as error:  # which no Writer promises to raise: no memory, or a mistake
            _log.exception("%s broke down: %s", self._name, self._remedy)
            self._tell(loop, self._break_down, error, futures)

    def _tell(self, loop: AbstractEventLoop, call: Callable[..., object], *told: object) -> bool:
        """Have the loop's thread call something; False if the loop was closed with this open: then
        there is nobody to hear of it."""
        try:
            loop.call_soon_threadsafe(call, *told)
        except RuntimeError:
            _log.debug("the loop of %s is closed", self._name, exc_info=True)
            return False
        return True


def _succeed(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
