"""An execution context: one function version's process, its mounts, and the runs it serves.

A context outlives its process: after a timeout, an exit or a failed init the process is gone but
/tmp is kept, and the next run first forks a new process into the same mounts and runs the init
again, on that run's time («suppressed init»).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
from dataclasses import dataclass
from typing import Protocol

from samovar.clock import Clock
from samovar.context import verdict
from samovar.context.channel import Channel
from samovar.context.deadlines import Deadlines
from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.context.memory_use import peak_anonymous_mb
from samovar.context.output import LogSink, Output
from samovar.context.run import Run, Verdict
from samovar.context.zygote import Zygote
from samovar.model.function import FunctionVersion
from samovar_worker.wire import control, memory, messages
from samovar_worker.wire.frames import Frame, ProtocolError
from samovar_worker.wire.messages import Kind
from samovar_worker.wire.order import Turn

_log = logging.getLogger(__name__)
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MEMORY_CHECK = 1.0  # seconds between two looks at a worker whose own figure did not rise


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all contexts of an engine share."""

    clock: Clock
    deadlines: Deadlines
    init_timeout: float
    sink: LogSink | None


class ContextListener(Protocol):
    """Whom a context tells how it fares."""

    def context_ready(self, context: ExecutionContext) -> None:
        """The first init is over: done, or failed and to be tried again within an invocation."""

    def context_free(self, context: ExecutionContext) -> None:
        """The run is over and its verdict delivered next; another may come."""

    def context_gone(self, context: ExecutionContext, reason: str) -> None:
        """Its process is reaped, its mounts are let go; nothing more will come."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Whose code a context runs: all that `start` needs."""

    version: FunctionVersion
    task_root: str
    environment: dict[str, str]
    import_paths: tuple[str, ...]
    tmp_dir: str | None
    log_stream: str
    init_start: str  # the INIT_START line


class ExecutionContext:
    """Forked at once, as a spare; becomes a function's with `start`."""

    def __init__(self, number: int, zygote: Zygote, surroundings: Surroundings) -> None:
        """Raises OSError when descriptors run out."""
        self.number = number
        self.zygote = zygote
        self.pid = 0
        self.memory_used = 0  # MB, peak of the current process
        self.init_began = 0.0  # monotonic
        self.init_seconds: float | None = None
        self.invocations = 0
        self.lifecycle: Lifecycle | None = None
        self.placement: Placement | None = None
        self._s = surroundings
        self._listener: ContextListener | None = None
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._output: Output | None = None
        self._output_fd = -1
        self._pidfd = -1
        self._run: Run | None = None
        self._deadline: float | None = None  # the length under which a deadline is pending
        self._out_of_time = False
        self._broken: str | None = None
        self._stopping: str | None = None
        self._failed_init: tuple[bytes, str] | None = None  # the error's JSON and its type
        self._peak_kb = 0
        self._memory_checked = 0.0
        self._suppressed = False
        self._memory_fd = os.memfd_create("samovar-payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._memory_fd, memory.SIZE)
        fcntl.fcntl(self._memory_fd, fcntl.F_ADD_SEALS, _SEALS)
        self._fork(revive=False)

    # -- what the scheduler's driver asks for

    def start(self, lifecycle: Lifecycle, placement: Placement, listener: ContextListener) -> None:
        """Run the init of a version; `listener.context_ready` follows, or `context_gone`."""
        self.lifecycle = lifecycle
        self.placement = placement
        self._listener = listener
        assert self._output is not None
        self._output.name(placement.version.name, placement.log_stream)
        if self._broken is not None:
            self._loop.call_soon(self._gone, self._broken)
        elif self._channel is not None and self._channel.turn is Turn.READY:
            self._send_init()

    def run(self, run: Run) -> None:
        """Run an invocation; `run.finished` and `listener.context_free` follow."""
        assert self.placement is not None
        self._run = run
        now = run.started = self._s.clock.monotonic()
        timeout = self.placement.version.configuration.timeout
        self._deadline = timeout
        self._s.deadlines.add(timeout, self, now, self._expired)
        output = self._output
        if output is not None:
            output.begin(run.invocation.log_tail)
        if self._channel is None:
            self._suppressed = True
            self._fork(revive=True)
            output = self._output
            assert output is not None
            output.begin(run.invocation.log_tail)
        else:
            self._send_invoke()
        if output is not None and output.listening:
            version = self.placement.version.version
            output.line(f"START RequestId: {run.invocation.request_id} Version: {version}\n")

    def stop(self, reason: str) -> None:
        """Kill the process and let the mounts go; `listener.context_gone` follows."""
        self._stopping = reason
        self.zygote.discard(self.number)
        if self._channel is None and self.pid == 0:
            self._loop.call_soon(self._gone, reason)

    def abandon(self, reason: str) -> None:
        """Give up on process and mounts at once; a run fails by `reason`."""
        self._kill()
        self._process_over(reason, lost=True)

    def discard(self) -> None:
        """Give back a context that was never started."""
        self.zygote.discard(self.number)
        self.close()

    def close(self) -> None:
        """Let go of all descriptors; idempotent. The process is the zygote's affair."""
        self._close_process()
        self.zygote.forget(self.number)
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    @property
    def usable(self) -> bool:
        """Whether a spare's process is still there."""
        return self._broken is None

    # -- what the zygote says

    def process_forked(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        if self._out_of_time or self._broken:
            self._kill()

    def process_refused(self, reason: str) -> None:
        self._process_over(f"no process could be forked: {reason}", lost=True)

    def process_exited(self, exited: control.Exited) -> None:
        if self._channel is not None:
            self._channel.read()  # what it wrote before it died counts
        if exited.peak_kb > self._peak_kb and self.memory_used == 0:
            self.memory_used = -(-exited.peak_kb // 1024)
        self._settle_exit(exited)

    def zygote_lost(self, reason: str) -> None:
        self.abandon(reason)

    # -- the process

    def _fork(self, revive: bool) -> None:
        self._out_of_time = False
        self._peak_kb = 0
        self.memory_used = 0
        self._failed_init = None
        request_read, request_write = os.pipe2(os.O_CLOEXEC)
        reply_read, reply_write = os.pipe2(os.O_CLOEXEC)
        output_read, output_write = os.pipe2(os.O_CLOEXEC)
        theirs = [request_read, reply_write, output_write, self._memory_fd]
        self._channel = Channel(
            request_write, reply_read, self._memory_fd, self._on_frame, self._on_broken
        )
        self._output_fd = output_read
        os.set_blocking(output_read, False)
        self._output = Output(output_read, self._s.sink)
        if self.placement is not None:
            self._output.name(self.placement.version.name, self.placement.log_stream)
        self._loop.add_reader(output_read, self._on_output)
        self.zygote.fork(self.number, self, theirs, revive)
        for fd in theirs[:3]:
            os.close(fd)

    def _kill(self) -> None:
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # already dead: the report is on its way

    def _close_process(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._output_fd >= 0:
            self._loop.remove_reader(self._output_fd)
            os.close(self._output_fd)
            self._output_fd = -1
            self._output = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self.pid = 0

    # -- the conversation

    def _send_init(self) -> None:
        placement = self.placement
        assert placement is not None and self._channel is not None
        configuration = placement.version.configuration
        now = self.init_began = self._s.clock.monotonic()
        if self.lifecycle is not None and self.lifecycle.state is ContextState.STARTING:
            self.lifecycle.move(ContextState.INITIALIZING)
            self._deadline = self._s.init_timeout
            self._s.deadlines.add(self._s.init_timeout, self, now, self._expired)
            if self._output is not None and self._output.listening:
                self._output.line(placement.init_start)
        init = messages.Init(
            handler=configuration.handler,
            task_root=placement.task_root,
            environment=placement.environment,
            import_paths=placement.import_paths,
            tmp_size=configuration.ephemeral_storage,
            tmp_dir=placement.tmp_dir,
            revived=self._suppressed,
        )
        self._channel.send(Kind.INIT, messages.pack(init))

    def _send_invoke(self) -> None:
        run, placement, channel = self._run, self.placement, self._channel
        assert run is not None and placement is not None and channel is not None
        invocation = run.invocation
        left = run.started + placement.version.configuration.timeout - self._s.clock.monotonic()
        metadata = messages.pack(
            (
                int((self._s.clock.wall() + left) * 1000),
                invocation.function_arn,
                invocation.trace,
                invocation.client_context,
            )
        )
        run.identity = bytes.fromhex(invocation.request_id.replace("-", ""))
        channel.send(Kind.INVOKE, metadata, invocation.payload, run.identity)

    def _on_frame(self, frame: Frame) -> None:
        kind = frame.kind
        if kind == Kind.READY:
            messages.unpack(messages.Ready, frame.metadata)
            if self.placement is not None:
                self._send_init()
            return
        if self._out_of_time:
            return  # too late: it is being killed
        if kind == Kind.REFUSED:
            refused = messages.unpack(messages.Refused, frame.metadata)
            self._finish(b"", refused=refused.reason)
            return
        done = messages.unpack(messages.Done, frame.metadata)
        self._look_at_memory(done.peak_kb)
        if kind == Kind.INIT_DONE:
            self._init_done()
        elif kind == Kind.INIT_FAILED:
            assert self._channel is not None
            self._failed_init = (self._channel.payload(frame), done.error_type)
            # What remains is the exit, which the zygote reports; but do not wait for it for ever.
            self._kill()
        else:
            self._answered(frame, done)

    def _init_done(self) -> None:
        self.init_seconds = self._s.clock.monotonic() - self.init_began
        if self._run is not None:
            self._send_invoke()
            return
        self._withdraw_deadline()
        assert self._listener is not None
        self._listener.context_ready(self)

    def _answered(self, frame: Frame, done: messages.Done) -> None:
        run, channel = self._run, self._channel
        assert run is not None and channel is not None
        if run.identity != frame.invocation:
            raise ProtocolError("a reply to another invocation")
        failed = frame.kind == Kind.ERROR
        self._finish(
            channel.payload(frame),
            function_error=verdict.UNHANDLED if failed else None,
            error_type=done.error_type if failed else None,
            in_handler=done.microseconds / 1e6,
        )

    def _on_broken(self, reason: str) -> None:
        _log.warning("context %s is killed: %s", self.number, reason)
        self._broken = reason
        self._kill()

    def _on_output(self) -> None:
        if self._output is not None and not self._output.on_readable():
            self._loop.remove_reader(self._output_fd)

    def _expired(self) -> None:
        """The deadline of the init or of the run: the process goes, with all it has started."""
        self._deadline = None
        self._out_of_time = True
        self._look_at_memory(self._peak_kb + 1)
        self._kill()

    def _withdraw_deadline(self) -> None:
        if self._deadline is not None:
            self._s.deadlines.withdraw(self._deadline, self)
            self._deadline = None

    def _look_at_memory(self, peak_kb: int) -> None:
        """Ask the kernel when the worker's own figure rose, and every second otherwise."""
        now = self._s.clock.monotonic()
        if peak_kb > self._peak_kb or now - self._memory_checked >= _MEMORY_CHECK:
            self._peak_kb = max(self._peak_kb, peak_kb)
            self._memory_checked = now
            used = peak_anonymous_mb(self.pid) if self.pid else None
            if used is not None:
                self.memory_used = max(self.memory_used, used)

    # -- endings

    def _finish(
        self,
        payload: bytes,
        *,
        function_error: str | None = None,
        error_type: str | None = None,
        in_handler: float | None = None,
        refused: str | None = None,
        broken: str | None = None,
        platform: bool = False,
    ) -> None:
        """The run is over: log it, free the context, deliver the verdict."""
        run, self._run = self._run, None
        assert run is not None and self.placement is not None
        self._withdraw_deadline()
        self._suppressed = False
        duration = self._s.clock.monotonic() - run.started
        if self._out_of_time:
            # AWS reports a timeout with the duration clamped to it.
            duration = float(self.placement.version.configuration.timeout)
        tail = b""
        output = self._output
        if output is not None and output.listening:
            output.drain()
            shown = error_type if platform else None
            size = self.placement.version.configuration.memory_size
            request_id = run.invocation.request_id
            output.line(f"END RequestId: {request_id}\n")
            output.line(
                verdict.report_line(
                    request_id,
                    duration=duration,
                    memory_size=size,
                    memory_used=self.memory_used,
                    init=run.init_shown,
                    error_type=shown,
                )
            )
            tail = output.end()
        self.invocations += 1
        outcome = Verdict(
            payload,
            duration,
            self.memory_used,
            function_error,
            error_type,
            in_handler,
            tail,
            refused,
            broken,
        )
        if self._channel is not None and self._channel.turn is Turn.IDLE:
            assert self._listener is not None
            self._listener.context_free(self)
        run.finished(outcome)

    def _settle_exit(self, exited: control.Exited) -> None:
        """The process is reaped: say what that means for the init or the run it was in."""
        run, output = self._run, self._output
        if self._stopping is None and run is None and self.placement is not None:
            self._report_failed_init("init")
        if run is not None:
            request_id = run.invocation.request_id
            if self._suppressed and self._failed_init is not None:
                self._report_failed_init("invoke")
                payload, error_type = self._failed_init
            else:
                error = verdict.exited(request_id, exited.code, exited.signal)
                if self._out_of_time:
                    timeout = self.placement.version.configuration.timeout if self.placement else 0
                    error = verdict.timed_out(request_id, timeout)
                payload, error_type = error.to_json(), error.error_type
            if output is not None and output.listening:
                output.drain()
            self._finish(
                payload, function_error=verdict.UNHANDLED, error_type=error_type, platform=True
            )
        self._process_over("its process ended", lost=not exited.tmp_kept, run_over=run is not None)

    def _report_failed_init(self, phase: str) -> None:
        output = self._output
        if output is None or not output.listening or self.placement is None:
            return
        starting = self.lifecycle is not None and self.lifecycle.state is ContextState.INITIALIZING
        if phase == "init" and not starting:
            return
        output.drain()
        if self._out_of_time:
            error_type = None
        else:
            error_type = self._failed_init[1] if self._failed_init else "Runtime.ExitError"
        seconds = self._s.clock.monotonic() - self.init_began
        output.line(verdict.init_report_line(seconds, phase, error_type))

    def _process_over(self, reason: str, *, lost: bool, run_over: bool = False) -> None:
        """The process is no more; the context lives on without one unless its mounts are lost."""
        self._withdraw_deadline()
        if self._run is not None:
            self._finish(b"", broken=reason)
            run_over = True
        self._close_process()
        self._out_of_time = False
        if self._listener is None:  # a spare
            self._broken = reason
        elif lost or self._stopping is not None:
            self._gone(self._stopping or reason)
        elif run_over:
            self._broken = None
            self._listener.context_free(self)
        elif self.lifecycle is not None and self.lifecycle.state is ContextState.INITIALIZING:
            self._broken = None
            self._listener.context_ready(self)
        elif self.lifecycle is not None and self.lifecycle.state is ContextState.STARTING:
            self.stop(reason)

    def _gone(self, reason: str) -> None:
        listener, self._listener = self._listener, None
        self.close()
        if listener is not None:
            listener.context_gone(self, reason)
