"""What a worker says of itself does not spoil what is measured of all."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.launchers import version
from tests.unit.scheduler.driver_house import Observed

from samovar.context.run import Verdict
from samovar.model.invocation import Invocation
from samovar.scheduler.ticket import Ticket


@pytest.mark.parametrize(
    ("in_handler", "overhead"),
    [(0.5, 1.5), (2.0, 0.0), (0.0, 2.0), (2.1, 0.0), (2.0**64 / 1e6, 0.0), (-(2.0**63) / 1e6, 0.0)],
)
def test_the_overhead_of_a_worker_that_lies_is_none(in_handler: float, overhead: float) -> None:
    async def finish() -> None:
        future = asyncio.get_running_loop().create_future()
        observed = Observed()
        ticket = Ticket(Invocation("r", "arn", b""), version(), 1.0, future, observed)
        ticket.started = 1.0
        ticket.finished(Verdict(b"", 2.0, 1, in_handler=in_handler))
        assert [call[4] for call in observed.calls] == [overhead]
        assert future.result().duration == 2.0

    asyncio.run(finish())
