"""Reads off the scheduler's state how much concurrency is taken. O(contexts): for a look now and
then, so that an invocation does not have to count itself twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from samovar.context.launcher import Context
from samovar.context.lifecycle import IN_FLIGHT
from samovar.metrics.occupancy import Occupancy, ProvisionedUse
from samovar.model.function import PoolKey
from samovar.scheduler.pool import Pool
from samovar.scheduler.state import SchedulerState


def occupancy(state: SchedulerState, contexts: Mapping[int, Context], limit: int) -> Occupancy:
    """The account's; `limit` is its concurrency."""
    in_flight: Counter[tuple[str, str, str]] = Counter()
    unreserved = 0
    provisioned: dict[tuple[str, str], ProvisionedUse] = {}
    # list() copies in one step: who asks may be on another thread.
    for pool in list(state.pools.values()):
        version = PoolKey.of(pool.key).version
        name = pool.share.function.rpartition(":")[2]
        tickets = Counter(run.invocation.qualifier for run in _runs(pool, contexts))
        for qualifier, count in tickets.items():
            in_flight[name, qualifier, version] += count
        if pool.share.reserved is None:
            unreserved += tickets.total()
        if pool.target or pool.initialized:
            use = ProvisionedUse(pool.target, pool.initialized, _busy(pool), pool.failed)
            provisioned[name, version] = use
    reserved = {
        share.function.rpartition(":")[2]: share.reserved
        for share in state.ledger.shares()
        if share.reserved is not None
    }
    claimed = limit - state.ledger.unreserved.left
    return Occupancy(limit, in_flight, unreserved, claimed, reserved, provisioned)


def _runs(pool: Pool, contexts: Mapping[int, Context]) -> Iterator[Any]:
    """The tickets that wait in a pool, or run there."""
    yield from list(pool.waiting)
    for number in list(pool.members):
        context = contexts.get(number)
        if context is not None and context.current is not None:
            yield context.current


def _busy(pool: Pool) -> int:
    members = list(pool.members.values())
    return sum(context.provisioned and context.state in IN_FLIGHT for context in members)
