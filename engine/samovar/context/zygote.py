"""The engine's end of one zygote: exec it, talk to it, notice its death.

The engine's process never forks; it execs a single-threaded interpreter (`Popen` without a preexec
function uses vfork) and passes it one end of a SEQPACKET socket. Contexts register themselves by
number and are told of their process's fork, exit, and of the zygote's end.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from typing import Protocol

from samovar.errors import EngineError
from samovar_worker.wire import control
from samovar_worker.wire.frames import ProtocolError

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from samovar_worker.launch import main; main(int(sys.argv[2]))"
)
# A fresh interpreter takes 30-60 ms, importing boto3 another 450 (measured), a slow disk more.
_HELLO_TIMEOUT = 60.0
_SEND_BUFFER = 1 << 20
_DIED = "the zygote died"


class ForkListener(Protocol):
    """What a context is told by its zygote."""

    def process_forked(self, pidfd: int) -> None: ...

    def process_refused(self, reason: str) -> None: ...

    def process_exited(self, exited: control.Exited) -> None: ...

    def zygote_lost(self, reason: str) -> None: ...


class WallsRefused(EngineError):
    """The host refused a wall; `missing` says which and why."""

    def __init__(self, missing: dict[str, str]) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        super().__init__(f"the host refuses walls around contexts ({reasons})")
        self.missing = missing


class Zygote:
    """A running zygote. Make one with `start`; `on_death` is called once, after all contexts."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        hello: control.Hello,
    ) -> None:
        self.hello = hello
        self.pid = process.pid
        self.alive = True
        self.on_death: Callable[[str], None] = lambda reason: None
        self._process = process
        self._connection = connection
        self._contexts: dict[int, ForkListener] = {}
        self._reaped: asyncio.Future[int] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._on_readable)

    @classmethod
    async def start(cls, launch: control.Launch, worker_path: str) -> Zygote:
        """Exec a zygote and wait for its Hello. Raises WallsRefused, EngineError."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            process = subprocess.Popen(  # noqa: ASYNC220, S603  # vfork and exec: a millisecond, once per zygote
                [
                    *(launch.executable, "-I", "-S", "-B", "-c", _BOOT),
                    *(worker_path, str(theirs.fileno())),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is the engine's alone
            )
        except OSError as error:
            ours.close()
            raise EngineError(f"can't start {launch.executable}: {error}") from error
        finally:
            theirs.close()
        try:
            await loop.sock_sendall(ours, control.pack(launch))
            data = await asyncio.wait_for(loop.sock_recv(ours, control.MAX_PACKET), _HELLO_TIMEOUT)
            if not data:
                raise EngineError(
                    f"{launch.executable} did not become a zygote; its error is on stderr"
                )
            hello = control.unpack(data)
            assert isinstance(hello, control.Hello)
            if not hello.walls and hello.missing:
                raise WallsRefused(hello.missing)
        except BaseException as error:
            ours.close()
            process.kill()
            process.wait()
            if isinstance(error, TimeoutError):
                raise EngineError(
                    f"{launch.executable} did not become a zygote in {_HELLO_TIMEOUT:g} s"
                ) from error
            if isinstance(error, OSError):
                raise EngineError(
                    f"{launch.executable} died before it became a zygote; its error is on stderr"
                ) from error
            raise
        return cls(process, ours, hello)

    def fork(
        self, context: int, listener: ForkListener, fds: list[int], revive: bool, spare: bool
    ) -> None:
        """Ask for a process; the four descriptors (see `control.Fork`) may be closed after this."""
        self._contexts[context] = listener
        self._send(control.Fork(context, revive, spare), fds)

    def discard(self, context: int) -> None:
        """Kill the context's process, if any, and let its mounts go."""
        self._send(control.Discard(context))

    def forget(self, context: int) -> None:
        """Tell this context nothing more."""
        self._contexts.pop(context, None)

    async def stop(self) -> None:
        """Close the connection, which ends the zygote and all its contexts, and reap it."""
        if self.alive:
            self._end("the engine stops")
        assert self._reaped is not None
        await self._reaped

    def _send(self, packet: control.Packet, fds: list[int] | None = None) -> None:
        if not self.alive:
            return
        try:
            socket.send_fds(self._connection, [control.pack(packet)], fds or [])
        except BrokenPipeError:
            self._loop.call_soon(self._end, _DIED)
        except OSError as error:
            self._loop.call_soon(self._end, f"the zygote does not answer: {error}")

    def _on_readable(self) -> None:
        while self.alive:
            try:
                data, fds, _, _ = socket.recv_fds(self._connection, control.MAX_PACKET, 1)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it died over packets that it had not read
                self._end(_DIED)
                return
            except OSError as error:
                self._end(f"the zygote's socket broke: {error}")
                return
            if not data:
                self._end(_DIED)
                return
            try:
                self._take(control.unpack(data), fds)
            except ProtocolError as error:
                self._end(f"the zygote broke the protocol: {error}")
                return

    def _take(self, packet: control.Packet, fds: list[int]) -> None:
        context = getattr(packet, "context", None)
        listener = self._contexts.get(context) if context is not None else None
        if listener is None:
            for fd in fds:
                os.close(fd)
        elif isinstance(packet, control.Forked):
            if fds:
                listener.process_forked(fds[0])
            else:  # the kernel had no room for it here; without it the process can't be killed
                self.discard(packet.context)
                listener.process_refused("this engine has no file descriptor left for it")
        elif isinstance(packet, control.Refusal):
            listener.process_refused(packet.reason)
        elif isinstance(packet, control.Exited):
            listener.process_exited(packet)

    def _end(self, reason: str) -> None:
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()
        # It ends now, if it has not yet; reaped here, because nothing else would ask for it.
        self._reaped = self._loop.run_in_executor(None, self._process.wait)
        contexts, self._contexts = self._contexts, {}
        for listener in contexts.values():
            listener.zygote_lost(reason)
        self.on_death(reason)
