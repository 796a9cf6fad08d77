"""Contexts that stand still, as the host sees them: states of processes, and files that grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
from tests.process.house import eventually

from samovar.context.descendants import children, look
from samovar.engine import Engine

_HOLDERS = ("cat", "env")


def workers(engine: Engine, name: str = "f") -> list[int]:
    """The pids of a function's workers."""
    return [
        context["pid"]
        for context in engine.contexts()
        if context["pid"] and context["function"].endswith(f":{name}")
    ]


def below(engine: Engine, name: str = "f") -> list[int]:
    """The pids of a function's processes: its workers, what these have started, and what was left
    to the holders of their namespaces, which are not among them."""
    found: list[int] = []
    for worker in workers(engine, name):
        found.append(worker)
        roots = [worker]
        parent = psutil.Process(worker).parent()
        namespace = Path(f"/proc/{worker}/ns/pid").readlink()
        assert parent is not None
        if namespace != Path(f"/proc/{parent.pid}/ns/pid").readlink():
            others = [pid for pid in children(parent.pid) if pid != worker]
            roots += [pid for pid in others if _namespace(pid) == namespace]
        for root in roots:
            found += [one.pid for one in psutil.Process(root).children(recursive=True)]
    return found


def _namespace(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:
        return None


def processes_states(pids: list[int]) -> list[str]:
    """The kernel's letter for each of them; «-» for one that is gone."""
    return [seen.state if (seen := look(pid)) is not None else "-" for pid in pids]


def stands_still(engine: Engine, name: str = "f") -> bool:
    """Whether a function has processes, and all of them are stopped; dead ones are left out."""
    found = {state for state in processes_states(below(engine, name)) if state not in "ZX-"}
    return found == {"T"}


async def frozen(engine: Engine, name: str = "f") -> None:
    """Wait until a function's contexts stand still, and the engine says so."""
    await eventually(lambda: stands_still(engine, name), f"all of {name} stands still")
    await eventually(
        lambda: all(
            context["frozen"]
            for context in engine.contexts()
            if context["function"].endswith(f":{name}")
        ),
        f"{name} is frozen",
    )


def counted(engine: Engine, told: dict[str, Any], name: str = "f") -> dict[str, int]:
    """How far each of a `ticking` function's counts is; `told`: what that has said."""
    (worker,) = workers(engine, name)
    # Behind its private /tmp; without walls that is the host's.
    place = Path(f"/proc/{worker}/root") / told["place"].lstrip("/")
    return {kind: (place / kind).stat().st_size for kind in told["counts"]}


def numbers(engine: Engine) -> dict[str, float]:
    """What is counted of freezing: `frozen`, `freezes` and `failures`."""
    samples = {
        sample.name: sample.value
        for family in engine.metrics.collect()
        for sample in family.samples
        if "fr" in sample.name
    }
    return {
        "frozen": samples["samovar_contexts_frozen"],
        "freezes": samples["samovar_freezes_total"],
        "failures": samples.get("samovar_freeze_failures_total", 0.0),
    }
