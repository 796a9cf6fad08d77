"""The steward of a template: its parent, and the parent of every context that is forked from it.

A template has run user code, and it is the template that forks; but nobody can wait for another's
children, and what it says of them can't be believed. So the steward, a fork of the zygote that runs
no user code and keeps its rights, is pid 1 of the pid namespace in which the template lives:
whatever loses its parent in there becomes its child. It asks the template for a process, is told a
pid, and believes it only if that process is its own child by now, is nobody known, and holds the
output pipe that it has handed over. To the engine it speaks as a zygote does.

The first fork that it is asked for makes the template. When that ends no more can be forked, and
the contexts live on.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import deque

from samovar_worker import boot, kin, template
from samovar_worker.child import Child, end_with
from samovar_worker.pipes import OUTPUT
from samovar_worker.wire import control
from samovar_worker.zygote import Zygote

_PATIENCE = 5.0  # seconds for a template to fork; hooks of the function's may run in it
_AFTERLIFE = 1.0  # seconds for what a template was forking when it died
_LOOK_MS = 5.0  # between two looks for that
_LAST_ERROR = 4095  # the highest errno that there can be on Linux


class Steward(Zygote):
    """Serves the engine over `connection`: one template, and its contexts."""

    def __init__(self, connection: socket.socket, walled: bool, worker: boot.Boot) -> None:
        super().__init__(connection, walled, worker)
        self._started = False
        self._template = 0  # pid, 0 once it is reaped
        self._own_context = 0  # the template's number
        self._pair: socket.socket | None = None  # to the template, while it is believed
        self._queue: deque[tuple[control.Fork, tuple[int, ...]]] = deque()
        self._asked: control.Fork | None = None
        self._child = Child()  # whom the template is forking now
        self._unwanted = False  # that one was discarded meanwhile
        self._strangers: dict[int, int] = {}  # whom it has reaped meanwhile, and their status
        self._deadline = 0.0  # monotonic, while something is asked
        # Without a pid namespace: what the template's init has left to the steward, and whether a
        # context has died since it was last looked for what that has left.
        self._elders: set[int] | None = None
        self._unswept = False

    def _wait_ms(self) -> float | None:
        if self._asked is None:
            return None
        if self._pair is None:
            return _LOOK_MS
        return max(0.0, self._deadline - time.monotonic()) * 1000 + 1

    def _look_at_the_time(self) -> None:
        asked = self._asked
        if asked is None:
            if self._unswept:
                self._sweep()
            return
        over = time.monotonic() >= self._deadline
        if self._pair is None:
            self._salvage(asked, over)
        elif over:
            self._distrust(f"did not fork in {_PATIENCE:g} s")

    # -- to the template

    def _fork(self, packet: control.Fork, fds: tuple[int, ...]) -> None:
        if not self._started:
            self._start(packet, fds)
            return
        self._queue.append((packet, fds))
        self._ask()

    def _start(self, packet: control.Fork, fds: tuple[int, ...]) -> None:
        self._started = True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        child = Child()
        child.discarded = True  # nothing takes its place
        child.output = os.fstat(fds[2]).st_ino
        try:
            pid = os.fork()
            if pid == 0:
                run = self._worker.run
                end_with(run, fds, self._pidfd, False, packet.uid, theirs.fileno())
        except OSError as error:
            self._refuse(packet.context, str(error))
            return
        finally:
            theirs.close()
            self._close(fds)
        child.worker = self._template = pid
        self._own_context = packet.context
        self._pair = ours
        self._poll.register(ours, select.POLLIN)
        self._register(packet.context, child, os.pidfd_open(pid))

    def _ask(self) -> None:
        """Have the template fork for whoever is next."""
        if self._elders is None and not self._walled:
            self._elders = set(self._adopted())
        while self._queue and self._asked is None:
            packet, fds = self._queue.popleft()
            child = self._children.get(packet.context) if packet.revive else Child()
            if self._pair is None or child is None:
                reason = control.ENDED if self._pair is None else "its mounts are gone"
                self._refuse(packet.context, reason)
                self._close(fds)
                continue
            child.status = None
            child.output = os.fstat(fds[2]).st_ino
            given = [*fds, child.users, child.mounts] if child.mounts >= 0 else list(fds)
            self._asked, self._child, self._unwanted = packet, child, False
            self._strangers.clear()
            self._deadline = time.monotonic() + _PATIENCE
            try:
                if packet.uid:  # who opens /dev/stdout opens the pipe anew
                    os.fchown(fds[2], packet.uid, packet.uid)
                socket.send_fds(self._pair, [template.ASK.pack(packet.context)], given)
            except (BrokenPipeError, ConnectionResetError):
                self._distrust("")  # it has just ended
            except OSError as error:
                self._distrust(f"can't be reached: {error}")
            finally:
                self._close(fds)

    def _hear(self, fd: int) -> None:
        """An answer of the template's: bytes from somebody who may be anybody."""
        pair = self._pair
        if pair is None or fd != pair.fileno():
            return  # it is not believed any more
        try:
            data = pair.recv(64)  # descriptors that come with it are dropped by the kernel
        except BlockingIOError:
            return
        except OSError:
            data = b""
        asked = self._asked
        if not data:
            self._distrust("")
        elif asked is None or len(data) != template.ANSWER.size:
            self._distrust("said what it was not asked")
        else:
            self._judge(asked, *template.ANSWER.unpack(data))
            self._ask()

    def _judge(self, asked: control.Fork, context: int, worker: int, holder: int) -> None:
        own = kin.children()  # what is in there is not reaped yet: its number is nobody else's
        child, known = self._child, self._context_of
        new = [pid for pid in own if pid not in known]
        if context != asked.context:
            self._distrust("answered another question")
        elif worker < 0:
            self._asked = None
            reason = os.strerror(min(-worker, _LAST_ERROR))
            self._refuse(context, f"its template could not fork: {reason}")
        elif self._walled == bool(holder) and kin.are_born(new, worker, holder, child.output):
            self._take_over(asked, child, worker, holder)
        elif worker in self._strangers or (
            worker in own and worker not in known and kin.is_ending(worker)
        ):
            self._take_over_dead(asked, child, worker, holder)
        else:
            self._distrust("named a process that is not the one that was asked for")

    def _take_over(self, asked: control.Fork, child: Child, worker: int, holder: int) -> None:
        self._asked = None
        try:
            pidfd = os.pidfd_open(worker)
        except OSError as error:
            for pid in filter(None, (worker, holder)):
                os.kill(pid, signal.SIGKILL)
            self._refuse(asked.context, str(error))
            return
        child.worker, child.holder = worker, holder
        self._register(asked.context, child, pidfd)
        if self._unwanted:
            self._discard(asked.context)

    def _take_over_dead(self, asked: control.Fork, child: Child, worker: int, holder: int) -> None:
        """It has ended already, having served perhaps: what follows is as with any other. Who it
        was can't be seen any more; at worst a template deceives its own function."""
        self._asked = None
        context = asked.context
        child.close_namespaces()
        child.worker, child.holder, child.discarded = worker, 0, self._unwanted
        self._children[context] = child
        own, known = kin.children(), self._context_of
        if holder in own and holder not in known:
            child.holder = holder
            known[holder] = context
        if worker in self._strangers:
            child.worker, child.status = 0, self._strangers[worker]
            if child.holder:
                self._keep_mounts(child)
                os.kill(child.holder, signal.SIGKILL)
            else:
                self._report_exit(context, child)
        else:
            known[worker] = context
            self._reap()

    def _reaped_stranger(self, pid: int, status: int) -> None:
        if self._elders:
            self._elders.discard(pid)
        if self._asked is not None:
            self._strangers[pid] = status

    def _distrust(self, reason: str) -> None:
        """It broke the rules (`reason`), or is over: nothing more is heard of it, and it is
        killed."""
        if self._pair is None:
            return
        self._poll.unregister(self._pair)
        self._pair.close()
        self._pair = None
        if self._template:
            os.kill(self._template, signal.SIGKILL)
            if reason:
                self._refuse(self._own_context, f"the template {reason}")
        if reason or self._asked is None:
            self._refuse_asked()
        else:
            self._deadline = time.monotonic() + _AFTERLIFE

    def _salvage(self, asked: control.Fork, over: bool) -> None:
        """The template died while it forked: the worker may have been born all the same, and may
        have served an invocation by now."""
        strangers = self._adopted()
        for worker in strangers:
            if self._asked is None:
                break
            if kin.sid(worker) != worker or not kin.holds_at(worker, OUTPUT, self._child.output):
                continue
            if not self._walled:
                self._take_over(asked, self._child, worker, 0)
                continue
            for holder in strangers:
                if kin.is_first_of_one_namespace(holder, worker):
                    self._take_over(asked, self._child, worker, holder)
                    break
        if over or self._asked is None or not (strangers or self._template):
            self._refuse_asked()
            self._end_strangers()

    def _refuse_asked(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._refuse(asked.context, control.ENDED)
        self._ask()  # which refuses them all

    # -- endings

    def _discard(self, context: int) -> None:
        if self._asked is not None and self._asked.context == context:
            self._unwanted = True
            return
        for entry in self._queue:
            if entry[0].context == context:
                self._queue.remove(entry)
                self._close(entry[1])
                self._refuse(context, "it was discarded")
                return
        super()._discard(context)

    def _reap(self) -> None:
        super()._reap()
        if self._template and self._template not in self._context_of:
            self._template = 0
            self._distrust("")
        self._end_strangers()

    def _end_strays(self, session: int, output: int) -> None:
        kin.kill_adopted(
            self._adopted, lambda pid: kin.sid(pid) == session or kin.holds(pid, output)
        )
        self._unswept = True
        if self._asked is None:  # else one of those that were adopted may be the worker to come
            self._sweep()

    def _sweep(self) -> None:
        """Contexts adopt what is orphaned below them, so it is theirs that are dead, and not of the
        template's init, what else has come here."""
        self._unswept = False
        elders = self._elders or set()
        kin.kill_adopted(self._adopted, lambda pid: pid not in elders)

    def _end_strangers(self) -> None:
        """What a template leaves behind is nobody's; each death brings us here again."""
        if self._started and not self._template and self._asked is None:
            for pid in self._adopted():
                os.kill(pid, signal.SIGKILL)

    def _keep_mounts(self, child: Child) -> None:
        if self._template in self._context_of:
            child.keep_mounts()
            child.keep_user()

    def _kept(self, child: Child) -> bool:
        return super()._kept(child) and self._template in self._context_of
