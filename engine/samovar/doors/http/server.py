"""The HTTP server: uvicorn's protocol on the loop that is already running.

uvicorn's own Server is not used: it would install signal handlers, poll ten times a second, and
leave the process on a port that is taken.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from contextlib import suppress

from uvicorn.config import Config

from samovar.doors.http.app import LambdaApp
from samovar.doors.http.door_state import DoorState
from samovar.doors.http.limits import ConnectionLimits
from samovar.doors.http.protocol import DoorProtocol
from samovar.errors import SettingsError
from samovar.invocation.identity import Identities

_LAST_WORDS = 1.0  # seconds that replies have to leave once the grace is over
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - and what is meant here
_BACKLOG = 2048  # connections that the kernel holds while the loop is busy; cut to its somaxconn


def address_of(host: str, *, anywhere: bool) -> str:
    """The address to bind for `host`.

    Raises SettingsError unless it is an address, and one that only this machine reaches or
    `anywhere` is true: where requests are not authenticated, whoever reaches the port runs code.
    """
    if host == "localhost":
        return "127.0.0.1"  # one listener, so that port 0 means one port
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise SettingsError(
            f"host={host!r}: must be an address such as 127.0.0.1, ::1 or 0.0.0.0, or localhost"
        ) from error
    if not anywhere and not address.is_loopback:
        raise SettingsError(
            f"host={host!r}: must be a loopback address such as 127.0.0.1 or ::1, or localhost: "
            "requests are not authenticated, and whoever reaches this port runs code. Give access "
            "keys (--credentials-file), or allow it all the same (--allow-unsigned)"
        )
    return host


class HttpServer:
    """Serves the Lambda API. One use: start, then stop."""

    def __init__(
        self,
        app: LambdaApp,
        *,
        host: str,
        port: int,
        limits: ConnectionLimits | None = None,
        request_ids: Identities | None = None,
        anywhere: bool = False,
    ) -> None:
        """`anywhere`: whether other machines may reach it, too."""
        self._host = address_of(host, anywhere=anywhere)
        self._port = port
        self._state = DoorState(
            limits or ConnectionLimits(), request_ids or Identities(), app.invocations
        )
        self._app = app
        self._config = Config(
            app,
            http=DoorProtocol,
            ws="none",
            loop="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
        )
        self._config.load()
        self._server: asyncio.Server | None = None

    @property
    def endpoint(self) -> str:
        """The URL to give to clients on this machine, once started."""
        host = _EVERY_ADDRESS.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._state.connections)

    def memory(self) -> tuple[int, int]:
        """Bytes that are held of requests not complete yet, and of replies not read yet."""
        return self._state.incoming, self._state.unread

    async def start(self) -> int:
        """Listen; returns the port. Raises SettingsError if the address can't be had."""
        loop = asyncio.get_running_loop()

        def connection() -> DoorProtocol:
            return DoorProtocol(self._config, self._state, {}, loop)

        try:
            self._server = await loop.create_server(
                connection, self._host, self._port, backlog=_BACKLOG
            )
        except OSError as error:
            raise SettingsError(self._cannot_listen(error)) from error
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self._port

    def _cannot_listen(self, error: OSError) -> str:
        at = f"port={self._port}: can't listen on {self._host}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            return f"{at}: something listens there already; stop it, or choose another --port"
        if error.errno == errno.EACCES:
            return f"{at}: not permitted; choose a --port of 1024 or more"
        return f"{at}: {error}"

    async def stop(self, grace: float = 30.0) -> None:
        """Take no more requests, let those in progress finish for `grace` seconds, then cut off.

        Idle connections close at once. Idempotent.
        """
        self._state.stopping = True
        self._app.stop_waiting()
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            await asyncio.wait_for(self._drained(), grace)
        except TimeoutError:
            for task in list(self._state.tasks):
                task.cancel()
            # A cancelled request still says so to its client, if that one reads.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._drained(), _LAST_WORDS)
            for connection in list(self._state.connections):
                connection.transport.abort()
            await self._drained()
        await server.wait_closed()

    async def _drained(self) -> None:
        """Connections first: the end of one may still start a request that waited on it."""
        while self._state.connections or self._state.tasks:
            await self._state.all_closed()
            if self._state.tasks:
                await asyncio.wait(list(self._state.tasks))
