"""Who is there: every context, what functions have had to do, and what the host has left.

`/_samovar/contexts` gives it, `samovar top` shows it, `model.census` has its shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import psutil

from samovar.clock import Clock
from samovar.context.launcher import Context
from samovar.context.lifecycle import IN_FLIGHT, ContextState, Lifecycle
from samovar.context.memory_use import resident_mb
from samovar.logs.platform_lines import iso
from samovar.metrics.counts import Traffic
from samovar.metrics.event_sources import SourceNumbers
from samovar.metrics.occupancy import Occupancy
from samovar.model.census import (
    ContextEntry,
    FunctionEntry,
    Host,
    SourceEntry,
    Totals,
    VersionEntry,
    unused,
)
from samovar.model.event_source import ShownMapping
from samovar.model.function import PoolKey
from samovar.model.invocation import Initialization
from samovar.scheduler.driver import Scheduler

# A look at one process takes some 10 µs: more of them than this are not for the loop's thread.
_FEW = 64
_MEGABYTE = 2**20


def contexts(scheduler: Scheduler, clock: Clock, *, history: bool = False) -> list[ContextEntry]:
    """Every context, oldest first, but for its memory; on the loop's thread."""
    now, wall = clock.monotonic(), clock.wall()
    return [
        _entry(lifecycle, scheduler.contexts.get(lifecycle.context), now, wall, history)
        for lifecycle in scheduler.lifecycles()
    ]


def _entry(
    lifecycle: Lifecycle, context: Context | None, now: float, wall: float, history: bool
) -> ContextEntry:
    pool = PoolKey.of(lifecycle.pool)
    since = _since(lifecycle, context)
    served = context.invocations if context is not None else 0
    cold = min(served, int(lifecycle.awaited))
    entry: ContextEntry = {
        "context": lifecycle.context,
        "function": pool.function,
        "version": pool.version,
        "generation": pool.generation,
        "initialization": _initialization(lifecycle, context),
        "state": lifecycle.state.value,
        "state_seconds": None if since is None else _seconds(now - since),
        "frozen": context is not None and context.frozen,
        "pid": (context.pid or None) if context is not None else None,
        "invocations": served,
        "cold": cold,
        "warm": served - cold,
        "max_memory_used_mb": context.memory_used if context is not None else 0,
        "started": iso(wall - (now - lifecycle.asked)),
    }
    if history:
        entry["history"] = [state.value for state in lifecycle.history]
    return entry


def _initialization(lifecycle: Lifecycle, context: Context | None) -> str:
    if context is not None and context.placement is not None:
        return context.placement.initialization
    kind = Initialization.PROVISIONED if lifecycle.provisioned else Initialization.ON_DEMAND
    return kind.value


def _since(lifecycle: Lifecycle, context: Context | None) -> float | None:
    """When it came to its state (monotonic); None for what nobody notes."""
    state = lifecycle.state
    if state is ContextState.IDLE:
        return lifecycle.idle_since
    if state is ContextState.STARTING:
        return lifecycle.asked
    if state is ContextState.STOPPING:
        return lifecycle.stopped
    if context is not None and state is ContextState.INITIALIZING:
        return context.init_began
    if context is not None and state is ContextState.BUSY and context.current is not None:
        return context.current.started
    return None


async def with_memory(entries: list[ContextEntry]) -> list[ContextEntry]:
    """The same entries, each told what its process takes now; read beside the loop if many."""
    pids = [entry["pid"] for entry in entries]
    if len(pids) <= _FEW:
        sizes = _sizes(pids)
    else:
        sizes = await asyncio.to_thread(_sizes, pids)
    for entry, size in zip(entries, sizes, strict=True):
        entry["memory_mb"] = size
    return entries


def _sizes(pids: Sequence[int | None]) -> list[float | None]:
    return [None if pid is None else resident_mb(pid) for pid in pids]


def host(room: int | None) -> Host:
    """The machine's memory, now; `room` is MB that new contexts may take."""
    memory = psutil.virtual_memory()
    return {
        "memory_mb": memory.total // _MEGABYTE,
        "memory_available_mb": memory.available // _MEGABYTE,
        "room_mb": room,
    }


def functions(
    entries: Iterable[ContextEntry],
    waiting: Mapping[str, int],
    traffic: Mapping[str, Mapping[str, Traffic]],
    occupancy: Occupancy,
    prefix: str,
) -> list[FunctionEntry]:
    """By function and version, in the order of their names.

    `waiting`: invocations by pool; `traffic` by function's name and version; `prefix` is what
    stands before a name in an ARN.
    """
    found: dict[str, dict[str, VersionEntry]] = {}

    def of(function: str, version: str) -> VersionEntry:
        return found.setdefault(function, {}).setdefault(version, unused(version))

    for name, versions in traffic.items():
        for version, seen in versions.items():
            shown = of(prefix + name, version)
            shown["invocations"] = dict(seen.invocations)
            shown["errors"] = seen.errors
            shown["cold_starts"] = dict(seen.cold_starts)
            shown["throttles"] = dict(seen.throttles)
            shown["spillovers"] = seen.spillovers
    for (name, version), use in occupancy.provisioned.items():
        of(prefix + name, version)["provisioned"] = {
            "requested": use.requested,
            "ready": use.ready,
            "busy": use.busy,
            "failed": use.failed,
        }
    for name in occupancy.reserved:
        found.setdefault(prefix + name, {})
    for entry in entries:
        _count(of(entry["function"], entry["version"]), entry)
    for key, count in waiting.items():
        pool = PoolKey.of(key)
        shown = of(pool.function, pool.version)
        shown["waiting"] += count
        shown["in_flight"] += count
    return [
        {
            "name": function.rpartition(":")[2],
            "function": function,
            "in_flight": sum(one["in_flight"] for one in versions.values()),
            "reserved_concurrency": occupancy.reserved.get(function.removeprefix(prefix)),
            "versions": [versions[version] for version in sorted(versions, key=_rank)],
        }
        for function, versions in sorted(found.items())
    ]


def _count(shown: VersionEntry, entry: ContextEntry) -> None:
    state, age = entry["state"], entry["state_seconds"]
    shown["contexts"][state] = shown["contexts"].get(state, 0) + 1
    shown["frozen"] += entry["frozen"]
    if ContextState(state) in IN_FLIGHT:
        shown["in_flight"] += 1
    if age is not None and state == ContextState.BUSY.value:
        shown["longest_busy_seconds"] = max(age, shown["longest_busy_seconds"] or 0.0)
    if age is not None and state == ContextState.IDLE.value:
        shown["longest_idle_seconds"] = max(age, shown["longest_idle_seconds"] or 0.0)
    memory = entry.get("memory_mb") or 0.0
    shown["memory_mb"] = round(shown["memory_mb"] + memory, 1)
    shown["max_memory_used_mb"] = max(shown["max_memory_used_mb"], entry["max_memory_used_mb"])


def _rank(version: str) -> tuple[int, str]:
    """$LATEST first, then the published ones, the newest first."""
    return (-int(version), "") if version.isdecimal() else (-(10**12), version)


def totals(found: Iterable[FunctionEntry], occupancy: Occupancy) -> Totals:
    """What all functions come to."""
    total: Totals = {
        "contexts": {},
        "waiting": 0,
        "in_flight": 0,
        "memory_mb": 0.0,
        "invocations": {},
        "errors": 0,
        "cold_starts": {},
        "throttles": {},
        "claimed_concurrency": occupancy.claimed,
    }
    for shown in (version for function in found for version in function["versions"]):
        total["waiting"] += shown["waiting"]
        total["in_flight"] += shown["in_flight"]
        total["errors"] += shown["errors"]
        total["memory_mb"] = round(total["memory_mb"] + shown["memory_mb"], 1)
        _add(total["contexts"], shown["contexts"])
        _add(total["invocations"], shown["invocations"])
        _add(total["cold_starts"], shown["cold_starts"])
        _add(total["throttles"], shown["throttles"])
    return total


def sources(
    mappings: Iterable[ShownMapping], numbers: Mapping[str, SourceNumbers]
) -> list[SourceEntry]:
    """Every event source mapping, in the order of functions and sources; `numbers` by UUID."""
    found = [_source(one, numbers.get(one.mapping.uuid) or SourceNumbers()) for one in mappings]
    return sorted(found, key=lambda one: (one["function"], one["source"], one["mapping"]))


def _source(shown: ShownMapping, numbers: SourceNumbers) -> SourceEntry:
    age, lags = numbers.iterator_age, list(numbers.lags.values())
    return {
        "mapping": shown.mapping.uuid,
        "function": shown.mapping.function_arn,
        "source": shown.mapping.source_name,
        "topic": shown.mapping.topic,
        "state": shown.state.value,
        "last_result": shown.last_result,
        "pollers": numbers.pollers,
        "iterator_age_milliseconds": None if age is None else round(age * 1000.0, 3),
        "offset_lag": sum(lags) if lags else None,
        "events": dict(numbers.events),
        "errors": dict(numbers.errors),
    }


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def _seconds(value: float) -> float:
    return round(max(0.0, value), 3)
