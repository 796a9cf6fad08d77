"""An engine for a moment, and functions in it that look around: what they find is what functions
of the user's would find."""

from __future__ import annotations

import asyncio
import io
import json
import statistics
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from samovar.context import descendants
from samovar.doors.cli.doctor.probe import BOTO3_SOURCE, SOURCE
from samovar.doors.cli.report import Report
from samovar.engine import Engine
from samovar.errors import SamovarError
from samovar.model.invocation import ColdStart
from samovar.settings import Network, Settings

_COLD_STARTS = 3  # measured per interpreter, after a first one
_PAUSE = 0.05  # seconds, in which the engine forks its spares again
TOO_MUCH = 200  # MB, for a function that has AWS's least
# A function that is to have no network, whatever the others have.
OFFLINE = "doctor-offline"
_LOOKS = 100
_LARGE = 200_000  # bytes: more than fits a pipe, so that it goes through shared memory


@dataclass(frozen=True, slots=True)
class Start:
    """Cold starts of one runtime: the median, in seconds; or what went wrong."""

    seconds: float = 0.0
    problem: str = ""


@dataclass(slots=True)
class Trial:
    """What was found: the engine's report, what a function saw (empty if none ran), cold starts by
    runtime, and the same with boto3 imported. `payload` is what went wrong with a large one,
    `memory` what a function came to that took more than it may have, empty if none did; `offline`
    the interfaces that a function saw which is to have no network, None if it was refused or did
    not run; `frozen` what went wrong when a context was to stand still (None: it was not tried)."""

    report: Report
    seen: Mapping[str, Any] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    boto3: dict[str, Start] = field(default_factory=dict)
    payload: str = ""
    memory: str = ""
    offline: list[str] | None = None
    frozen: str | None = None


async def hold(settings: Settings) -> Trial:
    """Run it on the engine that `settings` describe; raises what entering an engine raises."""
    # Those who have the host's network run everywhere.
    tried = replace(settings, network=Network.HOST, offline_functions=(OFFLINE,))
    async with Engine(tried) as engine:
        trial = Trial(engine.report())
        runtimes = [item.runtime for item in trial.report.interpreters]
        for source, starts in ((SOURCE, trial.starts), (BOTO3_SOURCE, trial.boto3)):
            # Zygotes may start side by side; what is measured has the machine for itself.
            problems = await asyncio.gather(*(_create(engine, name, source) for name in runtimes))
            for runtime, problem in zip(runtimes, problems, strict=True):
                measured = Start(problem=problem) if problem else None
                starts[runtime] = measured or await _cold_starts(engine, runtime, source)
        working = [name for name, start in trial.starts.items() if not start.problem]
        if working:
            await _look_around(engine, working[-1], trial)
            await _look_for_networks(engine, working[-1], trial)
            if settings.freeze:
                trial.frozen = await _freeze(engine, _name(working[-1], SOURCE))
        return trial


async def _create(engine: Engine, runtime: str, source: str) -> str:
    """What went wrong; empty if nothing did."""
    try:
        await engine.create_function(
            _name(runtime, source),
            code=_zip(source),
            handler="probe.handler",
            runtime=runtime,
            timeout=30,
        )
    except SamovarError as error:
        return str(error)
    return ""


async def _cold_starts(engine: Engine, runtime: str, source: str) -> Start:
    name = _name(runtime, source)
    taken = []
    try:
        for _ in range(_COLD_STARTS + 1):
            outcome = await engine.invoke(name)
            if outcome.function_error is not None:
                return Start(problem=outcome.payload.decode(errors="replace"))
            taken += [_seconds(outcome.cold_start)] if outcome.cold_start else []
            engine.drop_idle_contexts(name)
            await asyncio.sleep(_PAUSE)
    except SamovarError as error:
        return Start(problem=str(error))
    # The first one has extracted the package and may have started a zygote.
    return Start(statistics.median(taken[1:] or taken or [0.0]))


def _seconds(cold: ColdStart) -> float:
    return cold.environment + cold.package + cold.init


async def _look_around(engine: Engine, runtime: str, trial: Trial) -> None:
    name = _name(runtime, SOURCE)
    outcome = await engine.invoke(name, {"look": True})
    if outcome.function_error is None:
        trial.seen = json.loads(outcome.payload)
    large = "x" * _LARGE
    outcome = await engine.invoke(name, {"echo": large})
    if outcome.payload != json.dumps(large).encode():
        trial.payload = outcome.payload[:200].decode(errors="replace") or "it came back empty"
    outcome = await engine.invoke(name, {"take": TOO_MUCH})
    trial.memory = outcome.error_type or "nothing"


async def _look_for_networks(engine: Engine, runtime: str, trial: Trial) -> None:
    try:
        await engine.create_function(
            OFFLINE, code=_zip(SOURCE), handler="probe.handler", runtime=runtime, timeout=30
        )
        outcome = await engine.invoke(OFFLINE, {"network": True})
    except SamovarError:
        return  # the wall says why
    if outcome.function_error is None:
        trial.offline = json.loads(outcome.payload)


async def _freeze(engine: Engine, name: str) -> str:
    """Have a thread and a child run on behind a reply: do they stop, and go on with the next?"""
    event = {"leave behind": True}
    for what in ("is left behind", "goes on"):
        outcome = await engine.invoke(name, event)
        if outcome.payload != b"true":
            return f"nothing {what}: {outcome.payload[:200].decode(errors='replace')}"
        states = _states(engine, name)
        for _ in range(_LOOKS):
            if set(states) == {"T"}:
                break
            await asyncio.sleep(_PAUSE)
            states = _states(engine, name)
        else:
            return f"the kernel shows its processes as {' and '.join(states)}, not all as stopped"
    return ""


def _states(engine: Engine, name: str) -> list[str]:
    """The kernel's letters for a function's workers and their children."""
    workers = [
        context["pid"]
        for context in engine.contexts()
        if context["pid"] is not None and context["function"].endswith(f":{name}")
    ]
    pids = [*workers, *(child for worker in workers for child in descendants.children(worker))]
    return [seen.state for pid in pids if (seen := descendants.look(pid)) is not None]


def _name(runtime: str, source: str) -> str:
    kind = "boto3" if source is BOTO3_SOURCE else "bare"
    return f"doctor-{kind}-{runtime.replace('.', '-')}"


def _zip(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("probe.py", source)
    return buffer.getvalue()
