"""Places for batches."""

from __future__ import annotations

import asyncio

from tests.unit.scheduler.driver_house import ARN, House, settle

from samovar.event_sources.admission import Admission


def test_places_that_are_kept_are_nobody_elses() -> None:
    async def run() -> None:
        house = House()
        house.scheduler.reserve(ARN + "f", 3)
        admission = Admission(house.scheduler, house.clock)
        waiting = [asyncio.ensure_future(admission.place(ARN + "f")) for _ in range(3)]
        await settle()
        assert [place.done() for place in waiting] == [True, True, False], "one is left for calls"
        for _ in range(2):
            waiting[0].result().use()  # once more makes no difference
        await settle()
        assert waiting[2].done()
        waiting.append(asyncio.ensure_future(admission.place(ARN + "f")))
        await settle()
        assert not waiting[3].done()
        house.scheduler.reserve(ARN + "f", None)
        await settle()
        assert waiting[3].done()
        admission.close()
        await house.stop()

    asyncio.run(run())


def test_whoever_waits_for_a_rate_has_its_turn_when_it_is_renewed() -> None:
    async def run() -> None:
        house = House()
        house.scheduler._state.ledger.share(ARN + "f").set_rate(1)
        admission = Admission(house.scheduler, house.clock)
        await house.served()
        waiting = asyncio.ensure_future(admission.place(ARN + "f"))
        await settle()
        assert not waiting.done()
        house.clock.advance(1.0)
        await settle()
        assert waiting.done()
        admission.close()
        await house.stop()

    asyncio.run(run())
