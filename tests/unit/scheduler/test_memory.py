"""The host's memory: when it is looked at, and who goes or waits when there is none."""

from __future__ import annotations

import logging

import pytest
from tests.unit.scheduler.driver_house import IDLE_TIMEOUT, Gauge, House, play, settle, version
from tests.unit.scheduler.stage import Stage

from samovar.errors import AWS, ClientError
from samovar.scheduler.commands import Refusal
from samovar.scheduler.events import MemoryMeasured
from samovar.scheduler.policy import FOOTPRINT

PLENTY = 100 * FOOTPRINT
SHORT = "Rate Exceeded. This engine: the host has no memory for another context, and none is idle."


def test_nobody_looks_while_there_is_nothing_to_decide() -> None:
    gauge = Gauge(PLENTY)

    async def scenario(house: House) -> None:
        assert gauge.looks == 0
        await house.served()
        assert gauge.looks == 1
        for seconds in range(1, 4):
            house.clock.advance(1)
            assert gauge.looks == 1 + seconds
        house.contexts[0].lose("killed")
        await settle()
        house.clock.advance(1)
        assert gauge.looks == 4  # it was to be one more, and was none
        house.clock.advance(IDLE_TIMEOUT)
        assert (gauge.looks, house.clock.pending) == (4, 0)

    play(scenario, gauge)


def test_a_burst_is_decided_on_a_look_of_its_own_and_on_one_only() -> None:
    gauge = Gauge(PLENTY)

    async def scenario(house: House) -> None:
        await house.begun(*[house.submit() for _ in range(5)])
        assert gauge.looks == 1
        house.clock.advance(0.5)
        await house.begun(*[house.submit() for _ in range(5)])
        assert gauge.looks == 2
        for call in list(house.inside):
            house.inside.pop(call).set_result(None)
        await settle()
        house.clock.advance(0.4)
        await house.served()
        assert gauge.looks == 2  # a warm one costs none

    play(scenario, gauge, max_contexts=20)


def test_the_coldest_of_all_pools_go_and_busy_ones_do_not() -> None:
    gauge = Gauge(PLENTY)

    async def scenario(house: House) -> None:
        busy = house.submit(name="busy")
        await house.begun(busy)
        for name in ("first", "second", "third"):
            await house.served(name)
            house.clock.advance(0.1)
        gauge.mb = -FOOTPRINT - 1  # two of them are enough
        house.clock.advance(1)
        await settle()
        pools = {life.pool.split(":")[6] for life in house.scheduler.lifecycles()}
        assert pools == {"busy", "third"}
        gauge.mb = -PLENTY
        house.clock.advance(1)
        await settle()
        assert house.states() == ["busy"]
        house.release(busy)
        await busy.future

    play(scenario, gauge)


def test_a_cold_start_is_refused_by_name_until_there_is_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gauge = Gauge(2 * FOOTPRINT)
    caplog.set_level(logging.WARNING, "samovar.scheduler.driver")

    async def scenario(house: House) -> None:
        calls = [house.submit() for _ in range(3)]
        error = await calls[2].error()
        assert isinstance(error, ClientError)
        assert (error.error, error.message) == (AWS.TOO_MANY_REQUESTS, SHORT)
        assert house.observed.calls == [("throttled", "f", "memory")]
        await house.begun(*calls[:2])
        gauge.mb = FOOTPRINT - 1
        house.clock.advance(0.5)
        assert str(await house.submit(name="g").error()) == SHORT
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 1 and told[0].startswith("f is throttled: the host has no memory")
        house.clock.advance(60)
        await house.submit(name="g").error()
        assert len(caplog.records) == 2
        gauge.mb = FOOTPRINT
        house.clock.advance(1)
        await house.served("g")
        for call in calls[:2]:
            house.release(call)
            await call.future

    play(scenario, gauge)


def test_whoever_waits_gets_what_becomes_free() -> None:
    gauge = Gauge(FOOTPRINT)

    async def scenario(house: House) -> None:
        first, second = house.submit(), house.submit(name="g")
        await house.begun(first)
        gauge.mb = FOOTPRINT - 1
        house.clock.advance(1)
        await settle()
        assert house.states() == ["busy"]
        gauge.mb = FOOTPRINT
        house.clock.advance(1)
        await house.begun(second)
        for call in (first, second):
            house.release(call)
            await call.future

    play(scenario, gauge, max_waiting=1)


def test_whoever_waits_with_no_context_there_is_not_forgotten() -> None:
    gauge = Gauge(FOOTPRINT - 1)

    async def scenario(house: House) -> None:
        call = house.submit()
        for _ in range(5):
            house.clock.advance(1)
            await settle()
        assert house.states() == []
        gauge.mb = FOOTPRINT
        house.clock.advance(1)
        await house.begun(call)
        house.release(call)
        await call.future

    play(scenario, gauge, max_waiting=1)


def test_what_is_to_be_provisioned_is_decided_on_a_look_of_its_own() -> None:
    gauge = Gauge(FOOTPRINT)

    async def scenario(house: House) -> None:
        scheduler = house.scheduler
        await house.served()
        gauge.mb = -PLENTY
        house.clock.advance(1)
        await settle()
        for _ in range(3):  # nothing is there: nobody looks any more
            house.clock.advance(1)
        gauge.mb = 2 * FOOTPRINT
        scheduler.provision(version(), 3)
        await settle()
        assert scheduler.provisioned(version()).ready == 2
        for seconds in range(5):
            gauge.mb = (seconds == 4) * FOOTPRINT
            house.clock.advance(1)
            await settle()
        assert scheduler.provisioned(version()).ready == 3
        for context in house.contexts:
            context.lose("killed")
        gauge.mb = 0
        house.clock.advance(0.5)
        await settle()

    play(scenario, gauge)


def test_a_version_needs_what_its_largest_context_took() -> None:
    gauge = Gauge(3 * FOOTPRINT)

    async def scenario(house: House) -> None:
        calls = [house.submit(), house.submit()]
        await house.begun(*calls)
        house.contexts[0].memory_used = 3 * FOOTPRINT + 1
        house.contexts[1].memory_used = 1
        house.clock.advance(1)
        assert str(await house.submit().error()) == SHORT
        await house.served("g")  # others need what they need
        gauge.mb += 1
        house.clock.advance(1)
        calls.append(house.submit())
        await house.begun(*calls)
        for call in calls:
            house.release(call)
            await call.future

    play(scenario, gauge)


# -- the state


def measured(stage: Stage, room: int, **footprints: int) -> None:
    stage.measure(room, footprints)


def test_what_starts_is_still_to_take_its_memory_when_it_is_measured() -> None:
    stage = Stage()
    measured(stage, 2 * FOOTPRINT)
    stage.invoke()
    measured(stage, 2 * FOOTPRINT)  # the context has taken nothing yet
    stage.invoke("b")
    assert stage.rejected[stage.invoke("c")] is Refusal.MEMORY
    stage.ready(stage.starting()[0])
    measured(stage, 2 * FOOTPRINT)  # by now it has
    stage.invoke("c")
    assert stage.rejected[stage.invoke("d")] is Refusal.MEMORY


def test_a_start_that_failed_gives_its_memory_back() -> None:
    stage = Stage()
    measured(stage, FOOTPRINT)
    stage.invoke()
    for _ in range(3):
        stage.die(stage.starting()[-1], "no fork")
    measured(stage, FOOTPRINT)
    stage.invoke("b")
    assert stage.starting("b")


def test_a_footprint_outlives_an_empty_pool_but_not_a_retired_one() -> None:
    stage = Stage()
    context = stage.ready_context()
    measured(stage, FOOTPRINT, a=FOOTPRINT + 1, nobody=7)
    stage.die(context)
    measured(stage, FOOTPRINT)
    assert stage.rejected[stage.invoke()] is Refusal.MEMORY
    stage.retire()
    stage.invoke()
    assert stage.starting()
    assert stage.state._footprints == {}


def test_a_measurement_costs_nothing_by_what_there_is() -> None:
    """Beyond what it says itself: pools are not gone through."""
    stage = Stage()
    for number in range(50):
        stage.ready_context(f"pool-{number}")
    pools = stage.state.pools

    class Unwalked(dict[str, object]):
        def values(self) -> object:  # type: ignore[override]
            raise AssertionError("all pools were gone through")

        __iter__ = items = keys = values  # type: ignore[assignment]

    stage.state.pools = Unwalked(pools)  # type: ignore[assignment]
    assert stage.state.handle(MemoryMeasured(PLENTY, {"pool-7": 9})) == []
    stage.state.pools = pools
    assert pools["pool-7"].footprint == 9
