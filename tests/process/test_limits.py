"""Contexts are held to MemorySize, to their share of the CPUs, and to a number of processes."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, error, eventually, result
from tests.process.other_hosts import AS_USER, or_skip
from tests.process.programs import PATIENCE, Program, run, serve
from tests.process.template_house import call, create_published

from samovar.context.control_groups import Group, own_groups
from samovar.context.limits import MEGABYTE
from samovar.engine import Engine
from samovar.model.invocation import Outcome

LIMITS = {"memory limit", "CPU share", "processes per context"}
KILLED = "Runtime exited with error: signal: killed"


def group(pid: int, controller: str) -> Group:
    """The control group of a process, as the host sees it."""
    mounts = Path("/proc/self/mountinfo").read_text()
    return own_groups(Path(f"/proc/{pid}/cgroup").read_text(), mounts)[controller]


def value(pid: int, controller: str, file: str) -> int:
    return int((group(pid, controller).directory / file).read_text())


def needs_groups(engine: Engine) -> None:
    """For what only control groups hold."""
    if LIMITS & engine.report().walls_missing.keys():
        pytest.skip("this host gives us no control groups")


def is_placed(pid: int) -> bool:
    """Whether it has joined all groups of its context: they are called by numbers."""
    if not pid:
        return False
    groups = [group(pid, name) for name in ("memory", "pids", "cpu")]
    return all(found.directory.name.isdecimal() for found in groups)


def pid_of(engine: Engine, function: str = "f") -> int:
    """The worker's, of a function's only context; 0: not known yet, or gone."""
    (pid,) = (
        one["pid"] for one in engine.contexts() if one["function"].rpartition(":")[2] == function
    )
    return pid or 0


async def known(engine: Engine, function: str = "f") -> int:
    """As `pid_of`, once the zygote has told of it: an answer may be there before that."""
    await eventually(lambda: pid_of(engine, function), "its pid is known")
    return pid_of(engine, function)


def is_out_of_memory(outcome: Outcome) -> bool:
    if outcome.function_error is None:
        return False
    said = error(outcome)
    return (
        list(said) == ["errorType", "errorMessage"]
        and said["errorType"] == outcome.error_type == "Runtime.OutOfMemory"
        and said["errorMessage"].endswith(KILLED)
    )


@pytest.mark.parametrize("cgroups", ["auto", "off"])
def test_a_function_that_takes_more_than_its_memory_is_ended(
    run_engine: RunEngine, cgroups: str
) -> None:
    """Alone: its neighbour's process goes on. Its own context lives on, too, with another one."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "appetite.memory", timeout=30)
        await create(engine, "appetite.memory", "neighbour", timeout=30)
        assert await result(engine, {"take": 90}, "neighbour") == 90 * MEGABYTE
        neighbour = await known(engine, "neighbour")
        assert await result(engine, {"take": 90}) == 90 * MEGABYTE
        outcome = await engine.invoke("f", {"take": 400, "keep": True}, log_tail=True)
        assert is_out_of_memory(outcome), outcome.payload
        tail = outcome.log_tail.decode()
        assert "Memory Size: 128 MB\tMax Memory Used: 128 MB" in tail
        assert "Status: error\tError Type: Runtime.OutOfMemory" in tail
        assert await result(engine, {"take": 1}) == MEGABYTE
        assert await result(engine, {"take": 1}, "neighbour") == MEGABYTE
        assert pid_of(engine, "neighbour") == neighbour
        assert len(engine.contexts()) == 2
        text = engine.metrics_text().decode()
        assert 'samovar_out_of_memory_total{function="f",' in text
        for line in text.splitlines():
            if line.startswith("samovar_out_of_memory_total{"):
                assert line.endswith(" 1.0" if 'function="f"' in line else " 0.0")

    run_engine(scenario, cgroups=cgroups)


def test_a_moment_is_enough_where_the_kernel_tells(run_engine: RunEngine) -> None:
    """What has more and gives it back before it answers, or before anybody looks."""

    async def scenario(engine: Engine) -> None:
        needs_groups(engine)
        await create(engine, "appetite.memory", timeout=30)
        for _ in range(3):
            assert is_out_of_memory(await engine.invoke("f", {"take": 400}))

    run_engine(scenario)


@pytest.mark.parametrize("cgroups", ["auto", "off"])
def test_what_is_in_tmp_is_not_its_memory(run_walled: RunEngine, cgroups: str) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "appetite.tmp", timeout=60)
        assert await result(engine, {"tmp": 511}) == 511 * MEGABYTE
        assert await result(engine, {"tmp": 511, "map": True}) == 511 * MEGABYTE
        said = error(await engine.invoke("f", {"tmp": 600}))
        assert said["errorType"] == "OSError"
        assert "No space left on device" in said["errorMessage"]
        assert await result(engine, {"tmp": 300, "map": True, "gone": True}) == 300 * MEGABYTE
        assert len(engine.contexts()) == engine.contexts()[0]["context"] == 1

    run_walled(scenario, cgroups=cgroups)


def test_memory_counts_beside_a_full_tmp(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "appetite.both", timeout=60)
        assert await result(engine, {"tmp": 400, "take": 90}) == 490 * MEGABYTE
        assert is_out_of_memory(await engine.invoke("f", {"tmp": 400, "take": 400}))

    run_walled(scenario)


@pytest.mark.parametrize("cgroups", ["auto", "off"])
def test_children_count_with_their_parent(run_engine: RunEngine, cgroups: str) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "appetite.child", timeout=60)
        assert is_out_of_memory(await engine.invoke("f", {"take": 300}))

    run_engine(scenario, cgroups=cgroups)


@pytest.mark.parametrize("cgroups", ["auto", "off"])
def test_an_init_that_takes_too_much(run_engine: RunEngine, cgroups: str) -> None:
    async def scenario(engine: Engine) -> None:
        greedy = {"AT_INIT": "400"}
        await create(engine, "appetite.memory", timeout=30, environment=greedy)
        outcome = await engine.invoke("f", {}, log_tail=True)
        assert is_out_of_memory(outcome)
        assert "Phase: init\tStatus: error\tError Type: Runtime.OutOfMemory" in (
            run_engine.log.text()
        )
        await engine.update_function("f", memory_size=1024)
        assert await result(engine, {"take": 1}) == MEGABYTE

    run_engine(scenario, cgroups=cgroups)


def test_forks_without_end_come_to_an_end(run_open: RunEngine) -> None:
    """Where there is no uid whose processes could be counted: the engine's own is root's."""

    async def scenario(engine: Engine) -> None:
        needs_groups(engine)
        await create(engine, "appetite.forks", timeout=60, memory_size=1024)
        await result(engine, {"most": 0})
        await eventually(lambda: is_placed(pid_of(engine)), "it is in its groups")
        found = await result(engine, {"most": 1100})
        assert found == {"children": 1023, "why": "EAGAIN"}

    run_open(scenario)


def is_limited(pid: int, memory: int) -> bool:
    """Memory, /tmp, and what the kernel takes on its behalf."""
    file = "memory.limit_in_bytes" if group(pid, "memory").version == 1 else "memory.max"
    return value(pid, "memory", file) == (memory + 512 + 32) * MEGABYTE


def test_the_weight_of_a_context_is_its_memorys(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        needs_groups(engine)
        shares = {}
        for name, memory in (("least", 128), ("one", 1769), ("most", 10240)):
            await create(engine, "appetite.memory", name, memory_size=memory)
            await result(engine, {}, name)
            pid = await known(engine, name)
            await eventually(partial(is_limited, pid, memory), "it is limited")
            assert value(pid, "pids", "pids.max") == 1024
            weight = "cpu.shares" if group(pid, "cpu").version == 1 else "cpu.weight"
            shares[name] = value(pid, "cpu", weight)
        assert list(shares.values()) in ([74, 1024, 5928], [7, 100, 579])

    run_engine(scenario, spares=2)


def quota(pid: int) -> int:
    """Microseconds of CPU time in a tenth of a second; -1: as many as it likes."""
    found = group(pid, "cpu")
    if found.version == 1:
        return value(pid, "cpu", "cpu.cfs_quota_us")
    text = (found.directory / "cpu.max").read_text().split()[0]
    return -1 if text == "max" else int(text)


@pytest.mark.parametrize(("cpu_quota", "later"), [(True, 7236), (False, -1)])
def test_a_quota_holds_from_the_end_of_the_init(
    run_engine: RunEngine, cpu_quota: bool, later: int
) -> None:
    """Of each init: the second process takes the place of the first."""

    async def scenario(engine: Engine) -> None:
        needs_groups(engine)
        async with Gate() as gate:
            waiting = {"GATE": str(gate.port)}
            await create(engine, "appetite.memory", timeout=60, environment=waiting)
            for _ in range(2):
                running = asyncio.create_task(engine.invoke("f", {"take": 1}))
                await gate.reached(1)
                await eventually(lambda: is_placed(pid_of(engine)), "it is in its group")
                assert quota(pid_of(engine)) == -1
                gate.open(1)
                assert (await running).function_error is None
                await eventually(lambda: quota(pid_of(engine)) == later, "the init is over")
                os.kill(pid_of(engine), signal.SIGKILL)
                await eventually(lambda: not engine.contexts()[0]["pid"], "it is gone")

    run_engine(scenario, cpu_quota=cpu_quota)


def test_a_process_that_takes_anothers_place_is_limited_as_it_was(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        needs_groups(engine)
        await create(engine, "appetite.memory", timeout=30)
        await result(engine)
        await eventually(lambda: is_placed(pid_of(engine)), "it is in its group")
        before = group(pid_of(engine), "memory")
        for _ in range(2):
            assert is_out_of_memory(await engine.invoke("f", {"take": 400}))
            await result(engine)
            await eventually(
                lambda: is_placed(pid_of(engine)) and group(pid_of(engine), "memory") == before,
                "it is in the same group",
            )

    run_walled(scenario)


def test_contexts_from_a_template_are_limited(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "appetite.memory", timeout=30)
        for take in (90, 400, 1):
            outcome = await call(engine, {"take": take})
            assert is_out_of_memory(outcome) == (take == 400), outcome.payload

    run_walled(scenario)


def test_nothing_is_left_of_contexts_that_are_gone(run_engine: RunEngine) -> None:
    """Their groups go soon after them, the engine's own when it stops."""

    async def scenario(engine: Engine) -> list[Path]:
        needs_groups(engine)
        await create(engine, "appetite.memory", timeout=30)
        await result(engine)
        await eventually(lambda: is_placed(pid_of(engine)), "it is in its groups")
        groups = [group(pid_of(engine), name).directory for name in ("memory", "pids", "cpu")]
        engine.drop_idle_contexts("f")
        await eventually(lambda: not any(path.exists() for path in groups), "they are gone")
        assert all(path.parent.exists() for path in groups)
        return [path.parent for path in groups]

    for top in run_engine(scenario):
        assert not top.exists()


@pytest.mark.usefixtures("prepared")
def test_what_a_killed_engine_leaves_the_next_one_removes(tmp_path: Path) -> None:
    """Whichever data directory it is on: in the groups of the dead there is nobody."""
    with Program(*serve(tmp_path / "data", "auto")) as first:
        first.line()
        left = tops_of(first.pid)
        if not left:
            pytest.skip("this host gives us no control groups")
        below = first.family()
        first.signal(signal.SIGKILL)
        psutil.wait_procs(below, PATIENCE)
    with Program(*serve(tmp_path / "other", "auto")) as second:
        second.line()
        assert tops_of(second.pid)
        assert not any(path.exists() for path in left)
        second.signal(signal.SIGINT)
        second.end()
        assert not tops_of(second.pid)


def tops_of(pid: int) -> list[Path]:
    """The groups of the engine whose pid it is, or was."""
    found = {one.directory for one in own_groups(*own_texts()).values()}
    return [path for own in found for path in own.glob(f"samovar-*-{pid}")]


def own_texts() -> tuple[str, str]:
    return Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()


def test_a_strict_engine_does_not_start_without_limits(tmp_path: Path) -> None:
    found = run(*serve(tmp_path / "data", "strict"), SAMOVAR_CGROUPS="off")
    assert found.returncode == 7, found.stderr
    for limit in LIMITS:
        assert f"{limit} (the setting cgroups is off" in found.stderr


def test_another_users_engine_looks_at_memory_itself(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from tests.process.house import create
from samovar.engine import Engine
from samovar.settings import Settings

async def main():
    async with Engine(Settings(data_dir=sys.argv[1], spares=1, cgroups="off")) as engine:
        await create(engine, "appetite.memory", timeout=30)
        for take in (90, 400):
            print((await engine.invoke("f", {"take": take, "keep": take > 90})).error_type)

asyncio.run(main())
"""
    found = run("-c", program, str(tmp_path / "data"), through=or_skip(AS_USER))
    assert found.stdout.split() == ["None", "Runtime.OutOfMemory"], found.stderr
