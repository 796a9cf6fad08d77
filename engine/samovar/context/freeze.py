"""One freezing of a context: its processes are stopped by a thread, and go on when the loop says.

A dispatch never waits for a freeze that is under way. What was stopped so far goes on at once, and
the thread, which asks before each process, stops no more of them. The lock makes that one step: it
is held for a signal, never over a look at /proc. A context that is frozen again gets another
Freeze, so that a thread that is late with the last one can't take this one for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from threading import Lock
from typing import Protocol

# Of one context, so that a function with a thousand children does not take the descriptors of all.
MOST_HELD = 8


class Stoppable(Protocol):
    """A process that can be stopped."""

    def stop(self) -> None:
        """SIGSTOP. Raises OSError: ProcessLookupError if it is gone."""

    def go_on(self) -> bool:
        """SIGCONT, if it is still there; False: it has to be looked for (`find`)."""

    def let_go(self) -> None:
        """Keep no descriptor of it; from then on it has to be looked for."""

    def find(self) -> None:
        """Have it go on, if it is the same one; takes longer."""


class FreezeState(Enum):
    """How far it is."""

    STOPPING = "stopping"  # or about to
    FROZEN = "frozen"
    OVER = "over"


class Freeze:
    """`stop` and `settle` are the thread's, `thaw` and `end` the loop's."""

    __slots__ = ("_lock", "_state", "_stopped")

    def __init__(self) -> None:
        self._lock = Lock()
        self._state = FreezeState.STOPPING
        self._stopped: list[Stoppable] = []

    @property
    def state(self) -> FreezeState:
        return self._state

    def stop(self, process: Stoppable) -> bool:
        """Stop a process and keep it; False: not stopped, because the freeze is over. Raises
        OSError, and keeps nothing."""
        with self._lock:
            if self._state is FreezeState.OVER:
                return False
            process.stop()
            if len(self._stopped) >= MOST_HELD:
                process.let_go()
            self._stopped.append(process)
            return True

    def confirm(self, process: Stoppable) -> bool:
        """Whether a process that was stopped is there, and is to stay so: it is stopped again,
        which does nothing to it. Raises OSError."""
        with self._lock:
            if self._state is FreezeState.OVER:
                return False
            process.stop()
            return True

    def settle(self) -> None:
        """All that could be stopped has been."""
        with self._lock:
            if self._state is FreezeState.STOPPING:
                self._state = FreezeState.FROZEN

    def thaw(self) -> Sequence[Stoppable]:
        """Have all go on; those that have to be looked for."""
        stopped = self._finish()
        lost = []
        for process in stopped:
            if process.go_on():
                process.let_go()
            else:
                lost.append(process)
        return lost

    def end(self) -> None:
        """The context's processes are killed, which stopped ones are as well."""
        for process in self._finish():
            process.let_go()

    def _finish(self) -> list[Stoppable]:
        """From here on nothing is stopped; what was."""
        with self._lock:
            self._state = FreezeState.OVER
            stopped, self._stopped = self._stopped, []
            return stopped
