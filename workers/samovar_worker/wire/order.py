"""Which message is legal when: one table, looked up by the engine for every frame it reads.

A peer that breaks it is killed with the reason; there is no second way to read a frame.
"""

from __future__ import annotations

from enum import Enum

from samovar_worker.wire.frames import ProtocolError
from samovar_worker.wire.messages import Kind


class Turn(Enum):
    """Where the conversation with one worker process stands, as the engine sees it."""

    __hash__ = object.__hash__  # Enum's own is a Python function, on the way of every message

    FORKED = "forked"
    READY = "ready"
    INITIALIZING = "initializing"
    IDLE = "idle"
    RUNNING = "running"
    FAILED = "failed"  # the init failed; the process is about to exit


TABLE: dict[tuple[Turn, int], Turn] = {
    (Turn.FORKED, int(Kind.READY)): Turn.READY,
    (Turn.READY, int(Kind.INIT)): Turn.INITIALIZING,
    (Turn.READY, int(Kind.RESTORE)): Turn.INITIALIZING,
    (Turn.INITIALIZING, int(Kind.INIT_DONE)): Turn.IDLE,
    (Turn.INITIALIZING, int(Kind.INIT_FAILED)): Turn.FAILED,
    (Turn.IDLE, int(Kind.INVOKE)): Turn.RUNNING,
    (Turn.RUNNING, int(Kind.RESULT)): Turn.IDLE,
    (Turn.RUNNING, int(Kind.ERROR)): Turn.IDLE,
    (Turn.RUNNING, int(Kind.REFUSED)): Turn.IDLE,
}


# What a worker may write: not what the engine does, though it be the turn of that.
REPLIES = {(turn, kind): then for (turn, kind), then in TABLE.items() if kind >= Kind.READY}


def after(turn: Turn, kind: int) -> Turn:
    """The turn after a message of the engine's; raises ProtocolError if it may not come now."""
    try:
        return TABLE[turn, kind]
    except KeyError:
        raise _illegal(turn, kind) from None


def after_reply(turn: Turn, kind: int) -> Turn:
    """The turn after a message of the worker's; raises ProtocolError if it may not come now."""
    try:
        return REPLIES[turn, kind]
    except KeyError:
        raise _illegal(turn, kind) from None


def _illegal(turn: Turn, kind: int) -> ProtocolError:
    name = Kind(kind).name if kind in Kind.__members__.values() else f"kind {kind}"
    return ProtocolError(f"{name} is not legal while {turn.value}")
