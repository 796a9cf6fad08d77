"""What the platform says of a run in its function's log, where somebody listens."""

from __future__ import annotations

from samovar.context import opening
from samovar.context.process import WorkerProcess
from samovar.context.run import Run
from samovar.logs.stream import Started
from samovar_worker.wire.order import Turn

_new = tuple.__new__  # a named tuple's own is a Python function: twice the cost


def begin(process: WorkerProcess, run: Run) -> None:
    """Behind the output of an init that the run has to repeat, as on AWS."""
    process.output.platform(_new(Started, (run.invocation.function_arn,)))


def end(
    process: WorkerProcess,
    run: Run,
    usage: tuple[float, int, int],
    ending: tuple[float | None, str | None, bool, str],
    restored: int | None,
) -> bytes:
    """Behind all that was written; `usage`, `ending` and `restored` as `opening.run_ended` has
    them. The log's tail, if the run has asked for it."""
    output = process.output
    output.drain()
    if process.channel.turn not in (Turn.RUNNING, Turn.IDLE):
        begin(process, run)  # its init was repeated in vain
    output.platform(opening.run_ended(usage, ending, restored))
    return output.end()
