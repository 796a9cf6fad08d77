"""Between two invocations a context is frozen: threads, children and timers of its function stop.

As on AWS, what a function leaves running goes on with the next invocation. A worker that says that
it is restless is stopped at once, and with all that it has started if it has children; whatever
rests for `after` seconds is stopped with all that is there, whatever it has said.

The signals are sent by a thread. A dispatch takes them back by itself: see `freeze`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Self

from samovar.clock import Clock, Timer
from samovar.context.descendants import Descendants, Worker
from samovar.context.freeze import Freeze, FreezeState, Stoppable
from samovar.context.process import WorkerProcess
from samovar_worker.wire.messages import CHILDREN

_log = logging.getLogger(__name__)
_CLOSE = 0.002  # seconds: a loop's timers count milliseconds


class Freezer:
    """An engine's. `freezes` counts those that were begun, `failures` by errno's name what could
    not be stopped."""

    def __init__(self, clock: Clock, after: float) -> None:
        """`after`: seconds of rest after which any context is frozen."""
        self.clock = clock
        self.after = after
        self.freezes = 0
        self.failures: dict[str, int] = {}
        self._wishes: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def wish(self, what: Callable[[], None]) -> None:
        """Have the thread do it, after all that it was asked for before."""
        if self._stopped:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name="samovar-freezer", daemon=True)
            self._thread.start()
        self._wishes.put(what)

    async def stop(self) -> None:
        """Nothing is frozen any more; what is stays so."""
        self._stopped = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._wishes.put(None)
            await asyncio.to_thread(thread.join)

    def _live(self) -> None:
        while (wish := self._wishes.get()) is not None:
            try:
                wish()
            except ProcessLookupError:
                pass  # it has ended meanwhile
            except OSError as error:
                self._failed(errno.errorcode.get(error.errno or 0, "unknown"), error)
            except Exception as error:
                self._failed(type(error).__name__, error)

    def _failed(self, reason: str, error: Exception) -> None:
        if reason not in self.failures:
            _log.warning(
                "a context can't be frozen between invocations, so what its function leaves running"
                " goes on: %s (told once; samovar_freeze_failures_total counts them)",
                error,
            )
        self.failures[reason] = self.failures.get(reason, 0) + 1


class Frost:
    """One context's: whether it is frozen. The loop's alone.

    Replies and runs touch no timer: the one that there is looks how long the context has rested,
    and comes again when that was not long enough.
    """

    __slots__ = (
        "_descendants",
        "_freeze",
        "_freezer",
        "_process",
        "_rested",
        "_thorough",
        "_timer",
    )

    def __init__(self, freezer: Freezer) -> None:
        self._freezer = freezer
        self._freeze: Freeze | None = None
        self._process: WorkerProcess | None = None
        self._descendants: Descendants | None = None
        self._rested: float | None = None  # since when (monotonic); None: it does not
        self._timer: Timer | None = None
        self._thorough = False  # whether more than the worker is, or is about to be, stopped

    @classmethod
    def by(cls, freezer: Freezer | None) -> Self | None:
        """None where nobody freezes."""
        return None if freezer is None else cls(freezer)

    @property
    def frozen(self) -> bool:
        """Whether all that is to be stopped is."""
        return self._freeze is not None and self._freeze.state is FreezeState.FROZEN

    def rest(self, process: WorkerProcess, restless: int, now: float) -> None:
        """An invocation, or the init, is over, and no other has begun; `restless`: of the Done."""
        self._rested = now
        self._process = process
        if restless:
            self._begin(bool(restless & CHILDREN))
        if self._timer is None:
            self._look_in(self._freezer.after)

    def wake(self) -> None:
        """An invocation is about to be sent."""
        self._rested = None
        freeze = self._freeze
        if freeze is not None:
            self._freeze = None
            self._thorough = False
            if lost := freeze.thaw():
                self._freezer.wish(lambda: _find(lost))

    def end(self) -> None:
        """The process is over, and its descriptor is about to be closed."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        freeze, self._freeze = self._freeze, None
        self._rested = self._process = self._descendants = None
        self._thorough = False
        if freeze is not None:
            freeze.end()

    def _look_in(self, seconds: float) -> None:
        self._timer = self._freezer.clock.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._rested is None or self._thorough:
            return
        left = self._rested + self._freezer.after - self._freezer.clock.monotonic()
        if left > _CLOSE:
            self._look_in(left)
        else:
            self._begin(thorough=True)

    def _begin(self, thorough: bool) -> None:
        process = self._process
        if process is None or not process.is_forked:
            return
        freeze = self._freeze
        if freeze is None:
            freeze = self._freeze = Freeze()
            self._freezer.freezes += 1
        self._thorough = thorough
        kin = None
        if thorough:
            kin = self._descendants = self._descendants or Descendants(process.pid)
        worker = Worker(process.pidfd)
        self._freezer.wish(lambda: _stop(freeze, worker, kin))


def _stop(freeze: Freeze, worker: Worker, kin: Descendants | None) -> None:
    """In the thread. A worker that is stopped already is stopped once more, and that is all."""
    try:
        if freeze.stop(worker) and kin is not None:
            kin.stop(freeze, worker)
    finally:
        freeze.settle()


def _find(lost: Sequence[Stoppable]) -> None:
    for process in lost:
        process.find()
