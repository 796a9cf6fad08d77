"""Functions that are to have no network: what they reach, and where the host can't do without."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, result
from tests.process.network_program import WALL, Doors
from tests.process.other_hosts import AS_USER, or_skip, without_namespaces
from tests.process.programs import document, run
from tests.process.template_house import call, create_published, template_pid

from samovar.context.offline import Offline
from samovar.engine import Engine

API = "169.254.100.1:9001"
UNREACHED = {"tcp": "ECONNREFUSED", "abstract": "ECONNREFUSED"}
REACHED = {"tcp": "done", "abstract": "done"}


def is_alone(seen: Mapping[str, Any]) -> None:
    """What is seen from within a network of its own."""
    assert seen["interfaces"] == seen["listed"] == ["lo"]
    assert seen["itself"] == "tea"
    assert seen["namespace"] != os.readlink("/proc/self/ns/net")
    assert seen["api"] == API


def of_template(engine: Engine) -> str:
    """The network namespace of the one template."""
    return os.readlink(f"/proc/{template_pid(engine)}/ns/net")


def reached(seen: Mapping[str, Any]) -> dict[str, Any]:
    return {which: seen[which] for which in REACHED}


def test_an_offline_function_reaches_itself_and_nobody_else(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for name in ("offline", "other"):
            await create(engine, "network.look", name)
        async with Doors() as doors:
            seen = await result(engine, doors.event() | {"far": True}, "offline")
            is_alone(seen)
            assert reached(seen) == UNREACHED
            assert seen["internet"] == "ENETUNREACH"
            assert doors.guests == {"tcp": 0, "abstract": 0}
            beside = await result(engine, doors.event(), "other")
            assert reached(beside) == REACHED
            await eventually(lambda: doors.guests == {"tcp": 1, "abstract": 1}, "each had a guest")
        assert beside["namespace"] == os.readlink("/proc/self/ns/net")
        assert beside["listed"] == sorted(name for _, name in socket.if_nameindex())
        assert beside["api"] == API

    run_walled(scenario, offline_functions=("offline",))


@pytest.mark.parametrize("spares", [0, 1])
def test_all_functions_are_offline_where_the_network_is_none(
    run_walled: RunEngine, spares: int
) -> None:
    async def scenario(engine: Engine) -> None:
        namespaces = set()
        async with Doors() as doors:
            for name in ("one", "two"):
                await create(engine, "network.look", name)
                seen = await result(engine, doors.event(), name)
                is_alone(seen)
                assert reached(seen) == UNREACHED
                namespaces.add(seen["namespace"])
            assert doors.guests == {"tcp": 0, "abstract": 0}
        assert len(namespaces) == 2

    run_walled(scenario, network="none", spares=spares)


@pytest.mark.parametrize("whose", [{"network": "none"}, {"offline_functions": ("f",)}], ids=str)
@pytest.mark.parametrize("start", ["on demand", "from a template"])
def test_a_process_that_takes_anothers_place_is_offline_again(
    run_walled: RunEngine, start: str, whose: dict[str, Any]
) -> None:
    version = "$LATEST" if start == "on demand" else "1"

    async def scenario(engine: Engine) -> None:
        await create_published(engine, "network.look", timeout=2)
        async with Doors() as doors:
            first = json.loads((await call(engine, doors.event(), version=version)).payload)
            (context,) = engine.contexts()
            hung = await call(engine, {"hang": True}, version=version)
            assert hung.error_type == "Sandbox.Timedout"
            seen = json.loads((await call(engine, doors.event(), version=version)).payload)
            assert doors.guests == {"tcp": 0, "abstract": 0}
            assert seen["namespace"] != of_template(engine)
        (again,) = engine.contexts()
        assert again["context"] == context["context"]
        assert again["pid"] != context["pid"]
        for one in (first, seen):
            is_alone(one)
            assert reached(one) == UNREACHED
            assert one["runs"] == 1

    run_walled(scenario, **whose)


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("start", ["on demand", "from a template"])
def test_contexts_of_one_function_do_not_reach_each_other(
    run_walled: RunEngine, start: str, offline: bool
) -> None:
    """Where it has the host's network they do."""
    version = "$LATEST" if start == "on demand" else "1"
    name = f"samovar-beside-{os.getpid()}"

    def port() -> int:
        found = re.search("listens on ([0-9]+) and no more", run_walled.log.text())
        return int(found[1]) if found else 0

    async def scenario(engine: Engine) -> None:
        await create_published(engine, "network.either", timeout=60)
        listening = asyncio.create_task(call(engine, {"name": name}, version=version))
        await eventually(port, "one context listens")
        (context,) = (one["pid"] for one in engine.contexts() if one["state"] == "busy")
        event = {"tcp": port(), "abstract": name}
        seen = json.loads((await call(engine, event, version=version)).payload)
        assert reached(seen) == (UNREACHED if offline else REACHED)
        assert context is not None
        os.kill(context, signal.SIGKILL)
        assert (await listening).error_type == "Runtime.ExitError"

    run_walled(scenario, offline_functions=("f",) if offline else ())


def test_a_template_and_its_contexts_are_offline_each_by_itself(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(
            engine, "network.look", environment={"LOOK_IN_INIT": "1"}, timeout=30
        )
        async with Doors() as doors:
            for _ in range(3):
                seen = json.loads((await call(engine, doors.event())).payload)
                assert seen["start"] == "snap-start"
                assert seen["at init"] == seen["listed at init"] == ["lo"]
                is_alone(seen)
                assert reached(seen) == UNREACHED
                assert seen["namespace"] != of_template(engine)
                engine.drop_idle_contexts("f", qualifier="1")
            assert doors.guests == {"tcp": 0, "abstract": 0}

    run_walled(scenario, offline_functions=("f",))


def test_provisioned_contexts_are_offline(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "network.look")
        await engine.registry.versions.publish("f")
        await engine.put_provisioned_concurrency("f", "1", 1)
        seen = json.loads((await call(engine)).payload)
        assert seen["start"] == "provisioned-concurrency"
        is_alone(seen)

    run_walled(scenario, offline_functions=("f",))


# Hosts that allow less.


def told(place: Path, command: Collection[str], **settings: Any) -> dict[str, Any]:
    """What `network_program.py` says, run through `command`."""
    program = ("-m", "tests.process.network_program", str(place), json.dumps(settings))
    done = run(*program, through=command)
    return document(done) | {"warned": done.stderr}


@pytest.mark.parametrize("whose", [{"network": "none"}, {"offline_functions": ["off"]}], ids=str)
def test_an_unprivileged_engines_functions_are_offline(
    tmp_path: Path, whose: dict[str, Any]
) -> None:
    found = told(tmp_path, or_skip(AS_USER), **whose)
    assert WALL in found["held"]
    assert found["metric"] == "1.0"
    for seen in (found["off"], found["off again"], found["off restored"]):
        is_alone(seen)
        assert reached(seen) == UNREACHED
    assert found["off again"]["runs"] == found["off restored"]["runs"] == 1
    assert found["off restored"]["start"] == "snap-start"
    assert reached(found["on"]) == (UNREACHED if "network" in whose else REACHED)
    assert found["guests"] == (0 if "network" in whose else 2)
    assert "refused" not in found["warned"]


@pytest.mark.parametrize("refused", ["net", "mnt", "by will"])
@pytest.mark.parametrize("whose", [{"network": "none"}, {"offline_functions": ["off"]}], ids=str)
def test_where_the_host_refuses_such_a_function_is_refused_by_name(
    tmp_path: Path, refused: str, whose: dict[str, Any]
) -> None:
    command: tuple[str, ...] = ()
    isolation = "none"
    if refused != "by will":
        command, isolation = or_skip(without_namespaces(refused)), "auto"
    found = told(tmp_path, command, isolation=isolation, **whose)
    assert WALL in found["missing"]
    assert WALL not in found["held"]
    assert found["metric"] == "0.0"
    names = {"off"} if "network" not in whose else {"off", "on"}
    for name in names:
        error = found[name]["error"]
        assert f"nothing was run: {name} is to have no network" in error
        assert "`samovar doctor`" in error
        assert ("network=host" in error) == ("network" in whose)
    for again in ("off again", "off restored"):
        assert "off is to have no network" in found[again]["error"]
    assert found["state"] == "Active"  # on another host it runs
    assert found["guests"] == (0 if "on" in names else 2)
    assert "on" in names or reached(found["on"]) == REACHED
    whom = "all functions" if "on" in names else "off"
    assert f"refused, because they are to have no network: {whom} (" in found["warned"]


def test_a_strict_engine_asks_for_the_wall_where_it_is_needed(tmp_path: Path) -> None:
    """The host refuses it in each case, and root's uids as well."""
    command = or_skip(without_namespaces("net"))
    for place, whose, needed in (
        ("all", {"network": "none"}, True),
        ("some", {"offline_functions": ["off"]}, True),
        ("nobody", {}, False),
    ):
        found = told(tmp_path / place, command, isolation="strict", **whose)
        missing = found["walls missing"]
        assert "ipc namespace" not in missing
        assert (WALL in missing) == needed, place


class Credulous(Offline):
    """Believes that every host can do without a network."""

    def demand(self, name: str, held: Collection[str], missing: Mapping[str, str]) -> None:
        pass


def test_a_worker_that_can_not_be_offline_does_not_run(run_open: RunEngine) -> None:
    """Whatever the engine believes."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "network.look")
        engine._parts.provisioner._offline = Credulous(everybody=True)
        async with Doors() as doors:
            outcome = await engine.invoke("f", doors.event())
            assert doors.guests == {"tcp": 0, "abstract": 0}
        assert outcome.error_type == "Runtime.ExitError"
        assert "no namespaces here, and so no network of its own" in run_open.log.text()

    run_open(scenario)
