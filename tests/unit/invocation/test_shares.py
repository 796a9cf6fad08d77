"""Events beside calls, and beside each other, on a scheduler that admits and refuses for real."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.unit.invocation.event_house import EventHouse
from tests.unit.scheduler.driver_house import ARN, Gauge, version

from samovar.errors import ClientError
from samovar.invocation.fairness import HOLD, TICK
from samovar.stores.invoke_queue import ItemKind, ItemState


def run(scenario: Callable[[EventHouse], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def whole() -> None:
        house = EventHouse(**options)
        await scenario(house)
        await house.stop()
        assert house.clock.pending == 0, "no timer is left"

    asyncio.run(whole())


def throttles(house: EventHouse) -> int:
    return sum(call[:3] == ("retried", "f", "throttle") for call in house.watched.calls)


def test_whatever_waits_is_run_without_a_throttle() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 3)
        for _ in range(300):
            await house.put("ok")
        await house.pass_time(3.0)
        assert len(house.begun()) == 300
        assert len(set(house.begun())) == 300
        assert throttles(house) == 0

    run(scenario)


@pytest.mark.parametrize("reserved", [2, 5])
def test_events_leave_a_place_to_calls(reserved: int) -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", reserved)
        for _ in range(20):
            await house.put("wait")
        await house.pass_time(2.0)
        assert len(house.inside) == reserved - 1
        call = house.call("ok")
        await house.turns()
        await call
        assert throttles(house) == 0

    run(scenario)


def test_with_one_place_a_throttled_call_has_it_next() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 1)
        for _ in range(5):
            await house.put("wait")
        await house.turns()
        assert house.begun() == ["e1"]
        with pytest.raises(ClientError):
            await house.call()
        house.release("e1")
        await house.turns()
        assert house.begun() == ["e1"], "the next event waits for a while"
        call = house.call("ok")
        await house.turns()
        await call
        await house.after(HOLD)
        await house.pass_time(2 * TICK)
        assert house.begun() == ["e1", "e2"], "and then goes on"
        assert throttles(house) == 0

    run(scenario)


def test_handlers_that_wait_soon_run_many_and_busy_processors_keep_them_few() -> None:
    async def scenario(house: EventHouse) -> None:
        for _ in range(60):
            await house.put("wait")
        await house.pass_time(1.0)
        assert len(house.inside) == 40, "of all that may run"
        house.threads = 99
        for _ in range(60):
            await house.put("wait", name="g")
        for event in house.begun():
            house.release(event)
        await house.pass_time(2.0)
        running = Counter(
            run.function_arn[-1] for run in house.runs if run.request_id in house.inside
        )
        assert running["g"] == 4 * house.shares._processors

    run(scenario, most=40)


def test_all_functions_share_what_may_run_at_once() -> None:
    async def scenario(house: EventHouse) -> None:
        for _ in range(30):
            await house.put("wait", name="f")
        await house.pass_time(1.0)
        assert len(house.inside) == 4
        for _ in range(3):
            await house.put("wait", name="g")
            await house.put("wait", name="h")
        for _ in range(8):
            await house.turns()
            house.release(next(iter(house.inside)))
        await house.turns()
        begun = Counter(run.function_arn[-1] for run in house.runs)
        assert begun["g"] >= 1, begun
        assert begun["h"] >= 1, begun
        assert len(house.inside) == 4

    run(scenario, most=4)


def test_quick_events_of_one_function_do_not_keep_out_anothers() -> None:
    async def scenario(house: EventHouse) -> None:
        await house.put("ok")
        await house.turns()
        for _ in range(200):
            await house.put("ok", name="f")
        await house.put("ok", name="g")
        for _ in range(200):
            if any(run.function_arn == ARN + "g" for run in house.runs):
                break
            await house.turns(5)
        assert len([run for run in house.runs if run.function_arn == ARN + "f"]) < 120

    run(scenario, most=1)


def test_without_contexts_nothing_is_claimed_and_the_first_free_one_is_used() -> None:
    async def scenario(house: EventHouse) -> None:
        calls = [house.call(name="g") for _ in range(2)]
        await house.turns()
        event = await house.put("ok")
        await house.pass_time(1.0)
        assert house.queue.depths()[ItemKind.EVENT, ItemState.WAITING] == 1
        house.release("call1")
        await house.turns()
        assert house.begun() == [event]
        assert throttles(house) == 0
        house.release("call2")
        await asyncio.gather(*calls)

    run(scenario, max_contexts=2)


def test_events_keep_to_the_rate_and_leave_some_of_it() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 1)  # ten in a second
        for _ in range(40):
            await house.put("ok")
        await house.turns(500)
        assert len(house.begun()) == 8
        await asyncio.gather(*(house.call("ok") for _ in range(1)))
        await house.pass_time(3.0)
        assert 24 <= len(house.begun()) <= 33
        assert throttles(house) == 0

    run(scenario, request_rate=10)


def test_while_there_are_calls_events_are_begun_at_a_pace() -> None:
    async def scenario(house: EventHouse) -> None:
        await house.put("ok")
        await house.turns()
        for _ in range(2000):
            await house.put("ok")
        paced = []
        for beat in range(40):  # 20 calls in a second
            await asyncio.gather(house.call("ok", name="g"))
            await house.pass_time(0.05, step=0.0025)
            paced.append(len(house.begun()) if beat >= 10 else 0)
        a_second = (paced[-1] - paced[10]) / ((len(paced) - 11) * 0.05)
        assert 200 <= a_second <= 420, a_second
        await house.pass_time(0.25)
        before = len(house.begun())
        await house.pass_time(0.05, step=0.0025)
        assert len(house.begun()) - before > 50, "without calls there is no pace"

    run(scenario)


def test_a_crowd_of_functions_costs_a_call_nothing() -> None:
    async def scenario(house: EventHouse) -> None:
        """Each end asks for two functions at most, however many wait."""
        house.scheduler.reserve(ARN + "f", 1)
        asked: list[str] = []
        names = [f"n{number}" for number in range(300)]
        house.functions |= {name: version(name) for name in names}
        calls = [house.call() for _ in range(1)]
        await house.turns()
        house.scheduler._state.ledger.unreserved.left = 0
        for name in names:
            await house.put("ok", name=name)
        await house.turns(1000)
        of = house.scheduler.headroom.of
        house.scheduler.headroom.of = lambda function, now: (  # type: ignore[method-assign]
            asked.append(function) or of(function, now)  # type: ignore[func-returns-value]
        )
        house.release("call1")
        await house.turns()
        await asyncio.gather(*calls)
        assert len(set(asked)) <= 2
        house.scheduler.headroom.of = of  # type: ignore[method-assign]

    run(scenario)


def test_events_go_on_when_the_host_has_memory_again() -> None:
    gauge = Gauge(1000)

    async def scenario(house: EventHouse) -> None:
        await house.put("ok")
        await house.turns()
        gauge.mb = -50
        await house.pass_time(3.0)
        assert not house.scheduler.contexts, "the idle one went"
        events = [await house.put("ok", name=name) for name in "fg"]
        await house.pass_time(3.0)
        assert house.begun() == ["e1"]
        gauge.mb = 1000
        await house.pass_time(3.0)
        assert house.begun()[1:] == events

    run(scenario, memory=gauge)


def test_events_run_on_provisioned_contexts_where_no_other_can_start() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.provision(house.functions["f"], 1)
        await house.turns()
        event = await house.put("ok")
        await house.pass_time(1.0)
        assert house.begun() == [event]
        house.scheduler.provision(house.functions["f"], 0)

    run(scenario, max_contexts=1)


def test_a_place_that_one_function_has_no_use_for_is_anothers() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "g", 1)
        first = await house.put("wait", name="f")
        blocked = await house.put("ok", name="g")
        other = await house.put("ok", name="h")
        await house.turns()
        call = house.call(name="g")
        await house.turns()
        assert house.begun() == [first]
        house.release(first)
        await house.turns()
        assert house.begun() == [first, other], "h, though g was before it"
        house.release("call1")
        await call
        await house.turns()
        assert house.begun() == [first, other, blocked]

    run(scenario, most=1)


def test_a_context_that_one_function_has_no_use_for_is_anothers() -> None:
    async def scenario(house: EventHouse) -> None:
        calls = [house.call(name="g") for _ in range(2)]
        await house.turns()
        held = await house.put("wait", name="f")
        await house.turns()
        other = await house.put("ok", name="h")
        await house.turns()
        with pytest.raises(ClientError):
            await house.call(name="f")  # from now on its events give way for a while
        house.release("call1")
        await house.turns()
        assert house.begun() == [other], "h, though f was before it"
        await house.pass_time(HOLD + 0.1)
        assert house.begun() == [other, held]
        house.release("call2")
        await asyncio.gather(*calls)

    run(scenario, max_contexts=2)


def test_what_others_have_reserved_is_not_waited_for() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "g", 9)
        events = [await house.put("ok") for _ in range(3)]
        await house.pass_time(1.0)
        assert house.begun() == events, "one place is left for all others, and it is free"
        house.scheduler.reserve(ARN + "g", 10)
        events = [await house.put("ok", name=name) for name in "fh"]
        await house.pass_time(5.0)
        for event in events:
            found = await house.found(event)
            assert found is not None
            assert found.state is ItemState.WAITING, "none is left: it waits, and does not end"

    run(scenario, account_concurrency=10)
