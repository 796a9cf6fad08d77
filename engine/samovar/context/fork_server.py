"""The engine's end of a socket to a process that forks: a zygote, or the steward of a template.

Contexts register themselves by number and are told of their process's fork, its exit, and of the
end of whoever forks.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Protocol

from samovar_worker.wire import control
from samovar_worker.wire.frames import ProtocolError

SEND_BUFFER = 1 << 20


class ForkListener(Protocol):
    """What a context is told by whoever forks its process."""

    def process_forked(self, pidfd: int) -> None: ...

    def process_refused(self, reason: str) -> None: ...

    def process_exited(self, exited: control.Exited) -> None: ...

    def zygote_lost(self, reason: str) -> None: ...


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The engine's end and the other one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return ours, theirs


class ForkServer:
    """`on_death` is called once, after all contexts; `who`: what it is called in messages."""

    def __init__(self, connection: socket.socket, who: str) -> None:
        self.alive = True
        self.on_death: Callable[[str], None] = lambda reason: None
        self._who = who
        self._connection = connection
        self._contexts: dict[int, ForkListener] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._on_readable)

    def fork(
        self, context: int, listener: ForkListener, fds: list[int], revive: bool, spare: bool
    ) -> None:
        """Ask for a process; the four descriptors (see `control.Fork`) may be closed after this."""
        self._contexts[context] = listener
        self._send(control.Fork(context, revive, spare, self._uid_of(context)), fds)

    def _uid_of(self, context: int) -> int:
        """Whose the process is to be; 0: the zygote's own user's."""
        return 0

    def discard(self, context: int) -> None:
        """Kill the context's process, if any, and let its mounts go."""
        self._send(control.Discard(context))

    def forget(self, context: int) -> None:
        """Tell this context nothing more."""
        self._contexts.pop(context, None)

    def contexts(self) -> list[tuple[int, ForkListener]]:
        """Those that there are, by number."""
        return list(self._contexts.items())

    def _send(self, packet: control.Packet, fds: list[int] | None = None) -> None:
        if not self.alive:
            return
        try:
            socket.send_fds(self._connection, [control.pack(packet)], fds or [])
        except BrokenPipeError:
            self._loop.call_soon(self._end, self._died)
        except OSError as error:
            self._loop.call_soon(self._end, f"{self._who} does not answer: {error}")

    def _on_readable(self) -> None:
        while self.alive:
            try:
                data, fds, _, _ = socket.recv_fds(self._connection, control.MAX_PACKET, 1)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it died over packets that it had not read
                self._end(self._died)
                return
            except OSError as error:
                self._end(f"the socket to {self._who} broke: {error}")
                return
            if not data:
                self._end(self._died)
                return
            try:
                self._take(control.unpack(data), fds)
            except ProtocolError as error:
                self._end(f"{self._who} broke the protocol: {error}")
                return
            finally:
                for fd in fds:  # which nobody took
                    os.close(fd)

    def _take(self, packet: control.Packet, fds: list[int]) -> None:
        context = getattr(packet, "context", None)
        listener = self._contexts.get(context) if context is not None else None
        if listener is None:
            return
        if isinstance(packet, control.Forked):
            if fds:
                listener.process_forked(fds.pop())
            else:  # the kernel had no room for it here; without it the process can't be killed
                self.discard(packet.context)
                listener.process_refused("this engine has no file descriptor left for it")
        elif isinstance(packet, control.Refusal):
            listener.process_refused(packet.reason)
        elif isinstance(packet, control.Exited):
            listener.process_exited(packet)

    @property
    def _died(self) -> str:
        return f"{self._who} died"

    def _end(self, reason: str) -> None:
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()
        self._ended()
        contexts, self._contexts = self._contexts, {}
        for listener in contexts.values():
            listener.zygote_lost(reason)
        self.on_death(reason)

    def _ended(self) -> None:
        """The connection is closed; nobody has been told yet."""
