"""The scheduler's driver: what becomes of an invocation from submit to outcome."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.unit.scheduler.driver_house import ARN, IDLE_TIMEOUT, House, play, settle, version

from samovar.errors import AWS, ClientError, EngineError
from samovar.model.invocation import Invocation, StartKind


def test_cold_and_then_warm() -> None:
    async def scenario(house: House) -> None:
        first = await house.served()
        second = await house.served()
        assert (first.start, second.start) == (StartKind.COLD, StartKind.WARM)
        assert first.context_id == second.context_id == "1"
        assert (first.executed_version, first.payload) == ("$LATEST", b"null")
        assert second.cold_start is None
        assert house.states() == ["idle"]

    play(scenario)


def test_an_error_of_the_function_is_an_outcome() -> None:
    async def scenario(house: House) -> None:
        outcome = await house.submit("raise").future
        assert (outcome.function_error, outcome.error_type) == ("Unhandled", "ValueError")
        assert house.observed.calls[-1] == ("finished", "f", "cold", 0.0, 0.0, "ValueError")

    play(scenario)


def test_an_event_that_is_no_json_is_the_callers_fault() -> None:
    async def scenario(house: House) -> None:
        call = house.submit()
        await house.begun(call)
        house.release(call)
        await call.future
        bad = house.submit()
        assert house.contexts[0]._run is not None
        house.contexts[0]._run.invocation.payload = b"{"
        error = await bad.error()
        assert isinstance(error, ClientError)
        assert error.error is AWS.INVALID_REQUEST_CONTENT
        assert error.message.startswith("Could not parse request body into json: ")
        assert house.states() == ["idle"]

    play(scenario)


def test_the_phases_of_a_cold_start_sum_up() -> None:
    async def scenario(house: House) -> None:
        house.slow_fetch = house.slow_init = True
        call = house.submit()
        await settle()
        house.clock.advance(5)
        house.fetches[0].set_result(3.0)  # 3 of 5 for the package, the rest for the environment
        await settle()
        house.clock.advance(7)
        house.inits[0].set_result(None)
        await house.begun(call)
        house.clock.advance(11)
        house.release(call)
        outcome = await call.future
        assert outcome.cold_start is not None
        phases = outcome.cold_start
        assert (phases.environment, phases.package, phases.init) == (2.0, 3.0, 7.0)
        assert outcome.queued == phases.environment + phases.package + phases.init
        assert outcome.duration == 11.0
        assert house.observed.calls == [
            ("cold", "f", 2.0, 3.0, 7.0),
            ("finished", "f", "cold", 23.0, 0.0, ""),
        ]

    play(scenario)


def test_waiting_for_a_start_is_no_overhead_and_waiting_for_a_context_is() -> None:
    async def scenario(house: House) -> None:
        first = house.submit()
        await house.begun(first)
        second = house.submit()
        house.clock.advance(4)
        house.release(first)
        await house.begun(second)
        house.release(second)
        outcome = await second.future
        assert (outcome.start, outcome.queued) == (StartKind.WARM, 4.0)
        assert [call[1:] for call in house.observed.calls if call[0] == "finished"] == [
            ("f", "cold", 4.0, 0.0, ""),
            ("f", "warm", 4.0, 4.0, ""),
        ]

    play(scenario, max_contexts=1, max_waiting=1)


def test_one_that_waits_takes_the_first_context_that_is_free() -> None:
    async def scenario(house: House) -> None:
        first = house.submit()
        await house.begun(first)
        house.slow_init = True
        second = house.submit()
        await settle()
        assert house.states() == ["busy", "initializing"]
        house.release(first)
        await house.begun(second)
        house.release(second)
        assert (await second.future).context_id == (await first.future).context_id
        assert (await second.future).start is StartKind.WARM
        # The start that nobody waits for any more becomes an idle context, and whoever comes then
        # finds it ready: a warm start, though it is the first run there.
        house.inits[0].set_result(None)
        await settle()
        assert house.states() == ["idle", "idle"]
        outcome = await house.served()
        assert (outcome.context_id, outcome.start) == ("2", StartKind.WARM)
        assert [call[0] for call in house.observed.calls] == [
            *("cold", "finished", "finished"),  # of the first context
            *("cold", "finished"),
        ]

    play(scenario)


def test_idle_contexts_expire_by_the_clock() -> None:
    async def scenario(house: House) -> None:
        calls = [house.submit(), house.submit()]
        await house.begun(*calls)
        for call in calls:
            house.release(call)
            await call.future
        house.clock.advance(200)
        hot = await house.served()
        house.clock.advance(IDLE_TIMEOUT - 200 - 1)
        await settle()
        assert house.states() == ["idle", "idle"]
        house.clock.advance(1)
        assert sorted(house.states()) == ["idle", "stopping"]
        await settle()
        assert [str(life.context) for life in house.scheduler.lifecycles()] == [hot.context_id]
        house.clock.advance(IDLE_TIMEOUT)
        await settle()
        assert house.states() == []
        assert len(house.launcher.released) == 2
        assert house.scheduler._versions == {}
        assert house.clock.pending == 0
        assert (await house.served()).start is StartKind.COLD

    play(scenario)


def test_there_is_one_timer_for_expiry_however_many_are_idle() -> None:
    async def scenario(house: House) -> None:
        for number in range(8):
            await house.served(f"f{number}")
            house.clock.advance(1)
        assert house.states() == ["idle"] * 8
        assert house.clock.pending == 1

    play(scenario)


def test_a_changed_function_gets_new_contexts_and_the_old_ones_drain() -> None:
    async def scenario(house: House) -> None:
        await house.served()
        busy = house.submit()
        await house.begun(busy)
        over: list[int] = []
        house.scheduler.version_over = lambda: over.append(len(list(house.scheduler.versions())))
        house.scheduler.retire(version())
        new = house.submit(generation=2)
        await house.begun(new)
        assert house.states() == ["busy", "busy"]
        assert over == []
        house.release(busy)
        assert (await busy.future).context_id == "1"
        await settle()
        assert house.states() == ["busy"]
        assert over == [1]  # once, when nothing runs the old one any more
        assert list(house.scheduler._versions) == [version(generation=2).pool]
        house.release(new)
        assert (await new.future).context_id == "2"

    play(scenario)


def test_idle_contexts_are_dropped_and_counted_and_busy_ones_stay() -> None:
    async def scenario(house: House) -> None:
        await house.served()
        await house.served("g")
        busy = house.submit()
        await house.begun(busy)
        await house.served()  # beside the busy one: a second context, now idle
        assert house.scheduler.drop_idle(version()) == 1
        assert house.scheduler.drop_idle(version()) == 0
        await settle()
        assert sorted(house.states()) == ["busy", "idle"]
        house.release(busy)
        assert (await busy.future).context_id == "1"
        assert house.scheduler.drop_idle(version()) == 1
        await settle()
        assert list(house.scheduler._versions) == [version("g").pool]
        assert (await house.served()).start is StartKind.COLD

    play(scenario)


def test_a_deleted_function_is_forgotten_at_once_and_after_what_still_ran() -> None:
    async def scenario(house: House) -> None:
        call = house.submit()
        await house.begun(call)
        house.scheduler.retire(version(), deleted=True)
        assert house.observed.calls[-1] == ("removed", "f")
        house.release(call)
        await call.future
        await settle()
        assert [name for name, *_ in house.observed.calls] == [
            *("cold", "removed", "finished", "removed"),
        ]

    play(scenario)


def test_a_deleted_version_is_forgotten_at_once_and_after_what_still_ran() -> None:
    async def scenario(house: House) -> None:
        published = replace(version(), version="3")
        invocation = Invocation("r0", ARN + "f:3", b'"wait"', qualifier="3")
        future = house.scheduler.submit(invocation, published)
        await settle()
        house.scheduler.retire(published, deleted=True)
        assert house.observed.calls[-1] == ("version removed", "f", "3")
        house.inside.pop("r0").set_result(None)
        await future
        await settle()
        assert [name for name, *_ in house.observed.calls] == [
            *("cold", "version removed", "finished", "version removed"),
        ]

    play(scenario)


def test_a_namesake_of_a_deleted_function_keeps_its_counts() -> None:
    async def scenario(house: House) -> None:
        old = house.submit()
        await house.begun(old)
        house.scheduler.retire(version(), deleted=True)
        new = house.submit(generation=2)
        await house.begun(new)
        house.release(old)
        await old.future
        await settle()
        assert house.observed.calls.count(("removed", "f")) == 1
        house.release(new)
        await new.future

    play(scenario)


def test_as_many_as_may_be_and_then_throttled() -> None:
    async def scenario(house: House) -> None:
        call = house.submit()
        await house.begun(call)
        error = await house.submit("now", "other").error()
        message = "Rate Exceeded. This engine: 1 contexts exist and none is idle."
        assert isinstance(error, ClientError)
        assert (error.error, error.message) == (AWS.TOO_MANY_REQUESTS, message)
        assert error.extra == {
            "Reason": "ConcurrentInvocationLimitExceeded",
            "retryAfterSeconds": "1",
        }
        assert house.observed.calls[-1] == ("throttled", "other", "contexts")
        assert list(house.scheduler._versions) == [version().pool]  # nothing is kept of the other
        house.release(call)
        await call.future

    play(scenario, max_contexts=1)


def test_a_start_that_fails_is_tried_three_times() -> None:
    async def scenario(house: House) -> None:
        house.refused = EngineError("no zygote")
        error = await house.submit().error()
        assert str(error) == "No context could be started; nothing was run: no zygote"
        assert house.observed.calls == [("failed", "f", "context not started")]
        assert (house.states(), house.contexts) == ([], [])
        assert house.scheduler._versions == {}
        house.refused = OSError(24, "Too many open files")
        assert "Too many open files" in str(await house.submit().error())
        house.refused = ValueError("a bug of ours")
        assert str(await house.submit().error()).endswith("nothing was run: a bug of ours")
        house.refused = None
        assert (await house.served()).start is StartKind.COLD

    play(scenario)


def test_a_context_that_is_lost_before_its_init_is_over_is_replaced() -> None:
    async def scenario(house: House) -> None:
        house.slow_init = True
        call = house.submit()
        await settle()
        house.slow_init = False
        house.contexts[0].lose("the zygote died")
        await house.begun(call)
        house.release(call)
        outcome = await call.future
        assert (outcome.context_id, outcome.start) == ("2", StartKind.COLD)
        assert house.launcher.released == house.contexts[:1]

    play(scenario)


def test_a_context_that_is_lost_while_it_runs_fails_the_run_by_name() -> None:
    async def scenario(house: House) -> None:
        call = house.submit()
        await house.begun(call)
        house.contexts[0].lose("the zygote died")
        error = await call.error()
        assert str(error) == ("The invocation was lost and may have run in part: the zygote died")
        assert house.observed.calls[-1] == ("failed", "f", "context lost")
        assert house.states() == []
        assert house.handled == [call.request_id]  # it is not run again

    play(scenario)


def test_a_process_that_dies_keeps_its_context() -> None:
    async def scenario(house: House) -> None:
        call = house.submit()
        await house.begun(call)
        house.contexts[0].kill()
        outcome = await call.future
        assert outcome.error_type == "Runtime.ExitError"
        assert house.states() == ["idle"]
        again = await house.served()
        assert (again.context_id, again.start) == (outcome.context_id, StartKind.WARM)

    play(scenario)


def test_a_timeout_by_the_clock() -> None:
    async def scenario(house: House) -> None:
        call = house.submit(timeout=3)
        await house.begun(call)
        house.clock.advance(3)
        outcome = await call.future
        assert (outcome.error_type, outcome.duration) == ("Sandbox.Timedout", 3.0)
        assert house.observed.calls[-1] == ("finished", "f", "cold", 3.0, 0.0, "Sandbox.Timedout")
        assert house.states() == ["idle"]

    play(scenario)


@pytest.mark.parametrize("when", ["waiting", "running"])
def test_a_caller_who_goes_away_stops_nothing(when: str) -> None:
    async def scenario(house: House) -> None:
        call = house.submit()
        if when == "running":
            await house.begun(call)
        call.future.cancel()
        await house.begun(call)
        house.release(call)
        await settle()
        assert house.states() == ["idle"]
        assert house.handled == [call.request_id]
        assert house.observed.calls[-1] == ("finished", "f", "cold", 0.0, 0.0, "")
        assert (await house.served()).start is StartKind.WARM

    play(scenario)


def test_a_caller_who_goes_away_hears_of_no_failure() -> None:
    """An error that nobody fetches would be a line in the log, or raise in the driver."""

    async def scenario(house: House) -> None:
        calls = [house.submit() for _ in range(3)]  # one runs, one waits, one is refused
        await house.begun(calls[0])
        with pytest.raises(ClientError):
            calls[2].future.result()
        for call in calls[:2]:
            call.future.cancel()
        await house.stop()
        assert all(call.future.cancelled() for call in calls[:2])
        told = [call[0] for call in house.observed.calls]
        assert told == ["throttled", "cold", "failed", "failed"]

    play(scenario, max_contexts=1, max_waiting=1)


# -- the end


def test_stop_lets_those_who_run_and_those_who_wait_finish() -> None:
    async def scenario(house: House) -> None:
        running = house.submit()
        await house.begun(running)
        waiting = house.submit()
        stop = asyncio.create_task(house.scheduler.stop(30))
        await settle()
        assert house.states() == ["busy"]
        late = await house.submit("now").error()
        assert str(late) == "The engine is stopping; nothing was run."
        house.clock.advance(29)
        house.release(running)
        await house.begun(waiting)
        assert not stop.done()
        house.release(waiting)
        await stop
        assert (await running.future).function_error is None
        assert (await waiting.future).function_error is None
        assert house.states() == []

    play(scenario, max_contexts=1, max_waiting=1)


def test_stop_ends_idle_contexts_at_once() -> None:
    async def scenario(house: House) -> None:
        await house.served()
        await house.scheduler.stop(30)  # the clock stands still: nothing waits for grace
        assert house.states() == []

    play(scenario)


def test_when_grace_is_over_everybody_is_answered() -> None:
    async def scenario(house: House) -> None:
        running = house.submit()
        await house.begun(running)
        house.slow_init = True
        initializing = house.submit(name="g")
        await settle()
        house.slow_fetch = True
        starting = house.submit(name="h")
        waiting = house.submit(name="i")
        await settle()
        stop = asyncio.create_task(house.scheduler.stop(5))
        await settle()
        house.clock.advance(4)
        await settle()
        assert not stop.done()
        house.clock.advance(1)
        await stop
        assert str(await running.error()) == (
            "The invocation was lost and may have run in part: "
            "the engine stopped before the invocation was over"
        )
        for call in (initializing, starting, waiting):
            assert str(await call.error()) == "The engine is stopping; nothing was run."
        assert house.fetches[0].cancelled()
        assert house.states() == []
        assert sorted(call[1:] for call in house.observed.calls if call[0] == "failed") == [
            ("f", "context lost"),
            ("g", "stopping"),
            ("h", "stopping"),
            ("i", "stopping"),
        ]

    play(scenario, max_contexts=3, max_waiting=1)


def test_stop_that_is_cancelled_still_answers_everybody() -> None:
    """As a second Ctrl-C does it."""

    async def scenario(house: House) -> None:
        running = house.submit()
        await house.begun(running)
        waiting = house.submit(name="g")
        stop = asyncio.create_task(house.scheduler.stop(30))
        await settle()
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert "the engine stopped" in str(await running.error())
        assert str(await waiting.error()) == "The engine is stopping; nothing was run."
        assert house.states() == []
        assert house.clock.pending == 0

    play(scenario, max_contexts=1, max_waiting=1)


def test_stop_with_nothing_there() -> None:
    async def scenario(house: House) -> None:
        await house.scheduler.stop(30)
        assert house.clock.timers_made == 0

    play(scenario)
