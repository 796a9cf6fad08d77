"""An execution context: one function version's process, its mounts, and the runs it serves.

A context outlives its process: after a timeout, an exit or a failed init the process is gone but
/tmp is kept, and the next run first forks a new process into the same mounts and runs the init
again, on that run's time («suppressed init»).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable

from samovar.context import opening, run_log, verdict
from samovar.context.deadlines import Countdown
from samovar.context.fork_server import ForkServer
from samovar.context.freezing import Frost
from samovar.context.launcher import ContextListener, Placement
from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.context.limits import limits_of
from samovar.context.opening import Failure, Role
from samovar.context.process import WorkerProcess, payload_memory
from samovar.context.run import Run, Verdict
from samovar.context.surroundings import Surroundings
from samovar.errors import ClientError
from samovar_worker.wire import control, messages
from samovar_worker.wire.frames import MAX_METADATA, Frame, ProtocolError
from samovar_worker.wire.messages import Kind, LeftOpen
from samovar_worker.wire.order import Turn

_log = logging.getLogger(__name__)
# Compared for every frame: a global costs a tenth of an attribute of an enum.
_READY, _REFUSED, _RESULT = int(Kind.READY), int(Kind.REFUSED), int(Kind.RESULT)
_ERROR, _INVOKE = int(Kind.ERROR), int(Kind.INVOKE)
_INIT_DONE, _INIT_FAILED = int(Kind.INIT_DONE), int(Kind.INIT_FAILED)
_IDLE_TURN = Turn.IDLE
_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost
_LONGEST_TYPE = 256  # characters of an error's type; a worker sends no longer one
_draw = random.Random().getrandbits  # noqa: S311  # tells runs apart, and keeps no secret
_ANOTHERS = "a reply to another invocation"


class ExecutionContext:
    """Forked at once, as a spare; becomes a function's with `start`."""

    def __init__(
        self,
        number: int,
        zygote: ForkServer,
        surroundings: Surroundings,
        spare: bool = False,
        role: Role = Role.SERVES,
    ) -> None:
        """`zygote`: whoever forks its processes; `spare`: nobody waits for it yet. Raises OSError
        when descriptors run out."""
        self.number = number
        self.zygote = zygote
        self.role = role
        self.lifecycle: Lifecycle | None = None
        self.placement: Placement | None = None
        self.invocations = 0
        self.memory_used = 0  # MB, peak of the last process that ran
        self.init_began = 0.0  # monotonic
        self.init_seconds: float | None = None
        self.lost = False
        self.failure: Failure | None = None  # of the first init or restore
        self.left_open: LeftOpen | None = None  # by a template's init
        self._s = surroundings
        self._limiter = surroundings.limiter
        self._clock = surroundings.clock
        self._listener: ContextListener | None = None
        self._loop = asyncio.get_running_loop()
        self._process: WorkerProcess | None = None
        self._run: Run | None = None
        self._countdown = Countdown(surroundings.deadlines, self._expired)
        self._out_of_time = self._overran = self._reaped = False
        # Told when it ends as a spare, and whether it had been ready.
        self.spare_lost: Callable[[bool], None] = lambda was_ready: None
        self._broken: str | None = None
        self._stopping: str | None = None
        self._failed_init: tuple[bytes, str] | None = None  # the error's JSON and its type
        self._number = 0  # of the run; nobody can answer one before he is asked
        self._begun_again = False  # with this run
        self._suppressed = False  # an init runs, or ran, on the run's own time
        self._restless = 0  # as the last Done has it
        self._in_worker = 0  # microseconds of the last init or restore by the worker's own measure
        self._frost = None if role is Role.TEMPLATE else Frost.by(surroundings.freezer)
        self._memory_fd = payload_memory()
        try:
            self._fork(revive=False, spare=spare)
        except OSError:
            os.close(self._memory_fd)
            raise

    @property
    def pid(self) -> int:
        """The worker's pid; 0 while there is no process."""
        return self._process.pid if self._process is not None else 0

    @property
    def current(self) -> Run | None:
        """The run that it is in."""
        return self._run

    @property
    def frozen(self) -> bool:
        """Whether its processes are stopped, until it is given a run."""
        return self._frost is not None and self._frost.frozen

    @property
    def usable(self) -> bool:
        """Whether a spare's process is still there."""
        return self._broken is None

    # -- what the scheduler's driver asks for

    def start(self, lifecycle: Lifecycle, placement: Placement, listener: ContextListener) -> None:
        """Run the init of a version; `listener.context_ready` follows, or `context_gone`."""
        self.lifecycle = lifecycle
        self.placement = placement
        self._listener = listener
        process = self._process
        if self._broken is not None or process is None:
            self._loop.call_soon(self._gone, self._broken or "its process ended")
            return
        process.output.name(placement.log)
        if process.channel.turn is Turn.READY and lifecycle.state is ContextState.STARTING:
            self._send_init()
        self._limiter.limit(self, limits_of(placement.version))  # behind what the worker waits for

    def run(self, run: Run) -> None:
        """Run an invocation; `run.finished` and `listener.context_free` follow."""
        placement = self.placement
        assert placement is not None
        self._run = run
        self._limiter.guard.begin(self.number)
        if self._frost is not None:
            self._frost.wake()
        now = run.started = self._clock.monotonic()
        self._countdown.begin(placement.version.configuration.timeout, now)
        process = self._process
        if process is None and self.failure is not None and self.role is Role.RESTORED:
            self._loop.call_soon(self._refuse, self.failure)
        elif process is None:
            self._suppressed = True
            self.init_began = now
            try:
                revived = self._fork(revive=True)
            except OSError as error:
                self._loop.call_soon(self.abandon, f"no process could be made: {error}")
            else:
                revived.output.begin(run.invocation.log_tail, run.invocation.request_id)
        else:
            process.output.begin(run.invocation.log_tail, run.invocation.request_id)
            self._send_invoke(process)

    def stop(self, reason: str) -> None:
        """Kill the process and let the mounts go; `listener.context_gone` follows."""
        self._stopping = reason
        self.zygote.discard(self.number)
        if self._process is None:
            self._loop.call_soon(self._gone, reason)

    def abandon(self, reason: str) -> None:
        """Give up on process and mounts at once; a run fails by `reason`."""
        if self._process is not None:
            self._process.kill()
        self.lost = True
        self._process_over(reason, lost=True)

    def overran(self) -> None:
        """It has more memory than it may have: the process goes, with all it has started."""
        if self._process is not None and self.placement is not None and not self._out_of_time:
            self._overran = True
            self._process.kill()

    def discard(self) -> None:
        """Give back a context that was never started."""
        self.zygote.discard(self.number)
        self.close()

    def close(self) -> None:
        """Let go of all descriptors; idempotent. The process is the zygote's affair."""
        self._close_process()
        self._limiter.leave(self)
        self.zygote.forget(self.number)
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    # -- what the zygote says

    def process_forked(self, pidfd: int) -> None:
        process = self._process
        if process is None or process.is_forked:
            os.close(pidfd)
            return
        process.forked(pidfd)
        self._limiter.enter(self, process.pid)
        if self._out_of_time or self._broken:
            process.kill()

    def process_refused(self, reason: str) -> None:
        if self._process is not None and self._process.is_forked:
            self._on_broken(reason)  # a template whose steward no longer believes it
            return
        self.abandon(f"no process could be forked: {reason}")

    def process_exited(self, exited: control.Exited) -> None:
        process, run = self._process, self._run
        if process is not None:
            self._reaped = True  # what it wrote before it died counts, but no run is given to it
            process.channel.read()
            process.note_exit(exited.peak_kb)
            self.memory_used = process.memory_used
            if run is not None and self._never_began(process, exited):
                self._begun_again, self._broken = True, None
                self._countdown.withdraw()
                self._close_process()
                self.run(run)
                return
        self._settle_exit(exited, run_over=run is not None)

    def _never_began(self, process: WorkerProcess, exited: control.Exited) -> bool:
        """Whether it ended before it had heard of the run: another process can have it, once."""
        over = self._out_of_time or self._stopping is not None or self._begun_again
        if process.channel.turn is not Turn.RUNNING or over or not exited.tmp_kept:
            return False
        kept = self.placement is not None and not self.placement.provisioned
        return kept and process.channel.unheard()

    def zygote_lost(self, reason: str) -> None:
        self.abandon(reason)

    # -- the conversation

    def _fork(self, revive: bool, spare: bool = False) -> WorkerProcess:
        process = WorkerProcess(
            self._memory_fd, self._s.journal, self._clock.wall, self._on_frame, self._on_broken
        )
        self._process = process
        self._out_of_time = self._overran = self._reaped = False
        self._failed_init = None
        if self.placement is not None:
            process.output.name(self.placement.log)
        self.zygote.fork(self.number, self, process.theirs, revive, spare)
        process.handed_over()
        return process

    def _send_init(self) -> None:
        placement, process = self.placement, self._process
        assert placement is not None and process is not None
        now = self.init_began = self._clock.monotonic()
        self._limiter.guard.begin(self.number)
        if self.lifecycle is not None and self.lifecycle.state is ContextState.STARTING:
            self.lifecycle.move(ContextState.INITIALIZING)
            self._countdown.begin(placement.init_timeout or self._s.init_timeout, now)
            if process.output.listening:
                process.output.platform(opening.started(self.role))
        process.channel.send(*opening.message(self.role, placement, self._suppressed))

    def _send_invoke(self, process: WorkerProcess) -> None:
        run, placement, clock = self._run, self.placement, self._clock
        assert run is not None and placement is not None
        asked = run.invocation
        left = run.started + placement.version.configuration.timeout - clock.monotonic()
        deadline_ms = int((clock.wall() + left) * 1000)
        # A plain tuple packs as the Invoke message that it is, without the cost of making one.
        arn, trace, client = asked.function_arn, asked.trace, asked.client_context
        metadata = messages.pack((asked.request_id, deadline_ms, arn, trace, client))
        self._number = _draw(64)
        process.channel.send(_INVOKE, metadata, asked.payload, self._number)
        if process.output.listening:
            run_log.run_begins(process, run)

    def _on_frame(self, frame: Frame) -> None:
        process = self._process
        assert process is not None
        kind = frame.kind
        if kind == _READY:
            messages.unpack(messages.Ready, frame.metadata)
            if self.placement is not None and self._stopping is None:
                self._send_init()
            return
        if self._out_of_time or self._overran:
            return  # too late: it is being killed
        if kind == _REFUSED:
            refused = messages.unpack(messages.Refused, frame.metadata)
            if frame.invocation != self._number:
                raise ProtocolError(_ANOTHERS)
            self._finish(self._clock.monotonic(), b"", refused=refused.reason)
            return
        microseconds, peak_kb, error_type, self._restless = messages.unpack_done(frame.metadata)
        now = self._clock.monotonic()
        process.note_memory(peak_kb, now)
        self.memory_used = process.memory_used
        if kind == _RESULT or kind == _ERROR:  # noqa: PLR1714, SIM109  # on the way of every reply
            if frame.invocation != self._number:
                raise ProtocolError(_ANOTHERS)
            self._finish(
                now,
                process.channel.payload(frame) if frame.flags else frame.payload,
                error_type[:_LONGEST_TYPE] if kind == _ERROR else None,
                microseconds / 1e6,
            )
        elif kind == _INIT_DONE:
            self._in_worker = microseconds
            if self.role is Role.TEMPLATE:
                if frame.payload_length > MAX_METADATA:  # 6 MB of it can be 400 MB of objects
                    raise ProtocolError("a list of what was left open that is too long")
                self.left_open = messages.unpack(LeftOpen, process.channel.payload(frame))
            self._init_done(process, now)
        elif kind == _INIT_FAILED:
            self._failed_init = (process.channel.payload(frame), error_type[:_LONGEST_TYPE])
            process.kill()  # it is about to exit; one that does not is not waited for

    def _init_done(self, process: WorkerProcess, now: float) -> None:
        self.init_seconds = now - self.init_began
        if process.output.listening:
            process.output.drain()  # what the init wrote comes before START
            if not self._suppressed:
                process.output.platform(opening.ended(self.role, self.init_seconds))
        self._limiter.opened(self)
        if self._run is not None:
            self._send_invoke(process)
            return
        self._limiter.guard.end(self.number)
        if self._reaped or self._stopping is not None:
            return
        self._countdown.withdraw()
        assert self._listener is not None
        self._listener.context_ready(self)
        self._rest(process, now)

    def _on_broken(self, reason: str) -> None:
        _log.warning("context %s is killed: %s", self.number, reason)
        self._broken = reason
        if self._process is not None:
            self._process.kill()

    def _expired(self) -> None:
        """The deadline of the init or of the run: the process goes, with all it has started."""
        self._out_of_time = True
        if self._process is not None:
            self._process.look_at_memory(self._clock.monotonic())
            self._process.kill()

    # -- endings

    def _finish(
        self,
        now: float,
        payload: bytes,
        error_type: str | None = None,
        in_handler: float | None = None,
        *,
        by_platform: bool = False,
        refused: str | ClientError | None = None,
        broken: str | None = None,
    ) -> None:
        """The run is over: log it, free the context, deliver the verdict.

        `by_platform`: the platform reports the error, not the runtime: REPORT shows its type.
        """
        run, self._run = self._run, None
        assert run is not None
        self._countdown.withdraw()
        self._limiter.guard.end(self.number)
        self._suppressed = self._begun_again = False
        duration = now - run.started
        if self._out_of_time:
            # AWS reports a timeout with the duration clamped to it.
            assert self.placement is not None
            duration = float(self.placement.version.configuration.timeout)
        tail = b""
        process = self._process
        if process is not None and process.output.listening:
            status = verdict.status(error_type, self._out_of_time, broken)
            ending = (run.init_shown, error_type, by_platform, status)
            assert self.placement is not None
            memory_size = self.placement.version.configuration.memory_size
            usage = (duration, memory_size, self.memory_used)
            restored = self._in_worker if self.role is Role.RESTORED else None
            tail = run_log.run_ends(process, run, usage, ending, restored)
        self.invocations += 1
        failed = None if error_type is None else verdict.UNHANDLED
        used = self.memory_used
        final = (payload, duration, used, failed, error_type, in_handler, tail, refused, broken)
        if process is not None and process.channel.turn is _IDLE_TURN and not self._reaped:
            assert self._listener is not None
            self._listener.context_free(self)
            self._rest(process, now)
        run.finished(_new(Verdict, final))

    def _rest(self, process: WorkerProcess, now: float) -> None:
        """It is free, unless whoever was told of that has had other plans."""
        if self._frost is not None and self._run is None and self._stopping is None:
            self._frost.rest(process, self._restless, now)

    def _refuse(self, failure: Failure) -> None:
        """It could not be restored for this run: nothing was run, and it goes."""
        self.failure = None
        if self._run is not None:
            refused = opening.restore_error(failure)
            self._finish(self._clock.monotonic(), b"", refused=refused)
        self._gone("it could not be restored")

    def bereft(self, reason: str) -> None:
        """No process will be made for it any more: if it has none, it goes."""
        if self._process is None and self._run is None and self._listener is not None:
            self._gone(reason)

    def _settle_exit(self, exited: control.Exited, run_over: bool) -> None:
        """The process is reaped: say what that means for the init or the run it was in."""
        run = self._run
        ended = verdict.Exit(exited.code, exited.signal, self._ran_out_of_memory(exited))
        failure = opening.failure_of(self._failed_init, self._out_of_time, ended)
        if run is None:
            if self._stopping is None and self._in(ContextState.INITIALIZING):
                self.failure = failure
                self._log_failed_init("init", failure)
        else:
            assert self.placement is not None
            timeout = self.placement.version.configuration.timeout if self._out_of_time else None
            request_id = run.invocation.request_id
            error = verdict.of_exit(request_id, ended, timeout)
            payload, error_type = error.to_json(), error.error_type
            if self._process is not None and self._process.channel.turn is not Turn.RUNNING:
                self._log_failed_init("invoke", failure)
                if self._failed_init is not None and not self._out_of_time:
                    payload, error_type = self._failed_init
            self._finish(self._clock.monotonic(), payload, error_type, by_platform=True)
        reason = self._broken or "its process ended"
        self._process_over(reason, lost=not exited.tmp_kept, run_over=run_over)

    def _ran_out_of_memory(self, exited: control.Exited) -> bool:
        """Whether it was killed for that: by us, or by the kernel at the hard limit."""
        if self.placement is None or exited.signal != signal.SIGKILL:
            return False
        by_us = self._overran or self._out_of_time or self._stopping or self._broken
        ran_out = bool(self._overran if by_us else self._limiter.killed(self))
        if ran_out:  # on AWS it can't have had more
            self.memory_used = self.placement.version.configuration.memory_size
        return ran_out

    def _log_failed_init(self, phase: str, failure: Failure) -> None:
        seconds = self._clock.monotonic() - self.init_began
        run_log.init_fails(self._process, self.role, phase, seconds, failure)

    def _process_over(self, reason: str, *, lost: bool, run_over: bool = False) -> None:
        """The process is no more; the context lives on without one unless its mounts are lost."""
        self._countdown.withdraw()
        self._limiter.guard.end(self.number)
        if self._run is not None:
            self._finish(self._clock.monotonic(), b"", broken=reason)
            run_over = True
        was_ready = self._process is not None and self._process.channel.turn is Turn.READY
        self._close_process()
        self._out_of_time = self._overran = False
        if self._listener is None:  # a spare
            self._broken = reason
            self.spare_lost(was_ready)
            return
        self._broken = None
        # Provisioned contexts are not revived: another one is initialised ahead of need.
        lost |= self.placement is not None and self.placement.provisioned
        if lost or self._stopping is not None:
            if self.failure is not None and self.role is Role.RESTORED:
                self._listener.context_ready(self)  # whoever waited for it is told
            if self._run is None:
                self._gone(self._stopping or reason)
        elif run_over:
            self._listener.context_free(self)
        elif self._in(ContextState.INITIALIZING):
            self._listener.context_ready(self)
            self.failure = None  # whoever waited for it was told; the next one has it tried again
        elif self._in(ContextState.STARTING):
            self.stop(reason)

    def _in(self, state: ContextState) -> bool:
        return self.lifecycle is not None and self.lifecycle.state is state

    def _close_process(self) -> None:
        process, self._process = self._process, None
        if self._frost is not None:
            self._frost.end()
        if process is not None:
            process.close()

    def _gone(self, reason: str) -> None:
        listener, self._listener = self._listener, None
        if self._stopping is None:
            self.zygote.discard(self.number)  # it may still hold the mounts
        self.close()
        if listener is not None:
            listener.context_gone(self, reason)
