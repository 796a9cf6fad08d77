"""What a context's log says of its runs and inits, in AWS's words."""

from __future__ import annotations

from samovar.context import opening
from samovar.context.opening import Failure, Role
from samovar.context.process import WorkerProcess
from samovar.context.run import Run
from samovar.logs.stream import Started
from samovar_worker.wire.order import Turn

_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost


def run_begins(process: WorkerProcess, run: Run) -> None:
    """Behind the output of an init that the run has to repeat, as on AWS."""
    process.output.platform(_new(Started, (run.invocation.function_arn,)))


def run_ends(
    process: WorkerProcess,
    run: Run,
    usage: tuple[float, int, int],
    ending: tuple[float | None, str | None, bool, str],
    restored: int | None,
) -> bytes:
    """The fields of an Ended up to the memory used, and those behind it (`opening.run_ended`); the
    log's tail, if it was asked for."""
    output = process.output
    output.drain()
    if process.channel.turn not in (Turn.RUNNING, Turn.IDLE):
        run_begins(process, run)  # its init was repeated in vain
    output.platform(opening.run_ended(usage, ending, restored))
    return output.end()


def init_fails(
    process: WorkerProcess | None, role: Role, phase: str, seconds: float, failure: Failure
) -> None:
    """`phase`: «init», or «invoke» for one that a run had to repeat."""
    if process is None or not process.output.listening:
        return
    process.output.drain()
    process.output.platform(opening.ended(role, seconds, failure, phase))
