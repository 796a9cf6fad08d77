"""A storm of mixed invocations, with kills, updates and callers who go away; then the rules.

What ran when is taken from what the handlers said themselves, outside of the engine. `STORM` and
`STORM_SEED` in the environment make it another one, or a longer one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.process.conftest import RunEngine
from tests.process.house import eventually, states
from tests.process.storm_house import (
    BLOWS,
    KILLS,
    SHARES,
    Blow,
    Call,
    Court,
    Run,
    code,
    forecast,
    kill_one,
)

from samovar.engine import Engine
from samovar.errors import ClientError, EngineError
from samovar.model.invocation import Outcome, StartKind
from samovar.model.provisioning import ProvisionedStatus

COUNT = int(os.environ.get("STORM", "5000"))
SEED = int(os.environ.get("STORM_SEED", "4"))
# Who is called, by shares of the calls. «rough» has reserved concurrency, and the alias of «wild»,
# which each of its updates moves, provisioned concurrency.
TARGETS = ("calm", "calm", "wild", "wild:live", "rough")
FUNCTIONS = ("calm", "rough", "wild")
RESERVED, PROVISIONED = 1, 2
CONTEXTS, WAITING, CALLERS = 6, 14, 18
# What an invocation may come to though nobody told its handler to: it was hit.
LOST = "The invocation was lost and may have run in part: "
NOT_STARTED = "No context could be started; nothing was run: "
HIT = "Runtime.ExitError"
# What it comes to when its handler was told to: AWS's error types.
TOLD = {"fail": "ValueError", "exit": HIT, "leave": HIT, "hang": "Sandbox.Timedout"}


@dataclass(slots=True)
class End:
    """What a call came to for its caller: an outcome, an error, or nothing as he went away.

    `issues`: the code's editions that were in force before it was made and when it was over.
    """

    outcome: Outcome | None = None
    error: ClientError | EngineError | None = None
    issues: tuple[int, int] = (0, 0)

    @property
    def kind(self) -> str:
        if self.error is not None:
            return next(
                (kind for kind in ("lost", "not started") if self._said(kind)),
                "throttled" if isinstance(self.error, ClientError) else f"{self.error}",
            )
        if self.outcome is None:
            return "gone"
        return self.outcome.error_type or "good"

    def _said(self, kind: str) -> bool:
        return f"{self.error}".startswith({"lost": LOST, "not started": NOT_STARTED}[kind])


@dataclass(slots=True)
class Storm:
    """One storm over one engine."""

    engine: Engine
    court: Court
    dice: random.Random
    ends: dict[int, End] = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)
    blows: Counter[str] = field(default_factory=Counter)
    issues: Counter[str] = field(default_factory=Counter)  # by target
    updating: set[str] = field(default_factory=set)
    _one_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def rage(self, count: int) -> None:
        """Make all calls, CALLERS at a time."""
        for name in FUNCTIONS:
            await self.engine.create_function(
                name,
                code=code(0),
                handler="storm.handler",
                timeout=1,
                environment={"COURT": self.court.name},
                publish=name == "wild",
            )
        await self.engine.put_function_concurrency("rough", RESERVED)
        await self.engine.create_alias("wild", "live", "1")
        config = await self.engine.put_provisioned_concurrency("wild", "live", PROVISIONED)
        assert config.status is ProvisionedStatus.READY
        steps = iter(forecast(self.dice, count, TARGETS))
        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(self._follow(steps))

    async def _follow(self, steps: Iterator[Call | Blow]) -> None:
        for step in steps:
            if isinstance(step, Call):
                await self._call(step)
            else:
                await self._strike(step)

    async def _call(self, call: Call) -> None:
        assert call.number not in self.calls
        self.calls[call.number] = call
        target = f"{call.function}:{call.qualifier}" if call.qualifier else call.function
        before = self.issues[target]
        end = End()
        invoking = asyncio.ensure_future(
            self.engine.invoke(call.function, call.event, qualifier=call.qualifier)
        )
        if call.patience is not None:
            for _ in range(call.patience):
                await asyncio.sleep(0)
            invoking.cancel()
        try:
            end.outcome = await invoking
        except (ClientError, EngineError) as error:
            end.error = error
        except asyncio.CancelledError:
            assert call.patience is not None
        end.issues = before, self.issues[target] + (call.function in self.updating)
        assert call.number not in self.ends
        self.ends[call.number] = end
        if end.kind == "throttled":  # whoever tries again at once makes a storm of refusals only
            await self._one_over.wait()
        else:
            self._one_over.set()
            self._one_over = asyncio.Event()

    async def _strike(self, blow: Blow) -> None:
        name = blow.function
        if blow.kind in KILLS:
            self.blows[blow.kind] += kill_one(self.engine, blow.kind, self.dice)
        elif blow.kind == "drop":
            self.blows["drop"] += self.engine.drop_idle_contexts(name) > 0
        elif name not in self.updating:
            self.updating.add(name)
            await self._update(name, self.issues[name] + 1)
            self.updating.discard(name)
            self.blows["update"] += 1

    async def _update(self, name: str, issue: int) -> None:
        """New code; of «wild» another version, which the alias then stands for, and none else."""
        engine, published = self.engine, name == "wild"
        new = await engine.update_function(name, code=code(issue), publish=published)
        self.issues[name] = issue
        if published:
            old = await engine.get_alias(name, "live")
            await engine.update_alias(name, "live", version=new.version)
            self.issues[f"{name}:live"] = issue
            await engine.delete_version(name, old.function_version)

    def provisioned_ready(self) -> bool:
        """Whether all provisioned contexts are there, whatever was killed of them."""
        config = self.engine.registry.provisioned.get("wild", "live")
        return config.status is ProvisionedStatus.READY


def counting(engine: Engine) -> Counter[str]:
    """From now on, how often the engine tells of an invocation's end, by the way in which it does.
    (Metrics forget what belonged to a version that is deleted.)"""
    told: Counter[str] = Counter()

    def listen(hook: str) -> None:
        tell = getattr(engine.metrics, hook)

        def heard(*facts: object) -> None:
            told[hook] += 1
            tell(*facts)

        setattr(engine.metrics, hook, heard)

    for hook in ("invocation_finished", "invocation_throttled", "invocation_failed"):
        listen(hook)
    return told


def check_answers(storm: Storm) -> None:
    """Each caller got his own answer, once, and what happened to an invocation without its handler
    having been told to has a cause."""
    runs: dict[int, list[Run]] = {}
    for run in storm.court.record.runs:
        runs.setdefault(run.number, []).append(run)
    assert all(len(found) == 1 for found in runs.values()), "none ran twice"
    hit = 0
    for number, end in storm.ends.items():
        call, ran = storm.calls[number], runs.get(number)
        told = TOLD.get(call.event["do"], "good")
        if end.kind in ("throttled", "not started"):
            assert ran is None, (call, end)
        elif end.kind == "good":
            assert told == "good", (call, end)
            check_result(call, end)
            assert ran is not None and ran[0].end is not None, (call, end)
        elif end.kind == told and told != HIT:
            assert ran is not None, (call, end)
        hit += end.kind in ("lost", "not started", HIT) and end.kind != told
        assert end.kind in ("throttled", "not started", "gone", "lost", HIT, told), (call, end)
    blows = storm.blows
    at_once = blows["zygote"] * (CONTEXTS + WAITING)  # all that ran, and all that waited
    assert hit <= blows["worker"] + blows["holder"] + blows["spare"] + at_once


def check_result(call: Call, end: End) -> None:
    assert end.outcome is not None
    found = json.loads(end.outcome.payload)
    assert found["number"] == call.number, "the answer is its own"
    assert found["request"] == end.outcome.request_id
    assert found["version"] == end.outcome.executed_version
    assert (found["version"] == "$LATEST") == (call.qualifier is None)
    assert end.issues[0] <= found["issue"] <= end.issues[1], "no code but what was in force"
    if call.event["do"] == "echo":
        assert found["came"] == call.event["text"]
    elif call.event["do"] == "take":
        assert found["came"] == call.event["mb"] << 20


def check_contexts(storm: Storm) -> None:
    record = storm.court.record
    assert record.shared_contexts() == [], "one invocation at a time"
    assert 2 <= record.overlapping(record.runs) <= CONTEXTS
    reserved = [run for run in record.runs if storm.calls[run.number].function == "rough"]
    assert 1 <= record.overlapping(reserved) <= RESERVED
    assert len({run.context for run in record.runs}) > CONTEXTS  # kills and updates made new ones


def check_that_it_stormed(storm: Storm, count: int) -> None:
    """Of each kind of thing there was some."""
    kinds = Counter(end.kind for end in storm.ends.values())
    assert kinds["good"] > count / 3, kinds
    for kind in ("throttled", "gone", "ValueError", HIT):
        assert kinds[kind] > 0, kinds
    if count >= COUNT:  # of a few that hang all may have been hit first
        assert kinds["Sandbox.Timedout"] > 0, kinds
    assert storm.blows.keys() == BLOWS.keys(), storm.blows
    assert {call.event["do"] for call in storm.calls.values()} == {"quick", *SHARES}
    starts = Counter(end.outcome.start for end in storm.ends.values() if end.outcome is not None)
    for start in (StartKind.COLD, StartKind.WARM, StartKind.PROVISIONED):
        assert starts[start] > 0, starts
    errors = [end.error for end in storm.ends.values() if isinstance(end.error, ClientError)]
    reasons = {error.extra["Reason"] for error in errors}
    assert "ReservedFunctionConcurrentInvocationLimitExceeded" in reasons


def test_a_storm(run_engine: RunEngine) -> None:
    count = COUNT if run_engine.walled else COUNT // 5

    async def scenario(engine: Engine) -> Storm:
        async with Court() as court:
            storm, told = Storm(engine, court, random.Random(SEED)), counting(engine)
            await storm.rage(count)
            await eventually(lambda: set(states(engine)) <= {"idle"}, "all have run to their ends")
            assert told.total() == count, "each was answered once, waited for or not"
            assert len(storm.ends) == count
            await eventually(storm.provisioned_ready, "provisioned contexts are there again")
            check_that_it_stormed(storm, count)
            for name in FUNCTIONS:
                await engine.delete_function(name)
            await eventually(lambda: not states(engine), "no context is left")
            await eventually(lambda: court.all_gone, "nor a process that could say more")
            return storm

    storm = run_engine(scenario, max_contexts=CONTEXTS, max_waiting=WAITING)
    check_answers(storm)
    check_contexts(storm)
