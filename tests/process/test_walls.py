"""The walls: what a function sees of the machine and of other contexts, and what it can't do."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import sys
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, own_uids, result
from tests.process.template_house import call, create_published

from samovar.engine import Engine

# The name that a function may have; nothing else of it is in there.
SEEN_OF_ROOT = {"bin", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "sbin", "tmp", "usr"}
ALSO = {"lib32", "libx32", "var"}
DEVICES = ["fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"]


def test_the_file_system_of_a_function(run_walled: RunEngine) -> None:
    hidden = [
        "/home",
        "/root",
        "/var/lib",
        "/etc/shadow",
        "/sys",
        "/dev/shm",
        str(run_walled.data_dir),
        str(run_walled.data_dir.parent),
        str(Path(__file__).parents[2]),
        sys.prefix,
        "/run/samovar/worker",
        "/run/samovar/code",
    ]

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.view")
        seen = await result(engine, {"paths": hidden})
        assert seen["cwd"] == "/var/task"
        assert SEEN_OF_ROOT - {"lib64"} <= set(seen["root"]) <= SEEN_OF_ROOT | ALSO
        assert seen["task"] == ["surroundings.py"]
        assert seen["dev"] == DEVICES
        assert seen["exists"] == dict.fromkeys(hidden, False)
        assert set(seen["written"].values()) == {"EROFS"}, seen["written"]
        # An unprivileged engine's functions have its uid, under another number.
        assert seen["code"] == ["0o40755", os.geteuid() == 0]
        assert seen["overwrite"] == "EROFS"
        assert seen["devices"] == ["0000", 8, None, "ENOSPC"]
        assert seen["own stdout"] == 0
        assert "shown\n" in run_walled.log.text()

    run_walled(scenario)


def test_devices_are_those_that_give_nothing_away(run_walled: RunEngine) -> None:
    """As on AWS there is no /dev/shm, and so no semaphore with a name: code that needs one fails
    here as it does there."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.devices")
        seen = await result(engine)
        numbers = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
        assert seen.pop("there") == {name: [True, 1, minor] for name, minor in numbers.items()}
        assert seen.pop("links") == ["fd", "stderr", "stdin", "stdout"]
        for name in ("semaphore", "shared memory"):
            assert seen.pop(name) in ("ENOENT", "ENOSYS")  # by libc's age
        assert seen.pop("mode") in ("EROFS", "EPERM")
        assert seen.pop("pipe") is None
        assert seen == {"terminal": "ENOENT", "disk": "EPERM", "memory": "EPERM"}

    run_walled(scenario)


def test_tmp_is_private_and_as_large_as_configured(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for name, size in (("small", 512), ("large", 1536)):
            await create(engine, "surroundings.tmp", name, ephemeral_storage=size)
            for _ in range(2):
                seen = await result(engine, name=name)
                assert seen == {
                    "mode": "0o1777",
                    "megabytes": size,
                    "too much": "ENOSPC",
                    "enough": None,
                    "seen": ["from-python", "large"],
                    "tempfile": "/tmp",
                    "executable": 0,
                }
        await create(engine, "life.count", "other")
        assert (await result(engine, name="other"))["tmp"] == 1

    run_walled(scenario)


def test_a_function_sees_its_own_processes_only(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count", "other")
        await result(engine, name="other")
        await create(engine, "surroundings.processes")
        for _ in range(2):
            seen = await result(engine)
            # Of the same uid it may be signalled, but the kernel shields a namespace's pid 1.
            assert seen.pop("kill 1") == ("EPERM" if os.geteuid() == 0 else None)
            assert seen == {"others": [], "environment of 1": "EACCES"}

    run_walled(scenario)


@pytest.mark.parametrize("start", ["on demand", "from a template"])
def test_a_context_has_a_limit_of_processes_to_itself(run_walled: RunEngine, start: str) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "surroundings.crowd", timeout=30)
        version = "$LATEST" if start == "on demand" else "1"
        async with Gate() as gate:
            full_event = gate.event() | {"fill": True}
            first = asyncio.create_task(call(engine, full_event, version=version))
            await gate.reached(1)  # it has as many as it may, and holds them
            second = asyncio.create_task(call(engine, gate.event(), version=version))
            await gate.reached(2)
            gate.open()
            full = json.loads((await first).payload)
            other = json.loads((await second).payload)
        assert full["limit"] == other["limit"] == [1024, 1024]
        assert 1000 < full["more"] < 1024
        assert full["fork"] == "EAGAIN"
        assert other["fork"] is None

    run_walled(scenario, worker_uids=own_uids(20))


def test_what_outlives_a_process_is_seen_by_its_own_context_only(run_walled: RunEngine) -> None:
    """System V's objects and POSIX queues are no files: no mount hides them."""
    named = {"key": os.getpid(), "queue": f"/samovar-{os.getpid()}"}
    there = {"made": [True, True], "segment": True, "queue": True}
    nothing = {"made": None, "segment": False, "queue": False}
    host = {"names": ["localhost"] * 3, "address": "127.0.0.1"}

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.leave_behind", "maker")
        await create_published(engine, "surroundings.leave_behind", "f", timeout=30)
        await create(engine, "surroundings.leave_behind", "other")
        assert await result(engine, named | {"make": True}, "maker") == there | host
        assert await result(engine, named, "maker") == there | {"made": None} | host
        assert await result(engine, named, "other") == nothing | host
        restored = json.loads((await call(engine, named | {"make": True})).payload)
        assert restored == there | host
        assert await result(engine, named, "f") == nothing | host

    run_walled(scenario)
    assert ctypes.CDLL(None).shmget(named["key"], 0, 0) == -1


def test_walls_do_not_come_down_from_inside(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.escape")
        seen = await result(engine)
        for attempt in ("umount", "remount", "unshare mounts", "chroot"):
            assert seen[attempt] == "EPERM", attempt
        # In a user namespace of its own a function would be root, and reach much of the kernel.
        assert seen["own namespaces"] == []
        assert "Operation not permitted" in seen["complaints"]

    run_walled(scenario)


def test_without_namespaces_a_directory_stands_in_for_tmp(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        places = set()
        for name in ("one", "two"):
            await create(engine, "surroundings.private", name)
            seen = await result(engine, name=name)
            place = seen["place"]
            assert place.startswith(str(run_open.data_dir / "run" / "contexts"))
            assert seen["mode"] == "0o700"
            assert seen["tempfile"] == seen["mktemp"] == place
            assert seen["cwd"] == seen["code"]
            places.add(place)
        assert len(places) == 2
        for name in ("one", "two"):
            await engine.delete_function(name)
        await eventually(
            lambda: not any(os.path.exists(place) for place in places), "the directories are gone"
        )
        assert "private /tmp" in engine.report().walls_missing

    run_open(scenario)


def test_walls_are_reported(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        report = engine.report()
        assert dict(report.walls_missing) == {}
        # Of another user's engine each context has a user namespace of its own in its place.
        assert ("uid of its own" in report.walls_held) == (os.geteuid() == 0)
        assert set(report.walls_held) - {"uid of its own"} == {
            "process limit",
            "mount namespace",
            "ipc namespace",
            "host name",
            "no capabilities",
            "session keyring",
            "system call filter",
            "network namespace",
            "private /tmp",
            "layers at /opt",
            "read-only root",
            "pid namespace",
            "unprivileged uid",
            "templates",
            "no_new_privs",
            "open files",
            "memory limit",
            "CPU share",
            "processes per context",
        }

    run_walled(scenario)
