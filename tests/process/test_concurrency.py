"""Who runs where: one invocation at a time per context, and a context for everybody at once."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, result, states

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.model.invocation import Outcome, StartKind
from samovar.testing import ManualClock

CROWD = 20


def contexts(outcomes: list[Outcome]) -> set[str]:
    return {outcome.context_id for outcome in outcomes}


def test_twenty_at_once_are_twenty_cold_starts_and_then_twenty_warm(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", timeout=30)
        async with Gate() as gate:
            cold = [gate.invoke(engine) for _ in range(CROWD)]
            await gate.reached(CROWD)
            assert states(engine) == ["busy"] * CROWD
            gate.open(CROWD)
            first = await asyncio.gather(*cold)
            warm = [gate.invoke(engine) for _ in range(CROWD)]
            await gate.reached(CROWD)
            gate.open()
            second = await asyncio.gather(*warm)
        assert {outcome.start for outcome in first} == {StartKind.COLD}
        assert {outcome.start for outcome in second} == {StartKind.WARM}
        assert len(contexts(first)) == CROWD
        assert contexts(second) == contexts(first)
        assert [json.loads(outcome.payload)["calls"] for outcome in first] == [1] * CROWD
        assert [json.loads(outcome.payload)["calls"] for outcome in second] == [2] * CROWD
        assert len(run_engine.log.streams()) == CROWD

    run_engine(scenario)


def test_a_context_runs_one_invocation_at_a_time(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait")
        async with Gate() as gate:
            gate.open()
            outcomes = await asyncio.gather(*(gate.invoke(engine) for _ in range(40)))
        runs: dict[str, list[tuple[float, float]]] = {}
        for outcome in outcomes:
            seen = json.loads(outcome.payload)
            runs.setdefault(outcome.context_id, []).append((seen["began"], seen["ended"]))
        for times in runs.values():
            assert all(one[1] <= other[0] for one, other in pairwise(sorted(times)))

    run_engine(scenario)


def test_the_hot_end_is_used_again(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait")
        async with Gate() as gate:
            calls = [gate.invoke(engine) for _ in range(3)]
            await gate.reached(3)
            ended = []
            while calls:
                gate.open(1)
                done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                ended += [(await call).context_id for call in done]
                calls = [call for call in calls if call not in done]
            gate.open()
            again = [(await gate.invoke(engine)).context_id for _ in range(3)]
        assert len(set(ended)) == 3
        assert again == [ended[-1]] * 3

    run_open(scenario)


def test_one_that_waits_for_a_cold_start_takes_a_context_that_is_free_before(
    run_open: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", environment={"INIT_SECONDS": "0.5"})
        async with Gate() as gate:
            first = gate.invoke(engine)
            await gate.reached(1)
            second = gate.invoke(engine)
            await eventually(
                lambda: states(engine) == ["busy", "initializing"], "a second context starts"
            )
            gate.open()
            assert (await second).context_id == (await first).context_id
            assert (await second).start is StartKind.WARM
        # The other is not lost: it is there for the next who comes.
        await eventually(lambda: states(engine) == ["idle", "idle"], "both contexts are idle")

    run_open(scenario)


def test_an_idle_context_expires_from_the_cold_end(run_engine: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait")
        async with Gate() as gate:
            calls = [gate.invoke(engine) for _ in range(2)]
            await gate.reached(2)
            gate.open()
            await asyncio.gather(*calls)
            clock.advance(200)
            hot = await gate.invoke(engine)
            clock.advance(99)
            assert states(engine) == ["idle", "idle"]
            clock.advance(2)  # the cold one is idle for 301 s, the hot one for 101
            await eventually(lambda: states(engine) == ["idle"], "one context is left")
            assert str(engine.contexts()[0]["context"]) == hot.context_id
            clock.advance(300)
            await eventually(lambda: not states(engine), "no context is left")
            fresh = await gate.invoke(engine)
            assert fresh.start is StartKind.COLD
            assert json.loads(fresh.payload)["calls"] == 1

    run_engine(scenario, clock=clock, idle_timeout=300)


def test_a_busy_context_does_not_expire(run_open: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", timeout=900)
        async with Gate() as gate:
            call = gate.invoke(engine)
            await gate.reached(1)
            clock.advance(600)
            assert states(engine) == ["busy"]
            gate.open()
            assert (await call).function_error is None

    run_open(scenario, clock=clock, idle_timeout=300)


def test_as_many_contexts_as_may_be_and_then_429(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait")
        await create(engine, "life.count", "other")
        async with Gate() as gate:
            calls = [gate.invoke(engine) for _ in range(2)]
            await gate.reached(2)
            for name in ("f", "other"):
                with pytest.raises(ClientError) as refused:
                    await engine.invoke(name)
                assert refused.value.error is AWS.TOO_MANY_REQUESTS
                assert refused.value.error.status == 429
                assert refused.value.message == (
                    "Rate Exceeded. This engine: 2 contexts exist and none is idle."
                )
                assert refused.value.extra == {
                    "Reason": "ConcurrentInvocationLimitExceeded",
                    "retryAfterSeconds": "1",
                }
            gate.open()
            await asyncio.gather(*calls)
        assert (await result(engine, name="other"))["globals"] == 1

    run_engine(scenario, max_contexts=2)


def refusal(error: object) -> str:
    """The reason that a throttled invocation was told."""
    assert isinstance(error, ClientError)
    assert (error.error, error.message) == (AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")
    return error.extra["Reason"]


RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_what_a_function_has_reserved_is_its_most_and_kept_from_others(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for name in ("f", "other"):
            await create(engine, "gate.wait", name, timeout=30)
        async with Gate() as gate:
            await engine.registry.concurrency.put("f", None, 0)
            outcomes = await asyncio.gather(gate.invoke(engine), return_exceptions=True)
            assert refusal(outcomes[0]) == RESERVED
            assert states(engine) == []
            await engine.registry.concurrency.put("f", None, 2)
            calls = [gate.invoke(engine) for _ in range(3)]
            others = [gate.invoke(engine, "other") for _ in range(3)]
            await gate.reached(3)  # two of f, and the one that the account has besides
            gate.open()
            outcomes = await asyncio.gather(*calls, *others, return_exceptions=True)
            refused = [refusal(one) for one in outcomes if isinstance(one, ClientError)]
            assert refused == [RESERVED, *["ConcurrentInvocationLimitExceeded"] * 2]
            await engine.registry.concurrency.delete("f")
            assert (await gate.invoke(engine)).function_error is None

    run_open(scenario, account_concurrency=3, unreserved_minimum=0)


def test_one_slow_function_does_not_hold_up_another(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", "slow", timeout=30)
        await create(engine, "life.count", "quick")
        await engine.registry.concurrency.put("slow", None, 2)
        async with Gate() as gate:
            slow = [gate.invoke(engine, "slow") for _ in range(2)]
            await gate.reached(2)
            # All that it may have is busy, and its callers do not give up.
            slow += [gate.invoke(engine, "slow") for _ in range(10)]
            found = [(await result(engine, name="quick"))["globals"] for _ in range(5)]
            assert found == [1, 2, 3, 4, 5]
            assert states(engine).count("busy") == 2
            gate.open()
            outcomes = await asyncio.gather(*slow, return_exceptions=True)
        refused = [refusal(one) for one in outcomes if isinstance(one, ClientError)]
        assert refused == [RESERVED] * 10

    run_open(scenario, max_contexts=3, unreserved_minimum=0)


def test_a_slow_function_that_fills_the_line_does_not_keep_another_out(
    run_open: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", "slow", timeout=30)
        await create(engine, "life.count", "quick")
        async with Gate() as gate:
            slow = [gate.invoke(engine, "slow") for _ in range(2)]
            await gate.reached(2)
            slow += [gate.invoke(engine, "slow") for _ in range(3)]
            (latest,) = await asyncio.gather(gate.invoke(engine, "slow"), return_exceptions=True)
            assert isinstance(latest, ClientError)  # three are all that may wait
            assert (
                latest.message == "Rate Exceeded. This engine: 2 contexts exist and none is idle."
            )
            quick = asyncio.create_task(result(engine, name="quick"))
            await eventually(slow[-1].done, "the latest gives way")
            gate.open(1)  # the first place is for whoever has none
            assert (await quick)["globals"] == 1
            gate.open()
            outcomes = await asyncio.gather(*slow, return_exceptions=True)
        assert [isinstance(one, Outcome) for one in outcomes] == [True] * 4 + [False]

    run_open(scenario, max_contexts=2, max_waiting=3)


def test_what_was_reserved_holds_from_the_first_invocation_after_a_restart(
    run_open: RunEngine,
) -> None:
    async def before(engine: Engine) -> None:
        await create(engine, "life.count")
        await engine.registry.concurrency.put("f", None, 0)

    async def after(engine: Engine) -> None:
        with pytest.raises(ClientError) as refused:
            await engine.invoke("f")
        assert refusal(refused.value) == RESERVED
        await engine.delete_function("f")
        await create(engine, "life.count")  # its namesake has nothing of it
        assert (await result(engine))["globals"] == 1

    run_open(before)
    run_open(after)


def test_a_new_context_evicts_the_coldest_idle_one_of_another_function(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        for name in ("cold", "hot", "new"):
            await create(engine, "life.count", name)
        for name in ("cold", "hot"):
            await result(engine, name=name)
        assert (await result(engine, name="new"))["globals"] == 1
        assert (await result(engine, name="hot"))["globals"] == 2
        left = {context["function"].rpartition(":")[2] for context in engine.contexts()}
        await eventually(lambda: len(engine.contexts()) == 2, "the evicted context is gone")
        assert left - {"cold"} == {"hot", "new"}
        assert (await result(engine, name="cold"))["globals"] == 1

    run_engine(scenario, max_contexts=2)
