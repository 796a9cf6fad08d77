"""Provisioned contexts as the driver carries them out."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.scheduler.driver_house import House, play, settle, version


@pytest.mark.parametrize("how", ["not wanted", "retired", "the engine stops"])
@pytest.mark.parametrize("phase", ["fetch", "init"])
def test_provisioned_contexts_that_start_hold_nobody_up(phase: str, how: str) -> None:
    async def scenario(house: House) -> None:
        house.slow_fetch, house.slow_init = phase == "fetch", phase == "init"
        house.scheduler.provision(version(), 2)
        await settle()
        assert len(house.states()) == 2
        stop = None
        if how == "not wanted":
            house.scheduler.provision(version(), 0)
        elif how == "retired":
            house.scheduler.retire(version())
        else:
            stop = asyncio.create_task(house.scheduler.stop(30))
        await settle()
        for fetch in house.fetches:
            fetch.set_result(0.0)
        await settle()
        assert house.states() == []
        assert [call for call in house.observed.calls if call[0] == "cold"] == []
        if stop is not None:
            await stop  # with no time gone by

    play(scenario)


def test_more_provisioned_contexts_than_there_may_be(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(house: House) -> None:
        house.scheduler.provision(version(), 100)
        for _ in range(3):
            await settle()
        assert house.scheduler.provisioned(version()) == (100, 4, None)
        (told,) = [record.getMessage() for record in caplog.records]
        assert told == (
            f"{version().qualified_arn} is to have 100 provisioned contexts: it stays IN_PROGRESS, "
            "as there may be 4 contexts in all (max_contexts)"
        )

    play(scenario, max_contexts=4)
