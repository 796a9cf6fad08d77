"""Provisioned concurrency: contexts that are initialised before anybody comes, counted outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, error, eventually, states
from tests.process.kin import worker_of
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import AWS, ClientError, EngineError
from samovar.model.invocation import Outcome, StartKind
from samovar.model.provisioning import Progress, ProvisionedStatus, ShownConfig
from samovar.testing import ManualClock

ON_DEMAND, PROVISIONED = "on-demand", "provisioned-concurrency"
FAILURE = "FUNCTION_ERROR_INIT_FAILURE"


async def publish(engine: Engine, court: Court, edition: str = "1", **environment: str) -> None:
    """The next version of `f`, which tells `court` of its inits."""
    variables = {"INIT_PORT": str(court.port), "EDITION": edition, **environment}
    if edition == "1":
        await create(engine, "provisioned.handler", environment=variables, timeout=30)
    else:
        await engine.update_function("f", environment=variables)
    await engine.registry.versions.publish("f")
    await engine.registry.wait_settled("f", edition)


async def provision(engine: Engine, qualifier: str, count: int) -> ShownConfig:
    return await engine.put_provisioned_concurrency("f", qualifier, count)


def shown(engine: Engine, qualifier: str = "1") -> tuple[ProvisionedStatus, Progress]:
    found = engine.registry.provisioned.get("f", qualifier)
    return found.status, found.progress


async def ready(engine: Engine, qualifier: str = "1") -> None:
    await eventually(
        lambda: shown(engine, qualifier)[0] is ProvisionedStatus.READY, "all contexts are ready"
    )


def at_the_gate(
    engine: Engine, court: Court, count: int, qualifier: str | None = "1"
) -> list[asyncio.Task[Outcome]]:
    """Invocations that are on their way to the court."""
    event = court.event()
    return [
        asyncio.create_task(engine.invoke("f", event, qualifier=qualifier)) for _ in range(count)
    ]


async def told(calls: list[asyncio.Task[Outcome]]) -> list[dict[str, Any]]:
    """What the handlers said."""
    outcomes = await asyncio.gather(*calls)
    assert {outcome.function_error for outcome in outcomes} <= {None}
    return [json.loads(outcome.payload) for outcome in outcomes]


def test_five_provisioned_and_five_at_once_are_no_cold_start(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 5))
            await court.reached(5)  # all five import at the same time, and wait there
            assert shown(engine) == (ProvisionedStatus.IN_PROGRESS, Progress())
            court.open(2)
            await eventually(lambda: shown(engine)[1].ready == 2, "two of them are ready")
            assert shown(engine)[0] is ProvisionedStatus.IN_PROGRESS
            court.open(3)
            assert (await putting).progress == Progress(5, 5)
            assert shown(engine) == (ProvisionedStatus.READY, Progress(5, 5))
            calls = at_the_gate(engine, court, 5)
            await court.reached(5)
            assert court.phases() == ["init"] * 5 + ["invoke"] * 5
            assert shown(engine) == (ProvisionedStatus.READY, Progress(5, 5))  # busy ones are there
            # A sixth spills over to a context on demand, and has a cold start.
            calls += at_the_gate(engine, court, 1)
            await court.reached(6)
            assert court.heard[-1] == {"phase": "init", "edition": "1", "type": ON_DEMAND}
            court.open_last()
            await eventually(lambda: len(court.heard) == 12, "the sixth is in its handler")
            court.open()
            found = await told(calls)
            assert [facts["type"] for facts in found] == [PROVISIONED] * 5 + [ON_DEMAND]
            assert [facts["calls"] for facts in found] == [1] * 6
            outcomes = [call.result() for call in calls]
            assert [outcome.start for outcome in outcomes] == [
                *[StartKind.PROVISIONED] * 5,
                StartKind.COLD,
            ]
            assert {outcome.executed_version for outcome in outcomes} == {"1"}
            # $LATEST has none of it.
            (facts,) = await told(at_the_gate(engine, court, 1, None))
            assert (facts["type"], facts["version"]) == (ON_DEMAND, "$LATEST")

    run_engine(scenario)


def test_invocations_are_served_on_demand_while_it_is_in_progress(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 1))
            await court.reached(1)
            calls = at_the_gate(engine, court, 1)
            await court.reached(2)
            assert [fact["type"] for fact in court.heard] == [PROVISIONED, ON_DEMAND]
            assert shown(engine)[0] is ProvisionedStatus.IN_PROGRESS
            court.open()
            await told(calls)
            await putting

    run_open(scenario)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_one_that_is_killed_is_replaced(run_engine: RunEngine, busy: bool) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 2))
            await court.reached(2)
            court.open(2)
            await putting
            calls = at_the_gate(engine, court, 1 if busy else 0)
            await court.reached(len(calls))
            wanted = "busy" if busy else "idle"
            victim = next(one for one in engine.contexts() if one["state"] == wanted)
            os.kill(worker_of(engine, str(victim["context"])), signal.SIGKILL)
            await court.reached(len(calls) + 1)  # the next one imports
            assert shown(engine) == (ProvisionedStatus.READY, Progress(1, 2))
            for call in calls:
                assert error(await call)["errorType"] == "Runtime.ExitError"
            court.open()
            await eventually(lambda: shown(engine)[1].ready == 2, "there are two again")
            assert victim["context"] not in [one["context"] for one in engine.contexts()]
            found = await told([asyncio.create_task(engine.invoke("f", qualifier="1"))])
            assert found[0]["type"] == PROVISIONED
            assert court.phases().count("init") == 3

    run_engine(scenario)


def test_an_init_that_fails_is_given_up(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            court.open()
            await publish(engine, court, BROKEN="1")
            found = await provision(engine, "1", 2)
            assert (found.status, found.progress.failure) == (ProvisionedStatus.FAILED, FAILURE)
            await eventually(lambda: not states(engine), "nothing is tried any more")
            tried = len(court.heard)
            assert 6 <= tried <= 7  # two at a time
            # Whoever invokes it sees why.
            assert error(await engine.invoke("f", qualifier="1"))["errorMessage"] == "broken"
            again = len(court.heard)
            assert (await provision(engine, "1", 2)).status is ProvisionedStatus.FAILED
            await eventually(lambda: len(court.heard) - again >= 6, "a new Put tries again")

    run_engine(scenario)


def test_a_process_that_ends_right_after_its_init_is_given_up(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            court.open()
            await publish(engine, court, SOON="1")
            await engine.registry.provisioned.put("f", "1", 2)
            await eventually(lambda: shown(engine)[0] is ProvisionedStatus.FAILED, "it is given up")
            await eventually(lambda: not states(engine), "nothing is tried any more")
            # Two at a time; and one that has ended before the engine hears of its init counts as a
            # failed init, of which there may be five beside the six that ended early.
            assert 6 <= len(court.heard) <= 12
            (facts,) = await told([asyncio.create_task(engine.invoke("f", qualifier="1"))])
            assert facts["type"] == ON_DEMAND

    run_open(scenario, freeze=False)  # else its timer would stand still, too


def test_a_zygote_that_dies_under_six_inits_fails_nothing(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 6))
            await court.reached(6)
            os.kill(engine.report().zygotes[0], signal.SIGKILL)
            await eventually(lambda: len(court.heard) == 12, "six others initialise")
            assert shown(engine) == (ProvisionedStatus.IN_PROGRESS, Progress())
            court.open()
            assert (await putting).status is ProvisionedStatus.READY

    run_engine(scenario)


def test_an_init_ahead_of_need_has_130_seconds_and_holds_nobody_up(run_open: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            await engine.registry.provisioned.put("f", "1", 1)
            await court.reached(1)
            clock.advance(129)
            await eventually(lambda: len(court.heard) == 1, "it is the first still")
            (call,) = at_the_gate(engine, court, 1)  # is served meanwhile, on demand
            await court.reached(2)
            clock.advance(2)
            await court.reached(3)  # the next attempt
            assert [fact["type"] for fact in court.heard] == [PROVISIONED, ON_DEMAND, PROVISIONED]
            await engine.registry.provisioned.delete("f", "1")
            await eventually(lambda: states(engine) == ["initializing"], "it is called off")
            court.open()
            await told([call])

    run_open(scenario, clock=clock)


def test_the_engine_stops_at_once_while_contexts_initialise(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 9))
            await court.reached(8)
            workers = [worker_of(engine, str(one["context"])) for one in engine.contexts()]
            # On a clock that stands still no grace is ever over.
            await engine.stop()
            assert not any(map(psutil.pid_exists, workers))
            with pytest.raises(EngineError, match="stopped before the contexts were ready"):
                await putting

    run_engine(scenario, clock=ManualClock())


def test_an_alias_takes_its_contexts_along(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court, "1")
            await publish(engine, court, "2")
            await engine.registry.aliases.create("f", "live", "1")
            putting = asyncio.create_task(provision(engine, "live", 2))
            await court.reached(2)
            court.open(2)
            await putting
            await engine.registry.aliases.update("f", "live", function_version="2")
            assert shown(engine, "live") == (ProvisionedStatus.IN_PROGRESS, Progress())
            await court.reached(2)
            versions = [one["version"] for one in engine.contexts() if one["state"] != "stopping"]
            assert versions == ["2", "2"]
            court.open(2)
            await ready(engine, "live")
            calls = at_the_gate(engine, court, 2, "live")
            await court.reached(2)
            assert [fact["edition"] for fact in court.heard if fact["phase"] == "init"] == [
                *("1", "1", "2", "2")
            ]
            court.open()
            found = await told(calls)
            assert {(facts["type"], facts["version"]) for facts in found} == {(PROVISIONED, "2")}
            # By its number, too, the version has what there is.
            (facts,) = await told([asyncio.create_task(engine.invoke("f", qualifier="2"))])
            assert facts["type"] == PROVISIONED
            # A second version by weight has its part of it.
            await engine.registry.aliases.update("f", "live", routing={"1": 0.5})
            await ready(engine, "live")
            await eventually(lambda: len(states(engine)) == 2, "one of each is kept")
            assert sorted(one["version"] for one in engine.contexts()) == ["1", "2"]
            await engine.registry.aliases.delete("f", "live")
            await eventually(lambda: not states(engine), "nothing is kept any more")

    run_engine(scenario)


def test_a_restart_restores_them(run_engine: RunEngine) -> None:
    async def before(engine: Engine) -> None:
        await create(engine, "life.count")
        await engine.registry.versions.publish("f")
        await engine.registry.wait_settled("f", "1")
        await engine.registry.aliases.create("f", "live", "1")
        await provision(engine, "live", 2)

    async def after(engine: Engine) -> None:
        # They begin within the start, and may be there before it is over.
        assert shown(engine, "live")[0] is not ProvisionedStatus.FAILED
        await ready(engine, "live")
        outcome = await engine.invoke("f", qualifier="live")
        assert (outcome.start, outcome.executed_version) == (StartKind.PROVISIONED, "1")
        assert [one["version"] for one in engine.contexts()] == ["1", "1"]

    run_engine(before)
    run_engine(after)


def test_what_is_not_wanted_any_more_goes(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 3))
            await court.reached(3)
            court.open(3)
            await putting
            (call,) = at_the_gate(engine, court, 1)
            await court.reached(1)
            await provision(engine, "1", 1)
            await eventually(lambda: states(engine) == ["busy"], "those that are idle go first")
            await engine.registry.provisioned.delete("f", "1")
            assert states(engine) == ["busy"]
            court.open()
            await told([call])
            await eventually(lambda: not states(engine), "and it goes when it is done")
            (facts,) = await told(at_the_gate(engine, court, 1))
            assert facts["type"] == ON_DEMAND

    run_engine(scenario)


def test_deleting_the_function_takes_all_of_it(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            court.open()
            await publish(engine, court)
            await provision(engine, "1", 2)
            await engine.delete_function("f")
            await eventually(lambda: not states(engine), "no context is left")
            await publish(engine, court)
            (facts,) = await told(at_the_gate(engine, court, 1))
            assert facts["type"] == ON_DEMAND

    run_open(scenario)


def refusal(error: BaseException | None) -> dict[str, str]:
    assert isinstance(error, ClientError)
    assert (error.error, error.message) == (AWS.TOO_MANY_REQUESTS, "Rate Exceeded.")
    return error.extra


RESERVED = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}


def test_all_that_is_reserved_is_provisioned(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        async with Court() as court:
            await publish(engine, court)
            putting = asyncio.create_task(provision(engine, "1", 2))
            await court.reached(2)
            court.open(2)
            await putting
            await engine.put_function_concurrency("f", 2)
            # Nothing of it is left for $LATEST, even while nothing runs.
            (refused,) = await asyncio.gather(engine.invoke("f"), return_exceptions=True)
            assert refusal(refused).items() >= RESERVED.items()  # type: ignore[arg-type]
            calls = at_the_gate(engine, court, 2)
            await court.reached(2)
            (refused,) = await asyncio.gather(
                engine.invoke("f", qualifier="1"), return_exceptions=True
            )
            assert refusal(refused).items() >= RESERVED.items()  # type: ignore[arg-type]
            court.open()
            assert {facts["type"] for facts in await told(calls)} == {PROVISIONED}
            assert court.phases().count("init") == 2

    run_open(scenario)
