"""Room for large bodies that are here as a whole, until their requests are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from samovar.doors.http.faults import UNAVAILABLE
from samovar.errors import ClientError

# At once in work: each takes, beside its bytes, what they are decoded to, and most of a processor.
_IN_WORK = 2


class Room:
    """So many bytes and no more; who has a place waits until few others are in work."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._turns = asyncio.Semaphore(_IN_WORK)

    @asynccontextmanager
    async def place(self, size: int) -> AsyncIterator[None]:
        """A place for a body of `size` bytes; raises ClientError where there is none now."""
        if self._held + size > self._most:
            raise ClientError(
                UNAVAILABLE,
                f"Samovar has {self._held} bytes of large requests in work, and takes {self._most} "
                "at once; try again when some of them are answered.",
            )
        self._held += size
        try:
            async with self._turns:
                yield
        finally:
            self._held -= size
