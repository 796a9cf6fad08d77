"""Holds contexts to their limits: control groups where there are any, else looks at their memory.

Groups are made and joined by a thread, for spares ahead of need; no context waits for it. What
waits longest for the kernel (a notification takes 6-15 ms to set up) and what nobody waits for has
another thread.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from samovar.clock import Clock
from samovar.context.delegation import Delegation
from samovar.context.limits import MEGABYTE, Limits
from samovar.context.memory_guard import Guard, MemoryGuard, NoGuard
from samovar.context.memory_use import anonymous_bytes, resident_bytes

_log = logging.getLogger(__name__)
WALLS = {"memory": "memory limit", "cpu": "CPU share", "pids": "processes per context"}
# MemorySize is never less (AWS, «Configure Lambda function memory»): spares are told of so much.
_LEAST_MEMORY = 128 * MEGABYTE
# The kernel tells of usage in such steps: more of them would tell sooner, and cost more.
_STEP = 16 * MEGABYTE
_AGAIN = 0.05  # seconds until a group in which somebody still ends is removed once more
_TIMES = 40


class Limited(Protocol):
    """What a limiter tells a context."""

    number: int

    def overran(self) -> None:
        """It has more memory than it may have."""

    def abandon(self, reason: str) -> None:
        """It can't be held to its limits, and is to be."""


@dataclass(slots=True, eq=False)
class _Member:
    """A context with its process. `eventfd`: what the kernel writes to when memory in use comes to
    one of `told_at` (bytes); -1 where it does not. `uncounted`: bytes that its processes had when
    they joined, which stay charged to the group that they came from."""

    context: Limited
    pid: int = 0
    limits: Limits | None = None
    eventfd: int = -1
    told_at: frozenset[int] = frozenset()
    uncounted: int = 0


class Limiter:
    """One engine's. All methods are for the loop's thread."""

    def __init__(
        self, delegation: Delegation, clock: Clock, *, quota: bool = False, insist: bool = False
    ) -> None:
        """`quota`: a context has no more CPU time than its share even where nobody else wants it;
        `insist`: one that can't be limited does not run."""
        self.missing = {WALLS[name]: reason for name, reason in delegation.missing.items()}
        self._delegation = delegation
        self._tree = delegation.tree
        self._clock = clock
        self._quota = quota
        self._insist = insist
        self._loop = asyncio.get_running_loop()
        self._members: dict[int, _Member] = {}
        self._soon = ThreadPoolExecutor(1, "samovar-groups")
        self._later = ThreadPoolExecutor(1, "samovar-groups-later")
        self._closed = False
        self._told_of_failure = False
        self._notified = self._tree.notifies
        # Looks at contexts that run, unless the kernel tells of overruns by itself.
        self.guard: Guard = NoGuard() if self._notified else self._own_guard()

    @property
    def held(self) -> list[str]:
        """The limits that hold, as they are called among the walls."""
        return [WALLS[name] for name in self._tree.controllers]

    async def try_out(self, pid: int) -> None:
        """Have one of our processes join a group and leave it: what that shows is missing."""
        try:
            await self._loop.run_in_executor(self._soon, self._tree.try_join, pid)
        except OSError as error:
            reason = f"a process can't join a group: {error.strerror}"
            self.missing.update({WALLS[name]: reason for name in self._tree.controllers})
            await self._loop.run_in_executor(self._soon, self._tree.give_up)
            self._notified = False
            self.guard = self._own_guard()
        if WALLS["memory"] in self.missing:
            self.missing[WALLS["memory"]] += "; contexts that run are looked at instead"

    def enter(self, context: Limited, pid: int) -> None:
        """A process was forked for it; 0: it is gone already."""
        member = self._member(context)
        member.pid = pid
        if not self._tree.controllers or not pid or self._closed:
            return
        if self._notified and member.eventfd < 0:
            member.eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._loop.add_reader(member.eventfd, self._on_usage, member)
        place = partial(self._place, member, pid, member.limits)
        self._submit(self._soon, self._try, member, place)

    def limit(self, context: Limited, limits: Limits) -> None:
        """Whose it is is known."""
        member = self._member(context)
        member.limits = limits
        if self._tree.controllers and member.pid and not self._closed:
            self._submit(self._soon, self._try, member, partial(self._limit, member, limits))

    def opened(self, context: Limited) -> None:
        """Its init is over, which is never throttled."""
        member = self._members.get(context.number)
        if self._quota and member is not None and member.limits is not None and not self._closed:
            throttle = partial(self._tree.throttle, context.number, member.limits)
            self._submit(self._soon, self._try, member, throttle)

    def killed(self, context: Limited) -> bool:
        """Whether the kernel has killed one of its processes for its memory: a short read."""
        try:
            return self._tree.killed(context.number) > 0
        except OSError:
            return False  # it never had a group

    def leave(self, context: Limited) -> None:
        """Nothing of it runs any more; idempotent."""
        member = self._members.pop(context.number, None)
        if member is None:
            return
        if member.eventfd >= 0:
            self._loop.remove_reader(member.eventfd)
        if not self._closed and (self._tree.controllers or member.eventfd >= 0):
            # Behind what either thread still has to do for it.
            self._submit(self._soon, self._submit, self._later, self._remove, member, _TIMES)

    async def close(self) -> None:
        """Remove all groups, when no process is left in them."""
        for member in list(self._members.values()):
            self.leave(member.context)
        self._closed = True
        if isinstance(self.guard, MemoryGuard):
            self.guard.close()
        await self._loop.run_in_executor(None, self._end)

    def _own_guard(self) -> MemoryGuard:
        return MemoryGuard(self._clock, self._look)

    def _member(self, context: Limited) -> _Member:
        member = self._members.get(context.number)
        if member is None:
            member = self._members[context.number] = _Member(context)
        return member

    def _on_usage(self, member: _Member) -> None:
        try:
            os.eventfd_read(member.eventfd)
        except BlockingIOError:
            return
        if not self._closed:
            self._submit(self._soon, self._judge, member)

    # -- on the threads

    def _submit(self, thread: ThreadPoolExecutor, what: Callable[..., None], *args: object) -> None:
        try:
            thread.submit(self._done, what, *args)
        except RuntimeError:
            pass  # everything is ended meanwhile

    @staticmethod
    def _done(what: Callable[..., None], *args: object) -> None:
        try:
            what(*args)
        except Exception:
            _log.exception("a context's limits")  # nobody asks for what a thread's step came to

    def _try(self, member: _Member, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            if error.errno == errno.ENODEV or member.context.number not in self._members:
                return  # its group went with it
            reason = f"a context can't be held to its limits: {error}"
            if not self._told_of_failure:
                self._told_of_failure = True
                _log.warning("%s; said once", reason)
            if self._insist:
                self._tell(member.context.abandon, reason)

    def _place(self, member: _Member, pid: int, limits: Limits | None) -> None:
        number = member.context.number
        self._tree.add(number)
        if self._quota:  # an earlier process of the context may have been throttled
            self._tree.throttle(number, None)
        self._tree.join(number, pid)
        begun = member.limits
        if begun is not None:  # nobody waited for this: code of its function's may run already
            member.uncounted = anonymous_bytes(pid)
            if member.uncounted > begun.memory:
                self._tell(member.context.overran)
        if limits is not None:
            self._limit(member, limits)
        elif member.eventfd >= 0:
            self._submit(
                self._later, self._try, member, partial(self._ask_at, member, _LEAST_MEMORY)
            )

    def _limit(self, member: _Member, limits: Limits) -> None:
        try:
            self._tree.limit(member.context.number, limits)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            self._tell(member.context.overran)  # before it was limited it took more than it may
            return
        if member.eventfd >= 0:
            left = limits.memory - member.uncounted
            self._submit(self._later, self._try, member, partial(self._ask_at, member, left))

    def _ask_at(self, member: _Member, usage: int) -> None:
        """Have the kernel tell when as much is used: rounded up, and once."""
        at = (max(0, usage) // _STEP + 1) * _STEP
        if at in member.told_at:
            return
        member.told_at |= {at}
        self._tree.notify(member.context.number, member.eventfd, at)
        if self._tree.used(member.context.number) >= at:
            self._submit(self._soon, self._judge, member)  # it was quicker

    def _judge(self, member: _Member) -> None:
        limits = member.limits
        if limits is None:
            return  # told of as a spare: nothing of a function's runs in it
        try:
            used, anonymous = self._tree.usage(member.context.number)
        except OSError:
            return
        if self._is_over(member, limits, anonymous):
            self._tell(member.context.overran)
        else:  # what it has in /tmp does not count: so much more may be in use
            other = used - anonymous - member.uncounted
            step = partial(self._ask_at, member, other + limits.memory)
            self._submit(self._later, self._try, member, step)

    @staticmethod
    def _is_over(member: _Member, limits: Limits, anonymous: int) -> bool:
        """`anonymous`: bytes of it that the group counts."""
        if anonymous + member.uncounted <= limits.memory or anonymous > limits.memory:
            return anonymous > limits.memory
        have = anonymous_bytes(member.pid)
        member.uncounted = max(0, have - anonymous)  # some of it may have been given back
        return have > limits.memory

    def _look(self, numbers: list[int]) -> None:
        """Part of MemoryGuard: called on the loop, looks on the thread."""
        if not self._closed:
            self._submit(self._later, self._look_at, numbers)

    def _look_at(self, numbers: list[int]) -> None:
        in_groups = "memory" in self._tree.controllers
        for number in numbers:
            member = self._members.get(number)
            if member is None or member.limits is None:
                continue
            limits, memory = member.limits, member.limits.memory
            try:
                if in_groups:
                    over = self._tree.used(number) + member.uncounted > memory
                    over = over and self._is_over(member, limits, self._tree.usage(number)[1])
                else:
                    over = resident_bytes(member.pid) > memory
                    over = over and anonymous_bytes(member.pid) > memory
            except OSError:
                continue  # it has just ended
            if over:
                self._tell(member.context.overran)

    def _tell(self, what: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:
            pass  # the loop is closed: everything is ended anyway

    def _remove(self, member: _Member, times: int) -> None:
        if member.eventfd >= 0:
            os.close(member.eventfd)  # with which the kernel forgets whom to tell
            member.eventfd = -1
        try:
            self._tree.remove(member.context.number)
        except OSError:
            if times:
                again = partial(self._remove_again, member, times - 1)
                self._tell(self._clock.call_later, _AGAIN, again)

    def _remove_again(self, member: _Member, times: int) -> None:
        if not self._closed:
            self._submit(self._later, self._remove, member, times)

    def _end(self) -> None:
        self._soon.shutdown()
        self._later.shutdown()
        self._delegation.close()
