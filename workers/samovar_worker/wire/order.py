"""Which message is legal when: one table, looked up by the engine for every frame it reads.

A peer that breaks it is killed with the reason; there is no second way to read a frame.
"""

from __future__ import annotations

from enum import Enum

from samovar_worker.wire.frames import ProtocolError
from samovar_worker.wire.messages import Kind


class Turn(Enum):
    """Where the conversation with one worker process stands, as the engine sees it."""

    FORKED = "forked"
    READY = "ready"
    INITIALIZING = "initializing"
    IDLE = "idle"
    RUNNING = "running"
    FAILED = "failed"  # the init failed; the process is about to exit


TABLE: dict[tuple[Turn, Kind], Turn] = {
    (Turn.FORKED, Kind.READY): Turn.READY,
    (Turn.READY, Kind.INIT): Turn.INITIALIZING,
    (Turn.INITIALIZING, Kind.INIT_DONE): Turn.IDLE,
    (Turn.INITIALIZING, Kind.INIT_FAILED): Turn.FAILED,
    (Turn.IDLE, Kind.INVOKE): Turn.RUNNING,
    (Turn.RUNNING, Kind.RESULT): Turn.IDLE,
    (Turn.RUNNING, Kind.ERROR): Turn.IDLE,
    (Turn.RUNNING, Kind.REFUSED): Turn.IDLE,
}


def after(turn: Turn, kind: int) -> Turn:
    """The turn after a message of `kind`; raises ProtocolError if it may not come now."""
    try:
        return TABLE[turn, kind]  # type: ignore[index]  # an int that equals a Kind finds it
    except KeyError:
        name = Kind(kind).name if kind in Kind.__members__.values() else f"kind {kind}"
        raise ProtocolError(f"{name} is not legal while {turn.value}") from None
