"""A host that runs short of memory: idle contexts go, the coldest first, then cold starts wait."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.process import programs
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, result, states

from samovar.context.host_memory import own_group
from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.testing import ManualClock

SHORT = "Rate Exceeded. This engine: the host has no memory for another context, and none is idle."
PROGRAM = "tests.process.memory_program"
LIMIT = 480  # MB for an engine, its zygote and its contexts


class Gauge:
    """Says what the test says."""

    def __init__(self) -> None:
        self.mb = 10_000

    def room(self) -> int:
        return self.mb


def contexts(engine: Engine) -> dict[str, str]:
    """The state of each function's only context."""
    return {entry["function"].rpartition(":")[2]: entry["state"] for entry in engine.contexts()}


def test_idle_contexts_go_and_then_cold_starts_are_refused(run_engine: RunEngine) -> None:
    gauge, clock = Gauge(), ManualClock()

    async def scenario(engine: Engine) -> None:
        for name in ("cold", "warm", "busy"):
            await create(engine, "gate.wait", name, timeout=60)
        async with Gate() as gate, Gate() as wide:
            wide.open()
            busy = gate.invoke(engine, "busy")
            await gate.reached(1)
            for name in ("cold", "warm"):
                await result(engine, wide.event(), name)
                clock.advance(0.01)
            assert contexts(engine) == {"busy": "busy", "cold": "idle", "warm": "idle"}
            gauge.mb = -1
            clock.advance(1)
            await eventually(lambda: "cold" not in contexts(engine), "the coldest has gone")
            assert contexts(engine) == {"busy": "busy", "warm": "idle"}
            warm = await result(engine, wide.event(), "warm")
            assert warm["calls"] == 2  # what is there is used
            gauge.mb = -1000
            clock.advance(1)
            await eventually(lambda: contexts(engine) == {"busy": "busy"}, "all idle ones have")
            with pytest.raises(ClientError) as refused:
                await engine.invoke("warm", wide.event())
            assert refused.value.error is AWS.TOO_MANY_REQUESTS
            assert refused.value.message == SHORT
            text = engine.metrics_text().decode()
            throttled = r'^samovar_throttles_total{function="warm",.*reason="memory",.*} 1.0$'
            assert re.search(throttled, text, re.MULTILINE)
            assert "samovar_memory_room_bytes -1048576000.0\n" in text
            assert engine.memory_room() == -1000
            assert states(engine) == ["busy"]
            gauge.mb = 10_000
            clock.advance(1)
            again = await result(engine, wide.event(), "warm")
            assert again["calls"] == 1
            gate.open()
            assert json.loads((await busy).payload)["calls"] == 1  # it was never disturbed

    run_engine(scenario, clock=clock, memory=gauge)


@pytest.fixture
def limited() -> Iterator[Path]:
    """A memory control group of LIMIT MB, of version 1, below our own."""
    group = own_group()
    if group is None or group.version != 1:
        pytest.skip("no memory control group of version 1 to make another one in")
    made = group.directory / f"samovar-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    try:
        (made / "memory.limit_in_bytes").write_text(f"{LIMIT << 20}")
        yield made
    finally:
        made.rmdir()


def test_an_engine_in_a_control_group_stays_below_its_limit(limited: Path, tmp_path: Path) -> None:
    """Without a look at the memory the kernel would kill something of it."""
    joining = f"echo $$ > {limited}/cgroup.procs && exec {sys.executable} -m {PROGRAM}"
    ran = subprocess.run(
        ["sh", "-c", joining],
        input=f"{tmp_path / 'data'}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=programs.PATIENCE,
        env=programs.environment(),
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert 100 < told["before"] < LIMIT
    assert told["refusal"] == SHORT
    assert 2 <= told["held"] < LIMIT / 40
    assert told["idle"] == told["held"]
    assert told["other"] == "7"
    assert told["left"] <= told["held"]  # one of «other», at the least for one that went
    control = (limited / "memory.oom_control").read_text()
    assert "oom_kill 0\n" in control, "nobody was killed for his memory"
