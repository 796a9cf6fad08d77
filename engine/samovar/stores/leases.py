"""Who reads a shard, and how far it was read. One conformance suite holds every store to it.

A lease belongs to whoever took it last: taking counts its epoch up, and a write must carry the
epoch that it was made under, so that a reader which was taken over changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from samovar.errors import EngineError, SamovarError


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to read one shard for one mapping. `epoch` is 1 for whoever takes it first;
    `checkpoint` is the reader's own text, which says where the next reader goes on."""

    mapping: str
    shard: str
    owner: str
    epoch: int
    checkpoint: str


class LeaseLost(SamovarError):
    """Somebody else took the lease, or it is gone. `found` is its epoch now, 0 for none."""

    def __init__(self, mapping: str, shard: str, expected: int, found: int) -> None:
        super().__init__(
            f"the lease of the shard {shard} for {mapping} has the epoch {found}, not {expected}"
        )
        self.expected = expected
        self.found = found


class LeaseStore(Protocol):
    """Leases, durably: what was awaited without an error survives kill -9 and power loss, and what
    raised has changed nothing. Every method raises EngineError when the store itself fails."""

    async def open(self) -> None:
        """Make ready; again after `close` if need be."""

    async def close(self) -> None:
        """Carry out what was asked for, then let go of files and threads; idempotent."""

    async def of(self, mapping: str) -> Sequence[Lease]:
        """A mapping's leases, by shard."""

    async def take(self, mapping: str, shard: str, owner: str, seen: int, checkpoint: str) -> Lease:
        """Become the owner of a lease that was seen with the epoch `seen`; 0 for one that is not
        there yet, which begins with `checkpoint`: another keeps its own. Raises LeaseLost."""

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        """Write a checkpoint under the epoch of `lease`; raises LeaseLost."""

    async def remove(self, lease: Lease) -> None:
        """Delete a lease under its epoch; raises LeaseLost."""

    async def forget(self, mapping: str) -> None:
        """Delete all leases of a mapping, whoever has them."""

    async def keep_only(self, mappings: Collection[str]) -> None:
        """Delete the leases of all other mappings, whoever has them."""

    def exists(self) -> bool:
        """Whether there may be leases; opens nothing, and makes nothing."""


class MemoryLeaseStore:
    """Lives as long as the object; what was written is there again after `close` and `open`."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], Lease] = {}
        self._closed = False

    async def open(self) -> None:
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    async def of(self, mapping: str) -> Sequence[Lease]:
        self._need_open()
        return [self._leases[key] for key in sorted(self._leases) if key[0] == mapping]

    async def take(self, mapping: str, shard: str, owner: str, seen: int, checkpoint: str) -> Lease:
        self._demand(mapping, shard, seen)
        found = self._leases.get((mapping, shard))
        kept = checkpoint if found is None else found.checkpoint
        lease = self._leases[mapping, shard] = Lease(mapping, shard, owner, seen + 1, kept)
        return lease

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        self._demand(lease.mapping, lease.shard, lease.epoch)
        written = replace(lease, checkpoint=checkpoint)
        self._leases[lease.mapping, lease.shard] = written
        return written

    async def remove(self, lease: Lease) -> None:
        self._demand(lease.mapping, lease.shard, lease.epoch)
        del self._leases[lease.mapping, lease.shard]

    async def forget(self, mapping: str) -> None:
        self._need_open()
        self._leases = {key: one for key, one in self._leases.items() if key[0] != mapping}

    async def keep_only(self, mappings: Collection[str]) -> None:
        self._need_open()
        self._leases = {key: one for key, one in self._leases.items() if key[0] in mappings}

    def exists(self) -> bool:
        return bool(self._leases)

    def _demand(self, mapping: str, shard: str, epoch: int) -> None:
        self._need_open()
        found = self._leases.get((mapping, shard))
        if (found.epoch if found else 0) != epoch:
            raise LeaseLost(mapping, shard, epoch, found.epoch if found else 0)

    def _need_open(self) -> None:
        if self._closed:
            raise EngineError("the leases are not open")
