"""The engine's end of a template's steward: from whom the template's contexts are forked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from samovar.context.fork_server import ForkServer, socket_pair
from samovar.context.process import pid_of
from samovar.context.zygote import Zygote
from samovar_worker.wire import control


class Steward(ForkServer):
    """A fork of `zygote`'s, known there by a context's `number`; its first fork is the template.

    It is over with the zygote's end, its own, or `close`; with it all that was forked from it. Its
    contexts share a uid, which is nobody else's until the steward is reaped: each of them has a
    user namespace to itself, but for the template.
    """

    def __init__(self, zygote: Zygote, number: int, connection: socket.socket) -> None:
        super().__init__(connection, "the template's steward")
        self.zygote = zygote
        self.pid = 0
        # Told of every process that it could not or would not have forked, by context and reason.
        self.refused: Callable[[int, str], None] = lambda context, reason: None
        self.forks = 0  # processes that there are or were, the template included
        self._number = number
        self._uid = zygote.tenants.uid(number)
        self._closing = False

    @classmethod
    def start(cls, zygote: Zygote, number: int) -> Steward:
        """Have one forked. Raises OSError when descriptors run out, EngineError when uids do."""
        zygote.tenants.enter(number)
        try:
            ours, theirs = socket_pair()
        except OSError:
            zygote.tenants.ended(number, mounts_kept=False)
            raise
        with theirs:
            steward = cls(zygote, number, ours)
            zygote.fork_steward(number, steward, theirs.fileno())
        return steward

    def close(self) -> None:
        """End it and all that is left of its contexts."""
        self._end("it was let go of")

    def close_when_empty(self) -> None:
        """As `close`, once the last of its contexts is gone."""
        self._closing = True
        if not self._contexts:
            self.close()

    def forget(self, context: int) -> None:
        super().forget(context)
        if self._closing and not self._contexts:
            self.close()

    def _uid_of(self, context: int) -> int:
        return self._uid

    def _take(self, packet: control.Packet, fds: list[int]) -> None:
        if isinstance(packet, control.Refusal):
            self.refused(packet.context, packet.reason)
        elif isinstance(packet, control.Forked):
            self.forks += 1
        super()._take(packet, fds)

    def _ended(self) -> None:
        self.zygote.forget(self._number)
        self.zygote.discard(self._number)

    # -- what the zygote says of it

    def process_forked(self, pidfd: int) -> None:
        self.pid = pid_of(pidfd)
        os.close(pidfd)

    def process_refused(self, reason: str) -> None:
        self._end(f"no steward could be forked: {reason}")

    def process_exited(self, exited: control.Exited) -> None:
        """What it said before it died is still in its socket, and so is its end."""

    def zygote_lost(self, reason: str) -> None:
        self._end(reason)
