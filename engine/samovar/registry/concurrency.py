"""Reserved concurrency: what functions have of the account's, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from samovar.errors import AWS, ClientError
from samovar.model.concurrency import Account, Claim
from samovar.model.function import LATEST
from samovar.model.provisioning import ProvisionedConfig
from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.index import Entry, Index

TellReserved = Callable[[str, int | None], None]
"""Called on the loop with a function's ARN and what it has reserved now; must not raise."""


def reserved_of(entry: Entry) -> int | None:
    """What a function has reserved; None where it has nothing."""
    attached = entry.attached.get((Kind.CONCURRENCY, entry.shown.arn))
    return None if attached is None else int(attached.document)


def configs_of(entry: Entry) -> Iterator[ProvisionedConfig]:
    """The provisioned concurrency of a function's aliases and versions."""
    for (kind, resource), attached in entry.attached.items():
        if kind is Kind.PROVISIONED:
            yield ProvisionedConfig.of(resource, attached.document)


def claim_of(entry: Entry) -> Claim:
    """What a function takes of the account."""
    return Claim(reserved_of(entry), sum(config.requested for config in configs_of(entry)))


class Concurrency:
    """The reserved concurrency of functions. All methods raise ClientError for what the caller did
    wrong."""

    def __init__(
        self, index: Index, attaching: Attaching, account: Account, tell: TellReserved
    ) -> None:
        self.account = account
        # Held by whoever takes something of the account: of two that would take the last of it at
        # the same time only one may.
        self.claiming = asyncio.Lock()
        self._index = index
        self._attaching = attaching
        self._tell = tell

    def get(self, name: str, qualifier: str | None = None) -> int | None:
        """What a function has reserved; None where it has nothing. All its versions and aliases
        share it, so any that is there may be asked (whether AWS lets one is unconfirmed)."""
        return reserved_of(self._entry(name, qualifier))

    async def put(self, name: str, qualifier: str | None, reserved: int) -> None:
        """Reserve `reserved` for a function, in the place of what it has; 0 stops it."""
        _demand_unqualified(qualifier)
        if reserved < 0:
            raise ClientError(
                AWS.INVALID_PARAMETER, f"{reserved} can't be reserved: give 0 or more."
            )

        def change(entry: Entry) -> object:
            self.account.demand_reservable(reserved, claim_of(entry), self.others(entry))
            return reserved

        await self._attach(name, change)

    async def delete(self, name: str, qualifier: str | None = None) -> None:
        """Give up what a function has reserved; nothing is no error."""
        _demand_unqualified(qualifier)
        await self._attach(name, lambda _: None)

    def reservations(self) -> Iterator[tuple[str, int]]:
        """The ARNs of the functions that have reserved something, and how much."""
        for entry in self._index:
            reserved = reserved_of(entry)
            if reserved is not None:
                yield entry.shown.arn, reserved

    def unreserved(self) -> int:
        """What all functions leave of the account. O(functions)."""
        return self.account.unreserved(map(claim_of, self._index))

    def others(self, entry: Entry) -> Iterator[Claim]:
        """What the other functions take."""
        return (claim_of(other) for other in self._index if other is not entry)

    async def _attach(self, name: str, change: Callable[[Entry], object]) -> None:
        entry = self._entry(name)
        await self._attaching.attach(
            name,
            Kind.CONCURRENCY,
            entry.shown.arn,
            change,
            during=self._attaching.telling(
                entry, lambda: self._tell(entry.shown.arn, reserved_of(entry))
            ),
            alone=self.claiming,
        )

    def _entry(self, name: str, qualifier: str | None = None) -> Entry:
        """The function; AWS's 404 names a version here, as Invoke's does (recorded; whether that is
        so of all three operations is unconfirmed)."""
        if self._index.find(name) is None:
            raise self._index.not_found(name, qualifier or LATEST)
        return self._index.entry(name, qualifier)


def _demand_unqualified(qualifier: str | None) -> None:
    if qualifier is not None:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "This operation is permitted on Lambda functions only. Aliases and versions do not "
            "support this operation. Please specify either a function name or an unqualified "
            "function ARN.",
        )
