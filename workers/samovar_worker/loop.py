"""The life of a worker once its walls stand: init, then one invocation after the other."""

from __future__ import annotations

import atexit
import os
from _thread import _count as threads
from collections.abc import Callable
from os import P_ALL, WEXITED, WNOHANG, WNOWAIT, waitid
from resource import RUSAGE_SELF, getrusage
from time import perf_counter_ns as clock
from typing import Any

from msgpack import unpackb

from samovar_worker import handler, logs, renewal, snapshot
from samovar_worker.handler import Fault
from samovar_worker.lambda_context import LambdaContext
from samovar_worker.logs import set_request
from samovar_worker.marshal import dump_result
from samovar_worker.pipes import Wires, write_output
from samovar_worker.template import Template
from samovar_worker.trace import set_trace
from samovar_worker.wire import frames, memory, messages
from samovar_worker.wire.event_json import InvalidEvent, load_event
from samovar_worker.wire.messages import CHILDREN, THREADS, Kind, pack

# Looked up per invocation: a global costs a tenth of an attribute of an enum.
_INIT_DONE = int(Kind.INIT_DONE)
_RESULT = int(Kind.RESULT)
_MAX_RESPONSE = memory.MAX_RESPONSE
_QUICK = 500  # microseconds
_PEAK_AGE = 16
_LOOK = WEXITED | WNOHANG | WNOWAIT
_TOO_LARGE = (
    b'{"errorMessage":"Response payload size exceeded maximum allowed payload size '
    b'(%d bytes).","errorType":"Function.ResponseSizeTooLarge"}'
)


class Loop:
    """Runs one function in this process until the engine closes the request pipe."""

    def __init__(self, wires: Wires, ready: bytes) -> None:
        """`ready`: the frame that says that this process is there."""
        self._wires = wires
        self._ready = ready
        self._started = 0
        self._peak_kb = 0
        self._peak_age = _PEAK_AGE  # invocations since the kernel was asked
        self._children = 0  # CHILDREN if there were some then
        self._threads = 0  # counted by mistake: a fork counts those that its parent had

    def run(
        self, init: messages.Init, started: int, template: Callable[[], Template] | None = None
    ) -> None:
        """`started`: when the Init message arrived, on the `perf_counter_ns` clock; `template`:
        what this process is to be once its init is over."""
        self._started = started
        logs.configure()
        try:
            function = handler.load(init.handler)
            if template is not None:
                snapshot.run_before_hooks()
        except SystemExit as stop:
            self._exit(stop)
        except Exception as error:
            self._fail_init(error)
        except BaseException as error:  # CancelledError, KeyboardInterrupt: ends the interpreter
            fault = handler.fault_of(error)
            trace = "".join(["Traceback (most recent call last):\n", *fault.stack])
            self._exit(SystemExit(f"{trace}{fault.error_type}: {fault.message}"))
        else:
            LambdaContext.adopt_environment()
            if template is not None:
                self._be_template(template)
            self._wires.write(_INIT_DONE, self._done(self._started, ""))
            while True:
                self._serve(function)

    def _be_template(self, template: Callable[[], Template]) -> None:
        """Returns in each process that is forked from here, when that is somebody's context."""
        left = snapshot.left_open()
        logs.flush()
        if left.threads or left.sockets:
            logs.log_left_open(left)
        done = self._done(self._started, "")
        made = template()
        self._wires.write(_INIT_DONE, done, pack(left))
        made.serve()
        self._wires.renew()
        renewal.renew()
        self._wires.send(self._ready)
        frame = self._wires.read()
        self._started = clock()
        self._peak_kb, self._peak_age = 0, _PEAK_AGE
        self._threads = threads()
        restore = messages.trusted_restore(frame.metadata)
        renewal.adopt(restore)
        LambdaContext.adopt_environment()
        try:
            snapshot.run_after_hooks()
        except Fault as fault:
            self._fail_init(fault)

    def _serve(self, function: Callable[[Any, Any], Any]) -> None:
        frame = self._wires.read()
        started = clock()
        # The fields of an Invoke; it comes from the engine and needs no doubting.
        request_id, deadline_ms, function_arn, trace, client_context = unpackb(frame.metadata)
        try:
            event = load_event(self._wires.payload(frame) if frame.flags else frame.payload)
        except InvalidEvent as error:
            reason = messages.pack(messages.Refused(str(error)))
            self._wires.write(Kind.REFUSED, reason, b"", frame.invocation)
            return
        set_request(request_id)
        set_trace(trace)
        try:
            try:
                context = LambdaContext(request_id, deadline_ms, function_arn, client_context)
            except ValueError as error:
                message = f"Unable to parse Client Context JSON: {error}"
                raise Fault("Runtime.LambdaContextUnmarshalError", message) from None
            payload = dump_result(function(event, context))
        except SystemExit as stop:
            self._exit(stop)
        except KeyboardInterrupt as stop:
            self._exit(SystemExit(f"{type(stop).__name__}: {stop}"))
        except BaseException as error:
            self._wires.exit_if_forked(1)
            self._fail(frame, error, request_id, started)
            return
        if len(payload) > _MAX_RESPONSE:
            done = self._done(started, "Function.ResponseSizeTooLarge")
            text_too_large = _TOO_LARGE % memory.MAX_RESPONSE
            self._wires.write(Kind.ERROR, done, text_too_large, frame.invocation)
            return
        self._wires.write(_RESULT, self._done(started, ""), payload, frame.invocation)

    def _fail(
        self, frame: frames.Frame, error: BaseException, request_id: str, started: int
    ) -> None:
        fault = handler.fault_of(error)
        logs.flush()
        logs.log_error(fault, request_id)
        payload = handler.to_json(fault, request_id)
        if len(payload) > memory.MAX_RESPONSE:
            payload = _TOO_LARGE % memory.MAX_RESPONSE
        self._wires.write(
            Kind.ERROR, self._done(started, fault.error_type), payload, frame.invocation
        )

    def _fail_init(self, error: Exception) -> None:
        self._wires.exit_if_forked(1)
        fault = handler.fault_of(error)
        logs.flush()
        logs.log_failed_init()
        logs.log_error(fault, "")
        payload = handler.to_json(fault, "")[: memory.MAX_RESPONSE]
        self._wires.write(Kind.INIT_FAILED, self._done(self._started, fault.error_type), payload)
        os._exit(1)

    def _exit(self, stop: SystemExit) -> None:
        """`sys.exit` ends the process, as on AWS: exit handlers run, then the code is reported."""
        code = stop.code
        if code is not None and not isinstance(code, int):
            # Not with `print`: the function may have replaced it, or closed the stream.
            write_output(f"{code}\n".encode(errors="backslashreplace"))
            code = 1
        try:
            atexit._run_exitfuncs()
        finally:
            logs.flush()
            os._exit((code or 0) & 0xFF)

    def _done(self, started: int, error_type: str) -> bytes:
        microseconds = (clock() - started) // 1000
        # A quick invocation can't have grown by much, nor have forked: and asking costs as much as
        # the rest here.
        if microseconds >= _QUICK or error_type or self._peak_age >= _PEAK_AGE:
            self._peak_kb = getrusage(RUSAGE_SELF).ru_maxrss
            self._peak_age = 0
            self._children = _children()
        elif self._children:
            self._children = _children()
        self._peak_age += 1
        restless = self._children
        if threads() != self._threads:
            restless |= THREADS
        # A Done, as it travels.
        return pack((microseconds, self._peak_kb, error_type[:256], restless))


def _children() -> int:
    """CHILDREN if this process has any, dead ones that nobody has waited for among them."""
    try:
        waitid(P_ALL, 0, _LOOK)
    except ChildProcessError:
        return 0
    return CHILDREN
