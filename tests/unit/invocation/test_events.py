"""What becomes of events: run, run again, ended, and what the queue has of them then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn
from zlib import crc32

import pytest
from tests.unit.invocation.event_house import TARGET, EventHouse
from tests.unit.scheduler.driver_house import ARN, version

from samovar.errors import EngineError
from samovar.invocation.pump import PAUSE
from samovar.model.event import Condition, EventInvokeConfig
from samovar.model.function import FunctionVersion
from samovar.model.invocation import Invocation
from samovar.registry.recursion import RecursiveLoop
from samovar.stores.invoke_queue import ItemKind, ItemState


def run(scenario: Callable[[EventHouse], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def whole() -> None:
        house = EventHouse(**options)
        await scenario(house)
        await house.stop()
        assert house.clock.pending == 0, "no timer is left"

    asyncio.run(whole())


def test_an_event_that_succeeds_is_gone_and_what_is_sent_of_it_is_there() -> None:
    async def scenario(house: EventHouse) -> None:
        event = await house.put("ok", trace="Root=1")
        await house.turns()
        (invocation,) = house.runs
        assert (invocation.request_id, invocation.trace) == (event, "Root=1")
        assert invocation.asynchronous
        assert await house.found(event) is None
        assert house.queue.depths() == {(ItemKind.DELIVERY, ItemState.WAITING): 1}
        assert house.told == [TARGET]
        (ending,) = house.endings
        assert (ending.condition, ending.invoke_count) == (Condition.SUCCESS, 1)
        assert ending.executed_version == "$LATEST"
        assert [call[0] for call in house.watched.calls] == ["started", "cold", "finished"]

    run(scenario)


@pytest.mark.parametrize("how", ["raise", "exit"])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_one_that_fails_is_run_again_after_one_and_two_minutes_and_then_is_dead(
    how: str, scale: float
) -> None:
    async def scenario(house: EventHouse) -> None:
        event = await house.put(how)
        await house.turns()
        for wait, attempts in ((59.9, 1), (0.2, 2), (119.7, 2), (0.4, 3)):
            await house.after(wait * scale)
            assert house.begun() == [event] * attempts, wait
        assert [run.attempt for run in house.runs] == [1, 2, 3]
        dead = await house.dead(event)
        assert (dead.condition, dead.invoked, dead.errors) == ("RetriesExhausted", 3, 3)
        assert dead.error_type == {"raise": "ValueError", "exit": "Runtime.ExitError"}[how]
        (ending,) = house.endings
        assert ending.function_error == "Unhandled"
        assert ending.payload
        assert ("dropped", "f", "RetriesExhausted") in house.watched.calls
        assert house.watched.calls.count(("retried", "f", "function error")) == 2

    run(scenario, scale=scale)


def test_a_timeout_is_a_functions_error() -> None:
    async def scenario(house: EventHouse) -> None:
        house.functions["f"] = version("f", timeout=5)
        house.config = EventInvokeConfig(max_retry_attempts=0)
        event = await house.put("wait")
        await house.after(5.0)
        assert (await house.dead(event)).error_type == "Sandbox.Timedout"

    run(scenario)


def test_age_ends_an_event_at_once_when_its_next_attempt_would_be_too_late() -> None:
    async def scenario(house: EventHouse) -> None:
        house.config = EventInvokeConfig(max_event_age=60)
        event = await house.put("raise")
        await house.turns()
        dead = await house.dead(event)
        assert (dead.condition, dead.invoked) == ("EventAgeExceeded", 1)
        assert house.endings[0].executed_version, "it was run, and the record says so"

    run(scenario)


def test_one_that_comes_too_late_is_not_run_and_todays_config_counts() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 1)
        call = house.call()
        await house.turns()
        event = await house.put("ok")
        await house.after(100.0)
        house.config = EventInvokeConfig(max_event_age=90)
        house.release("call1")
        await house.turns()
        await call
        assert house.begun() == []
        dead = await house.dead(event)
        assert (dead.condition, dead.invoked) == ("EventAgeExceeded", 0)

    run(scenario)


def test_with_nothing_reserved_events_end_and_do_not_run() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 0)
        events = [await house.put("ok") for _ in range(200)]
        await house.turns(3000)
        assert house.runs == []
        for event in events:
            assert (await house.dead(event)).condition == "ZeroReservedConcurrency"
        assert {ending.invoke_count for ending in house.endings} == {0}

    run(scenario)


def test_events_that_wait_end_when_their_functions_concurrency_is_set_to_0() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 1)
        first, second = await house.put(), await house.put()
        house.inside.clear()
        third = await house.put("wait")
        fourth = await house.put("ok")
        await house.turns()
        assert (await house.found(first), await house.found(second)) == (None, None)
        assert house.begun()[-1] == third
        house.scheduler.reserve(ARN + "f", 0)
        await house.turns()
        assert (await house.dead(fourth)).condition == "ZeroReservedConcurrency"
        house.release(third)
        await house.turns()
        assert await house.found(third) is None, "what ran was let finish"

    run(scenario)


def test_an_event_of_a_loop_is_stopped_unless_loops_are_allowed() -> None:
    async def scenario(house: EventHouse) -> None:
        key = f"{crc32((ARN + 'f').encode()):08x}"
        event = await house.put("ok", trace=f"Root=1;Lineage=1:{key}:16")
        fine = await house.put("ok", trace=f"Root=1;Lineage=1:{key}:15")
        await house.turns()
        assert house.begun() == [fine]
        assert (await house.dead(event)).condition == "RecursiveInvocation"
        assert ("loop", "f") in house.watched.calls
        house.loop_ends = RecursiveLoop.ALLOW
        again = await house.put("ok", trace=f"Root=1;Lineage=1:{key}:99")
        await house.turns()
        assert house.begun() == [fine, again]

    run(scenario)


def test_events_of_a_deleted_function_end_as_their_turns_come() -> None:
    async def scenario(house: EventHouse) -> None:
        event = await house.put("raise")
        await house.turns()
        del house.functions["f"]
        house.scheduler.retire(version("f"), deleted=True)
        await house.after(60.0)
        dead = await house.dead(event)
        assert (dead.condition, dead.invoked) == ("FunctionDeleted", 1)
        assert house.endings == [], "its destinations went with it"

    run(scenario)


def test_one_whose_function_is_not_ready_waits_without_using_up_a_retry() -> None:
    async def scenario(house: EventHouse) -> None:
        house.unready.add("f")
        event = await house.put("ok")
        await house.turns()
        for wait in (1.0, 2.0, 4.0):
            await house.after(wait)
        head = await house.head(event)
        assert (head.invoked, head.errors, head.puts_off) == (0, 0, 4)
        house.unready.clear()
        await house.after(8.0)
        assert house.begun() == [event]

    run(scenario)


def test_one_that_is_no_json_ends_at_once() -> None:
    async def scenario(house: EventHouse) -> None:
        event = await house.put(b"{")
        await house.turns()
        assert (await house.dead(event)).condition == "InvalidEvent"

    run(scenario)


def test_a_damaged_head_is_set_aside_and_keeps_no_place() -> None:
    async def scenario(house: EventHouse) -> None:
        event = await house.put("ok")
        house.queue._kept[event].item.head = b"\xc1"
        others = [await house.put("ok") for _ in range(5)]
        await house.turns(200)
        found = await house.found(event)
        assert found is not None
        assert (found.state, found.item.head) == (ItemState.DEAD, b"\xc1")
        assert sorted(house.begun()) == sorted(others)

    run(scenario)


def test_a_run_that_was_lost_with_its_context_is_tried_again_and_uses_up_no_retry() -> None:
    async def scenario(house: EventHouse) -> None:
        house.config = EventInvokeConfig(max_retry_attempts=0)
        event = await house.put("wait")
        await house.turns()
        house.launcher.contexts[0].lose("its zygote died")
        await house.turns()
        head = await house.head(event)
        assert (head.invoked, head.errors, head.puts_off) == (1, 0, 1)
        assert ("retried", "f", "system error") in house.watched.calls
        await house.after(1.0)
        assert house.begun() == [event, event]

    run(scenario)


def test_a_run_that_never_began_is_none() -> None:
    async def scenario(house: EventHouse) -> None:
        async def prepare(*_: object) -> NoReturn:
            raise EngineError("its package is gone")

        house.launcher.prepare = prepare  # type: ignore[method-assign]
        event = await house.put("ok")
        await house.turns()
        head = await house.head(event)
        assert (head.invoked, head.errors, head.puts_off) == (0, 0, 1)

    run(scenario)


def test_a_success_that_the_disk_does_not_take_is_written_down_later_and_not_run_again() -> None:
    async def scenario(house: EventHouse) -> None:
        event = await house.put("wait")
        await house.turns()
        house.queue.broken = True
        house.release(event)
        await house.turns()
        for _ in range(3):
            await house.after(PAUSE)
        assert await house.found(event) is not None
        house.queue.broken = False
        await house.after(PAUSE)
        assert await house.found(event) is None
        assert house.told == [TARGET]
        assert house.begun() == [event]

    run(scenario)


def test_an_engine_that_stops_leaves_what_ran_as_if_it_had_not_begun() -> None:
    async def whole() -> None:
        house = EventHouse()
        event = await house.put("wait")
        waiting = [await house.put("wait") for _ in range(40)]
        await house.turns()
        assert house.begun()
        await house.stop()
        assert house.queue.depths()[ItemKind.EVENT, ItemState.WAITING] == 41
        assert house.queue.depths()[ItemKind.EVENT, ItemState.CLAIMED] == 0
        for one in (event, *waiting):
            head = await house.head(one)
            assert (head.invoked, head.errors, head.puts_off) == (0, 0, 0)
        assert house.clock.pending == 0

    asyncio.run(whole())


def test_what_was_claimed_ahead_waits_again_when_the_engine_stops() -> None:
    async def whole() -> None:
        house = EventHouse()
        await house.put("ok")
        await house.turns()
        for _ in range(40):
            await house.put("wait")
        await house.turns(200)
        claimed = house.queue.depths()[ItemKind.EVENT, ItemState.CLAIMED]
        assert claimed > len(house.inside), "some were claimed ahead"
        house.consumer.stop()
        await house.turns()
        claimed = house.queue.depths()[ItemKind.EVENT, ItemState.CLAIMED]
        assert claimed == len(house.inside), "not only when the grace is over"
        await house.stop()
        assert house.queue.depths()[ItemKind.EVENT, ItemState.WAITING] == 40
        assert house.queue.depths()[ItemKind.EVENT, ItemState.CLAIMED] == 0

    asyncio.run(whole())


def test_what_is_not_ready_in_time_ends_by_its_config_and_is_told_of() -> None:
    """A function that stays Pending or Failed: its config, queue and destination count all the
    same, with the role that it has."""

    async def scenario(house: EventHouse) -> None:
        house.unready.add("f")
        house.config = EventInvokeConfig(max_event_age=60)
        event = await house.put("ok")
        await house.pass_time(62.0, step=1.0)
        assert (await house.dead(event)).condition == "EventAgeExceeded"
        assert (house.endings[0].condition, house.roles) == ("EventAgeExceeded", ["role-of-latest"])

    run(scenario)


def test_what_finds_no_place_ends_when_it_is_too_old() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 1)
        call = house.call()
        await house.turns()
        house.config = EventInvokeConfig(max_event_age=90)
        events = [await house.put("ok") for _ in range(40)]
        await house.pass_time(59.0, step=1.0)
        late = await house.put("ok")
        claims = len(house.queue.claims)
        await house.pass_time(33.0, step=1.0)
        await house.turns(3000)
        for event in events:
            assert (await house.dead(event)).condition == "EventAgeExceeded"
        assert len(house.queue.claims) - claims < 60, "one for each, and a look now and then"
        assert (await house.found(late)) is not None
        assert house.begun() == []
        house.release("call1")
        await house.turns()
        await call
        assert house.begun() == [late]

    run(scenario)


def test_one_that_can_not_be_handed_on_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(house: EventHouse) -> None:
        submit = house.scheduler.submit

        def broken(invocation: Invocation, version: FunctionVersion) -> Any:
            if invocation.request_id == "e1":
                raise OSError(12, "Cannot allocate memory")
            return submit(invocation, version)

        house.scheduler.submit = broken  # type: ignore[method-assign]
        first = await house.put("ok")
        others = [await house.put("ok", name=name) for name in "ffffffg"]
        await house.pass_time(0.5)
        assert sorted(house.begun()) == sorted(others)
        house.scheduler.submit = submit  # type: ignore[method-assign]
        await house.after(1.0)
        assert house.begun()[-1] == first
        assert "could not be handed" in caplog.text

    run(scenario)


def test_a_bug_in_what_is_sent_ends_the_event_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(house: EventHouse) -> None:
        house.endings = None  # type: ignore[assignment]
        event = await house.put("ok")
        await house.turns()
        assert await house.found(event) is None
        assert "can't be sent" in caplog.text

    run(scenario)


def test_nobody_waits_for_a_function_without_events() -> None:
    async def scenario(house: EventHouse) -> None:
        house.scheduler.reserve(ARN + "f", 1)
        call = house.call()
        await house.turns()
        headroom = house.scheduler.headroom
        headroom.wait(ARN + "f")  # as somebody else does
        headroom.changed()
        await house.turns()
        assert headroom.awaited == {}
        house.release("call1")
        await house.turns()
        await call

    run(scenario)
