"""The engine's end of one zygote: exec it, talk to it, notice its death.

The engine's process never forks; it execs a single-threaded interpreter (`Popen` without a preexec
function uses vfork) and passes it one end of a SEQPACKET socket.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess

from samovar.context.fork_server import ForkListener, ForkServer, socket_pair
from samovar.context.uids import Tenants
from samovar.errors import EngineError
from samovar_worker.wire import control
from samovar_worker.wire.frames import ProtocolError

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from samovar_worker.launch import main; main(int(sys.argv[2]))"
)
# A fresh interpreter takes 30-60 ms, importing boto3 another 450 (measured), a slow disk more.
_HELLO_TIMEOUT = 60.0


class WallsRefused(EngineError):
    """The host refused a wall; `missing` says which and why."""

    def __init__(self, missing: dict[str, str]) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        super().__init__(f"the host refuses walls around contexts ({reasons})")
        self.missing = missing


class Zygote(ForkServer):
    """A running zygote. Make one with `start`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        hello: control.Hello,
        tenants: Tenants | None = None,
    ) -> None:
        super().__init__(connection, "the zygote")
        self.hello = hello
        self.pid = process.pid
        self.tenants = tenants or Tenants(None)
        self._process = process
        self._reaped: asyncio.Future[int] | None = None

    @classmethod
    async def start(
        cls, launch: control.Launch, worker_path: str, tenants: Tenants | None = None
    ) -> Zygote:
        """Exec a zygote and wait for its Hello. `tenants`: who has which of the launch's uids.
        Raises WallsRefused, EngineError."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket_pair()
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
            if not isinstance(hello, control.Hello):
                raise ProtocolError(f"{type(hello).__name__} in the place of a Hello")
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
            if isinstance(error, ProtocolError):
                raise EngineError(f"{launch.executable} is no zygote: {error}") from error
            if isinstance(error, OSError):
                raise EngineError(
                    f"{launch.executable} died before it became a zygote; its error is on stderr"
                ) from error
            raise
        return cls(process, ours, hello, tenants)

    def discard(self, context: int) -> None:
        super().discard(context)
        self.tenants.discarded(context)

    def _uid_of(self, context: int) -> int:
        return self.tenants.uid(context)

    def _take(self, packet: control.Packet, fds: list[int]) -> None:
        if isinstance(packet, control.Exited):
            self.tenants.ended(packet.context, packet.tmp_kept)
        elif isinstance(packet, control.Refusal):
            self.tenants.ended(packet.context, mounts_kept=True)  # those of an earlier process
        super()._take(packet, fds)

    def fork_steward(self, context: int, listener: ForkListener, connection: int) -> None:
        """Ask for a steward, known by a context's number, at the other end of `connection`."""
        self._contexts[context] = listener
        self._send(control.Steward(context), [connection])

    async def stop(self) -> None:
        """Close the connection, which ends the zygote and all its contexts, and reap it."""
        if self.alive:
            self._end("the engine stops")
        assert self._reaped is not None
        await self._reaped

    def _ended(self) -> None:
        self.tenants.lost()
        # It ends now, if it has not yet; reaped here, because nothing else would ask for it.
        self._reaped = self._loop.run_in_executor(None, self._process.wait)
