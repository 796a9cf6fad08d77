"""What could be admitted, and who is told when it can be: against what is admitted then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.unit.scheduler.driver_house import ARN, House, settle, version

from samovar.model.invocation import Invocation
from samovar.scheduler.headroom import Headroom


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def of(house: House, name: str = "f") -> Headroom:
    return house.scheduler.headroom.of(ARN + name, house.clock.monotonic())


def listen(house: House) -> list[str]:
    told: list[str] = []
    house.scheduler.headroom.listen(lambda arn: told.append(arn.removeprefix(ARN)))
    return told


def test_it_says_what_is_left_of_the_account_or_of_what_is_reserved() -> None:
    async def scenario() -> None:
        house = House(max_contexts=10)
        assert (of(house).places, of(house).limit, of(house).startable) == (1000, 1000, 10)
        house.scheduler.reserve(ARN + "g", 2)
        assert (of(house).places, of(house, "g").places, of(house, "g").limit) == (998, 2, 2)
        calls = [house.submit(name="g") for _ in range(2)]
        await house.begun(*calls)
        assert (of(house, "g").places, of(house, "g").startable) == (0, 8)
        house.release(calls[0])
        await settle()
        assert of(house, "g").places == 1
        house.scheduler.reserve(ARN + "g", 0)
        assert (of(house, "g").places, of(house, "g").limit) == (0, 0)
        await house.stop()

    run(scenario)


def test_contexts_are_counted_and_one_that_is_idle_may_make_room() -> None:
    async def scenario() -> None:
        house = House(max_contexts=2)
        first, second = house.submit(), house.submit()
        await house.begun(first, second)
        assert of(house).startable == 0
        house.release(first)
        await settle()
        assert of(house).startable == 1
        await house.stop()

    run(scenario)


def test_an_end_tells_the_function_and_one_other_of_the_same_allowance() -> None:
    async def scenario() -> None:
        house = House()
        house.scheduler.reserve(ARN + "own", 1)
        told = listen(house)
        calls = {name: house.submit(name=name) for name in ("a", "own")}
        await house.begun(*calls.values())
        house.scheduler._state.ledger.unreserved.left = 0
        for name in ("a", "b", "c", "own"):
            house.scheduler.headroom.wait(ARN + name)
        house.release(calls["a"])
        await settle()
        assert told == ["a", "b"], "not own, which has an allowance of its own"
        house.release(calls["own"])
        await settle()
        assert told == ["a", "b", "own"]
        assert house.scheduler._awaited, "c still waits"
        house.scheduler.reserve(ARN + "own", None)
        assert told[3:] == ["c"]
        assert not house.scheduler._awaited, "nothing costs anything any more"
        await house.stop()

    run(scenario)


def test_who_waits_for_a_context_is_told_by_any_end() -> None:
    async def scenario() -> None:
        house = House(max_contexts=1)
        house.scheduler.reserve(ARN + "own", 5)
        told = listen(house)
        call = house.submit(name="a")
        await house.begun(call)
        house.scheduler.headroom.wait(ARN + "own")
        house.release(call)
        await settle()
        assert told == ["own"]
        await house.stop()

    run(scenario)


def test_the_rate_is_said_with_the_time_at_which_it_is_renewed() -> None:
    async def scenario() -> None:
        house = House()
        share = house.scheduler._state.ledger.share(ARN + "f")
        share.set_rate(3)
        now = house.clock.monotonic()
        await house.served()
        await house.served()
        head = of(house)
        assert (head.requests, head.rate, head.renewed) == (1, 3, now + 1)
        house.clock.advance(1.0)
        assert of(house).requests == 3
        await house.stop()

    run(scenario)


def test_a_context_that_dies_makes_room_too() -> None:
    async def scenario() -> None:
        house = House(max_contexts=1)
        told = listen(house)
        call = house.submit()
        await house.begun(call)
        house.scheduler.headroom.wait(ARN + "b")
        house.contexts[0].lose("its zygote died")
        await settle()
        assert told == ["b"]
        await call.error()
        await house.stop()

    run(scenario)


def test_a_throttled_call_is_told_of_and_a_throttled_event_is_not() -> None:
    async def scenario() -> None:
        house = House()
        house.scheduler.reserve(ARN + "f", 0)
        told: list[str] = []
        house.scheduler.caller_throttled = told.append
        await house.submit().error()
        assert told == [ARN + "f"]
        assert ("throttled", "f", "reserved concurrency") in house.observed.calls
        house.observed.calls.clear()
        call = house.submit()
        await call.error()
        event = Invocation("e", ARN + "f", b"{}", asynchronous=True)
        future = house.scheduler.submit(event, version())
        assert future.exception() is not None
        assert len(told) == 2
        assert house.scheduler.calls == 2
        assert [kind for kind, *_ in house.observed.calls] == ["throttled"]
        await house.stop()

    run(scenario)


def test_who_waits_no_more_is_not_told_and_others_of_its_function_say_so_again() -> None:
    async def scenario() -> None:
        house = House(max_contexts=1)
        headroom = house.scheduler.headroom
        call = house.submit()
        await house.begun(call)
        told: list[str] = []
        headroom.listen(told.append)
        others = listen(house)
        for name in ("a", "b"):
            headroom.wait(ARN + name)
        headroom.leave(ARN + "a", told.append)
        headroom.leave(ARN + "never", told.append)
        assert (told, others) == ([], ["a"])
        house.release(call)
        await settle()
        assert told == [ARN + "b"]
        assert house.scheduler._awaited == {}
        await house.stop()

    run(scenario)
