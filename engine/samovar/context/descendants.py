"""All processes of a context, found through /proc and stopped one by one.

They fork meanwhile, and numbers are given anew. So each is opened first and looked at then: a
signal that arrives through a descriptor says that what was read between was of that process. One is
a context's if its parent is, whom his start time tells from others of the same number. It is looked
again until nothing new is there; a stopped process has no more children.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import NamedTuple

from samovar.context.freeze import Freeze, FreezeState

_PASSES = 8
_MOST = 4096  # processes; AWS's limit is 1024 of one function


class Stat(NamedTuple):
    """Of /proc/PID/stat: the state's letter, the parent, and the start in ticks since boot."""

    state: str
    parent: int
    started: int


def look(pid: int) -> Stat | None:
    """None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Stat(fields[0].decode(), int(fields[1]), int(fields[19]))


def children(pid: int) -> list[int]:
    """Those of all threads of a process, oldest first; none if it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            path = f"/proc/{pid}/task/{thread}/children"
            try:
                with open(path, "rb") as file:  # noqa: PTH123
                    found += map(int, file.read().split())
            except (FileNotFoundError, ProcessLookupError):
                continue  # this thread has ended
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115


class Worker:
    """A context's worker, by a descriptor that is another's and open while a Freeze is not over."""

    __slots__ = ("_pidfd",)

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd

    def stop(self) -> None:
        signal.pidfd_send_signal(self._pidfd, signal.SIGSTOP)

    def go_on(self) -> bool:
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)
        except ProcessLookupError:
            pass  # the zygote will say so
        return True

    def let_go(self) -> None:
        pass

    def find(self) -> None:
        pass


class Descendant:
    """A process that one of a context's has made. Raises OSError: ProcessLookupError if there is
    none of that number."""

    __slots__ = ("_pid", "_pidfd", "started")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pidfd = os.pidfd_open(pid)
        self.started = 0

    def stop(self) -> None:
        signal.pidfd_send_signal(self._pidfd, signal.SIGSTOP)

    def go_on(self) -> bool:
        if self._pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)
        except ProcessLookupError:
            pass
        return True

    def let_go(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def find(self) -> None:
        try:
            pidfd = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return
        try:
            seen = look(self._pid)
            if seen is not None and seen.started == self.started:
                signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)


class Descendants:
    """Those of one worker, a thread's; where it has a pid namespace, all else in there."""

    def __init__(self, worker: int) -> None:
        """`worker`: its pid as this process knows it; 0: not known."""
        self._worker = worker
        self._holder: int | None = None  # pid 1 of its namespace, 0: there is none

    def stop(self, freeze: Freeze, worker: Worker) -> None:
        """Stop all but the worker, which is stopped already, as long as `freeze` is not over.
        Raises OSError: where it is refused, and where they are made faster than stopped."""
        first = look(self._worker) if self._worker else None
        if first is None:
            return
        if self._holder is None:
            self._holder = self._find_holder(first.parent)
        known = {self._worker: first.started}
        if self._holder:
            holder = look(self._holder)
            if holder is not None:
                known[self._holder] = holder.started
        # Whoever had the two numbers while this was read has them now, or is gone.
        if not freeze.confirm(worker):
            return
        for _ in range(_PASSES):
            before = len(known)
            if not self._pass(freeze, known) or len(known) == before:
                return
            if len(known) > _MOST:
                break
        raise OSError(errno.EAGAIN, "its processes are made faster than they can be stopped")

    def _pass(self, freeze: Freeze, known: dict[int, int]) -> bool:
        """Stop all that can be found below those that are `known` (pid and start), and know them
        then; False: the freeze is over."""
        parents = list(known)
        for parent in parents:  # which grows
            if freeze.state is FreezeState.OVER:
                return False
            for child in children(parent):
                if child in known:
                    continue
                if not self._stop_one(freeze, child, parent, known):
                    return False
                if child in known:
                    parents.append(child)
        return True

    @staticmethod
    def _stop_one(freeze: Freeze, pid: int, parent: int, known: dict[int, int]) -> bool:
        """False: the freeze is over. Whoever was stopped, or need not be, is `known` then."""
        try:
            process = Descendant(pid)
        except ProcessLookupError:
            return True
        kept = False
        try:
            seen, above = look(pid), look(parent)
            if seen is None or above is None or seen.parent != parent:
                return True
            if above.started != known[parent]:
                return True
            process.started = seen.started
            if seen.state not in "TtZX":  # its own function may have stopped it
                kept = freeze.stop(process)
                if not kept:
                    return False
            known[pid] = seen.started
        except ProcessLookupError:
            pass
        finally:
            if not kept:
                process.let_go()
        return True

    def _find_holder(self, parent: int) -> int:
        namespace = _namespace(self._worker)
        if namespace == _namespace(parent):
            return 0
        siblings = children(parent)
        # It was born just before the worker.
        place = siblings.index(self._worker) if self._worker in siblings else 0
        for pid in (*reversed(siblings[:place]), *siblings[place + 1 :]):
            try:
                if _namespace(pid) == namespace:
                    return pid
            except (FileNotFoundError, ProcessLookupError):
                continue
        return 0
