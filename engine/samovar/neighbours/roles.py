"""Keys of execution roles: assumed when they are needed, and renewed before they expire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from samovar.errors import SamovarError

# Seconds before the end of keys from which new ones are asked for, and from which the old ones are
# not used any more where that fails: botocore's own numbers.
RENEWAL, TOO_LATE = 900.0, 600.0
# Of a session's length, what these are at most: STS gives sessions of 15 minutes, too, and with an
# hour's numbers each request would ask for new ones.
_RENEWAL_PART, _TOO_LATE_PART = 1 / 4, 1 / 6
_LIMIT = 30.0  # seconds that assuming a role may take, however many bytes come meanwhile


class RoleNotAssumed(SamovarError):
    """A role gave no keys; `__cause__` is what its STS said, or how it did not."""


class Keys(NamedTuple):
    """What requests are signed with; the names are botocore's. From `renewed` (epoch seconds) new
    ones are asked for, and from `too_late` these are not used any more."""

    access_key: str
    secret_key: str
    token: str
    renewed: float
    too_late: float


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
        keys, now = self._keys, self._wall()
        if keys is not None and now < keys.renewed:
            return keys
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(_looked_at)
        try:
            # Who asked first may be cancelled; the others still wait.
            return await asyncio.shield(self._renewing)
        except RoleNotAssumed:
            if keys is not None and now < keys.too_late:
                return keys
            raise

    @property
    def renewing(self) -> bool:
        """Whether new ones are asked for just now."""
        return self._renewing is not None

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
            async with asyncio.timeout(_LIMIT):
                given = await self._assume()
            expires = given["Expiration"].timestamp()
            length = max(0.0, expires - self._wall())
            self._keys = Keys(
                given["AccessKeyId"],
                given["SecretAccessKey"],
                given["SessionToken"],
                expires - min(RENEWAL, length * _RENEWAL_PART),
                expires - min(TOO_LATE, length * _TOO_LATE_PART),
            )
        except TimeoutError as error:
            raise self._not_assumed(f"it took longer than {_LIMIT:g} s") from error
        except Exception as error:
            raise self._not_assumed(error) from error
        else:
            return self._keys
        finally:
            self._renewing = None

    def _not_assumed(self, why: object) -> RoleNotAssumed:
        return RoleNotAssumed(f"the role {self._role} could not be assumed: {why}")


def _looked_at(task: asyncio.Task[Keys]) -> None:
    """Nobody may wait for it any more, which is no reason to complain of its error."""
    if not task.cancelled():
        task.exception()
