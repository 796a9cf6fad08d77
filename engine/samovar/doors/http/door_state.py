"""What all connections of one door share."""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate

from uvicorn.server import ServerState

from samovar.doors.http.invoke import InvokePath
from samovar.doors.http.limits import ConnectionLimits
from samovar.invocation.identity import Identities


class DoorState(ServerState):
    """uvicorn's record of connections and tasks, with limits, the date and an end to wait for."""

    def __init__(
        self, limits: ConnectionLimits, request_ids: Identities, invocations: InvokePath
    ) -> None:
        super().__init__()
        self.limits = limits
        self.request_ids = request_ids
        self.invocations = invocations
        self.logger = logging.getLogger("samovar.http")
        self.stopping = False
        self._date_until = 0.0
        self.default_lines = b""  # the default headers as they are sent
        self._waiting: asyncio.Future[None] | None = None

    def refresh_date(self, now: float) -> None:
        """Keep the Date header right to the second; `now` is the loop's time."""
        if now >= self._date_until:
            self._date_until = now + 1.0
            self.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            self.default_lines = b"date: %s\r\n" % self.default_headers[0][1]

    def connection_closed(self) -> None:
        """A connection is gone; wakes `all_closed` after the last one."""
        if not self.connections and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def all_closed(self) -> None:
        """Wait until no connection is left."""
        if self.connections:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
