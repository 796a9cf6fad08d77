"""What all connections of one door share."""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate
from typing import Any

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
        self.incoming = 0  # bytes that incomplete requests hold
        # Bytes of replies that wait for their clients, by connection, the longest wait first.
        self._unread: dict[Any, int] = {}
        self.unread = 0  # bytes, all together
        self._date_until = 0.0
        self.default_lines = b""  # the default headers as they are sent
        self._waiting: asyncio.Future[None] | None = None

    def refresh_date(self, now: float) -> None:
        """Keep the Date header right to the second; `now` is the loop's time."""
        if now >= self._date_until:
            self._date_until = now + 1.0
            self.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            self.default_lines = b"date: %s\r\n" % self.default_headers[0][1]

    def hold_unread(self, connection: Any, size: int) -> None:
        """Note `size` more bytes that the client of `connection` does not read.

        Where all together are too many, who has not read for the longest time is cut off.
        """
        self._unread[connection] = self._unread.get(connection, 0) + size
        self.unread += size
        while self.unread > self.limits.unread_bytes and self._unread:
            longest = next(iter(self._unread))
            self.forget_unread(longest)
            longest.transport.abort()

    def forget_unread(self, connection: Any) -> None:
        """`connection` is read from again, or gone; idempotent."""
        self.unread -= self._unread.pop(connection, 0)

    def connection_closed(self) -> None:
        """A connection is gone; wakes `all_closed` after the last one."""
        if not self.connections and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def all_closed(self) -> None:
        """Wait until no connection is left."""
        if self.connections:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
