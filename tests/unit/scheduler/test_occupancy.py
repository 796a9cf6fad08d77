"""How much concurrency is taken, read off the state, beside what the ledger keeps by counting."""

from __future__ import annotations

from tests.unit.scheduler.driver_house import ARN, House, play, settle, version

from samovar.metrics.occupancy import NOTHING, ProvisionedUse

LATEST = "$LATEST"


def test_invocations_are_told_apart_by_function_and_qualifier() -> None:
    async def scenario(house: House) -> None:
        calls = [
            house.submit(qualifier="live"),
            house.submit(qualifier="live"),
            house.submit(),
            house.submit(name="other"),
        ]
        await house.begun(*calls)
        seen = house.scheduler.occupancy()
        assert seen.in_flight == {
            ("f", "live", LATEST): 2,
            ("f", LATEST, LATEST): 1,
            ("other", LATEST, LATEST): 1,
        }
        assert (seen.limit, seen.unreserved, seen.claimed) == (1000, 4, 4)
        house.scheduler.reserve(ARN + "f", 7)
        seen = house.scheduler.occupancy()
        assert (seen.unreserved, seen.claimed, seen.reserved) == (1, 8, {"f": 7})
        for call in calls:
            house.release(call)
            await call.future
        seen = house.scheduler.occupancy()
        assert (seen.in_flight, seen.unreserved, seen.claimed) == ({}, 0, 7)
        house.scheduler.reserve(ARN + "f", None)
        assert house.scheduler.occupancy() == NOTHING._replace(limit=1000)

    play(scenario)


def test_who_waits_for_a_context_is_in_flight() -> None:
    async def scenario(house: House) -> None:
        house.slow_init = True
        call = house.submit("now", qualifier="live")
        await settle()
        assert house.scheduler.occupancy().in_flight == {("f", "live", LATEST): 1}
        house.inits[0].set_result(None)
        await call.future
        assert house.scheduler.occupancy().in_flight == {}

    play(scenario)


def test_provisioned_contexts_are_used_first_and_then_it_spills_over() -> None:
    async def scenario(house: House) -> None:
        house.scheduler.provision(version(), 2)
        await settle()
        pair = ("f", LATEST)
        assert house.scheduler.occupancy().provisioned == {pair: ProvisionedUse(2, 2, 0)}
        assert house.scheduler.occupancy().claimed == 2
        calls = [house.submit(qualifier="live") for _ in range(3)]
        await house.begun(*calls)
        seen = house.scheduler.occupancy()
        assert seen.provisioned == {pair: ProvisionedUse(2, 2, 2)}
        assert (seen.in_flight, seen.claimed) == ({("f", "live", LATEST): 3}, 3)
        for call in calls:
            house.release(call)
        outcomes = [await call.future for call in calls]
        assert [one.start.value for one in outcomes] == ["provisioned"] * 2 + ["cold"]
        spilled = ("spilled over", "f", "live", LATEST)
        assert house.observed.calls.count(spilled) == 1
        # Once nothing is provisioned any more, nothing spills over.
        house.scheduler.provision(version(), 0)
        await house.served()
        assert house.observed.calls.count(spilled) == 1
        assert house.scheduler.occupancy().provisioned == {}

    play(scenario)
