"""How a context becomes its version's: by an init, or by a restore from a template. Pure."""

from __future__ import annotations

import json
from enum import Enum
from typing import NamedTuple

from samovar.context import verdict
from samovar.context.launcher import Placement
from samovar.errors import AWS, ClientError
from samovar.logs.stream import Ended, InitEnded, InitStarted, RestoreEnded, RestoreStarted
from samovar_worker.wire import messages
from samovar_worker.wire.messages import Kind

_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost

# AWS: after-restore hooks have 10 seconds.
RESTORE_TIMEOUT = 10.0
_NO_REQUEST = "RequestId:  Error: "
_READ = 256 * 1024  # bytes of an error's JSON that are worth a look: its objects take 25 times that
_MOST = 1024  # characters of a reason


class Role(Enum):
    """What a context's process is for."""

    SERVES = "serves"  # runs its own init
    TEMPLATE = "template"  # runs an init, then only forks
    RESTORED = "restored"  # forked from a template


class Failure(NamedTuple):
    """Why an opening came to nothing: AWS's error type, the error's JSON as the worker gave it (may
    be empty), whether its time was up."""

    error_type: str
    payload: bytes
    timed_out: bool

    @property
    def reason(self) -> str:
        """For people: the error's message where there is one; at most 1,024 characters."""
        if self.timed_out:
            return "The init did not end in its time."
        reason = self.error_type
        try:
            if len(self.payload) <= _READ:
                message = json.loads(self.payload)["errorMessage"]
                reason += f": {message.removeprefix(_NO_REQUEST)}"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass  # a worker writes what it likes
        # Of what UTF-8 can hold: it is kept with the version, and shown.
        return reason[:_MOST].encode(errors="replace").decode()

    @property
    def state_code(self) -> str:
        """The StateReasonCode of a version whose template failed so (of the API model's)."""
        if self.timed_out:
            return "FunctionError.InitTimeout"
        if self.error_type == verdict.OUT_OF_MEMORY:
            return "FunctionError.InitResourceExhausted"
        if self.error_type == "Runtime.ExitError":
            return "FunctionError.RuntimeInitError"
        return "InternalError" if self.error_type == "InternalError" else "FunctionError"


def message(role: Role, placement: Placement, revived: bool) -> tuple[Kind, bytes]:
    """What the worker is told. `revived`: its mounts are those of an earlier process."""
    if role is Role.RESTORED:
        restore = messages.Restore(placement.environment, placement.tmp_dir, revived)
        return Kind.RESTORE, messages.pack(restore)
    configuration = placement.version.configuration
    init = messages.Init(
        handler=configuration.handler,
        task_root=placement.task_root,
        environment=placement.environment,
        import_paths=placement.import_paths,
        tmp_size=configuration.ephemeral_storage,
        tmp_dir=placement.tmp_dir,
        revived=revived,
        layers=placement.layers,
        template=role is Role.TEMPLATE,
        offline=placement.offline,
    )
    return Kind.INIT, messages.pack(init)


def started(role: Role) -> InitStarted | RestoreStarted:
    """What the log says as it begins."""
    return RestoreStarted() if role is Role.RESTORED else InitStarted()


def ended(
    role: Role, seconds: float, failure: Failure | None = None, phase: str = "init"
) -> InitEnded | RestoreEnded:
    """What the log says when it is over."""
    status, error_type = "success", None
    if failure is not None:
        status = "timeout" if failure.timed_out else "error"
        error_type = None if failure.timed_out else failure.error_type
    if role is Role.RESTORED:
        return RestoreEnded(seconds, status, error_type)
    return InitEnded(seconds, phase, status, error_type)


def restore_error(failure: Failure) -> ClientError:
    """What an invocation comes to whose context could not be restored (texts of the API model)."""
    if failure.timed_out:
        text = "Lambda couldn't restore the snapshot within the timeout limit."
        return ClientError(AWS.SNAP_START_TIMEOUT, text)
    text = (
        "The afterRestore() runtime hook encountered an error. "
        "For more information, check the Amazon CloudWatch logs."
    )
    return ClientError(AWS.SNAP_START, text)


def broken(reason: str) -> Failure:
    """For what is nobody's fault but the engine's, or a template's that broke the rules."""
    return Failure("InternalError", json.dumps({"errorMessage": reason}).encode(), False)


def run_ended(
    usage: tuple[float, int, int],
    ending: tuple[float | None, str | None, bool, str],
    restored: int | None,
) -> Ended:
    """The fields of an Ended up to the memory used, and those behind it; `restored`: microseconds
    in the worker, if what an init would be was a restore."""
    restore, billed = None, 0
    if restored is not None and ending[0] is not None:
        restore, billed = ending[0], -(-restored // 1000)
        ending = (None, *ending[1:])
    return _new(Ended, (*usage, *ending, restore, billed))


def failure_of(failed: tuple[bytes, str] | None, timed_out: bool, ended: verdict.Exit) -> Failure:
    """`failed`: the error's JSON and type, if the worker said them; else how its process ended."""
    if failed is not None and not timed_out:
        return Failure(failed[1], failed[0], False)
    error = verdict.exited("", ended)
    return Failure(error.error_type, b"" if timed_out else error.to_json(), timed_out)
