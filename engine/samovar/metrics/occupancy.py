"""How much of the account's concurrency is taken, and by whom: read when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ProvisionedUse(NamedTuple):
    """Provisioned contexts of one version: wanted, initialised, and of these, running one;
    `failed`: their init failed too often, and no more of them are started."""

    requested: int
    ready: int
    busy: int
    failed: bool = False

    @property
    def utilization(self) -> float:
        """The share of the initialised ones that run an invocation (AWS's
        ProvisionedConcurrencyUtilization); 0 where there are none."""
        return self.busy / self.ready if self.ready else 0.0


class Occupancy(NamedTuple):
    """All of it, at one moment. Invocations are in flight when they run or wait for a context.

    `limit`: the account's; `in_flight` is by function's name, qualifier and version; `unreserved`
    are those of functions that have reserved nothing; `claimed` is what is not to be had for them
    any more (AWS's ClaimedAccountConcurrency); `reserved` by function's name; `provisioned` by
    function's name and version, of those that have any.
    """

    limit: int
    in_flight: Mapping[tuple[str, str, str], int]
    unreserved: int
    claimed: int
    reserved: Mapping[str, int]
    provisioned: Mapping[tuple[str, str], ProvisionedUse]


NOTHING = Occupancy(0, {}, 0, 0, {}, {})
