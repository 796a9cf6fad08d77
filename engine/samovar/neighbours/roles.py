"""Keys of execution roles: assumed when they are needed, and renewed before they expire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from samovar.errors import SamovarError

# Seconds before the end of keys from which new ones are asked for, and from which the old ones are
# not used any more where that fails: botocore's own numbers.
RENEWAL, TOO_LATE = 900.0, 600.0


class RoleNotAssumed(SamovarError):
    """A role gave no keys; `__cause__` is what its STS said, or how it did not."""


class Keys(NamedTuple):
    """What requests are signed with; the names are botocore's. `expires` is epoch seconds."""

    access_key: str
    secret_key: str
    token: str
    expires: float


Assume = Callable[[], Awaitable[dict[str, Any]]]
"""Asks for keys once: STS's Credentials."""


class RoleKeys:
    """The keys of one role in one session, as botocore takes credentials.

    Whoever comes while they are being renewed gets what comes of that: one request at a time, and
    a dead STS is waited for once and not by one after the other.
    """

    def __init__(self, role: str, assume: Assume, wall: Callable[[], float]) -> None:
        self._role = role
        self._assume = assume
        self._wall = wall
        self._keys: Keys | None = None
        self._renewing: asyncio.Task[Keys] | None = None

    async def get_frozen_credentials(self) -> Keys:
        """Keys that are good for a while. Raises RoleNotAssumed."""
        keys = self._keys
        left = keys.expires - self._wall() if keys is not None else 0.0
        if keys is not None and left > RENEWAL:
            return keys
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(_looked_at)
        try:
            # Who asked first may be cancelled; the others still wait.
            return await asyncio.shield(self._renewing)
        except RoleNotAssumed:
            if keys is not None and left > TOO_LATE:
                return keys
            raise

    def forget(self) -> None:
        """They are refused, whatever the clock says."""
        self._keys = None

    async def close(self) -> None:
        """Ask for nothing any more."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _renew(self) -> Keys:
        try:
            given = await self._assume()
            self._keys = Keys(
                given["AccessKeyId"],
                given["SecretAccessKey"],
                given["SessionToken"],
                given["Expiration"].timestamp(),
            )
        except Exception as error:
            raise RoleNotAssumed(f"the role {self._role} could not be assumed: {error}") from error
        else:
            return self._keys
        finally:
            self._renewing = None


def _looked_at(task: asyncio.Task[Keys]) -> None:
    """Nobody may wait for it any more, which is no reason to complain of its error."""
    if not task.cancelled():
        task.exception()
