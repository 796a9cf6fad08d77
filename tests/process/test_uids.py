"""Contexts of root's engine: each has a uid that no other has."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, own_uids, result
from tests.process.template_house import call, create_published

from samovar.engine import Engine
from samovar.errors import EngineError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root's engine changes uids")


async def until_another(engine: Engine, before: tuple[int, ...]) -> None:
    """Wait until there is another zygote than before."""
    await eventually(lambda: engine.report().zygotes not in ((), before), "another zygote")


async def both(engine: Engine, gate: Gate, name: str = "f") -> list[dict[str, Any]]:
    """What two contexts say of themselves that run at once."""
    calls = [asyncio.create_task(engine.invoke(name, gate.event())) for _ in range(2)]
    await gate.reached(2)
    gate.open(2)
    return [json.loads(outcome.payload) for outcome in await asyncio.gather(*calls)]


def test_each_context_has_a_uid_to_itself(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "identity.at_the_gate", timeout=30)
        async with Gate() as gate:
            seen = await both(engine, gate)
            again = await both(engine, gate)
        uids = [one["uid"] for one in seen]
        assert len(set(uids)) == 2
        assert set(uids) <= set(engine.settings.uids)
        assert sorted(one["uid"] for one in again) == sorted(uids)
        for one in seen:
            assert one["ids"] == [one["uid"]] * 6
            assert one["name"] == one["group"] == "sbx_user1051"
            assert one["tmp"] == [1, 1]  # who owns what it has written
            assert one["own stdout"] == 0
        assert run_walled.log.text().count("to /dev/stdout") == 4

    run_walled(scenario, worker_uids=own_uids(20))


def test_a_uid_is_given_back_with_its_context(run_walled: RunEngine) -> None:
    """Four are enough, however many contexts come and go."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "identity.look")
        seen = set()
        for _ in range(12):
            seen.add((await result(engine))["uid"])
            engine.drop_idle_contexts("f")
            await eventually(lambda: len(engine.contexts()) == 0, "the context is gone")
        assert seen <= set(engine.settings.uids)

    run_walled(scenario, worker_uids=own_uids(4))


def test_a_process_that_takes_anothers_place_has_its_uid(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "identity.look")
        first = await result(engine, {"write": True})
        await engine.invoke("f", {"exit": True})
        second = await result(engine, {"write": True})
        assert second["pid"] == first["pid"] == 2
        assert second["calls"] == first["calls"] == 1
        assert second["uid"] == first["uid"]
        assert second["written"] is None  # what its predecessor has made is its own

    run_walled(scenario, worker_uids=own_uids(20))


def test_uids_that_run_out_are_shared_by_nobody(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "identity.at_the_gate", timeout=30)
        async with Gate() as gate:
            held = [asyncio.create_task(engine.invoke("f", gate.event())) for _ in range(2)]
            await gate.reached(2)
            with pytest.raises(EngineError, match="each of the 2 uids of worker_uids"):
                await engine.invoke("f", gate.event())
            gate.open()
            uids = {json.loads((await one).payload)["uid"] for one in held}
            assert uids == set(engine.settings.uids)
            # Whoever comes when there is one again has it.
            assert (await result(engine, gate.event()))["uid"] in uids

    run_walled(scenario, worker_uids=own_uids(2), spares=0)


def test_contexts_of_a_template_share_its_uid_and_nobody_else_has_it(run_walled: RunEngine) -> None:
    """Not even when it is gone: they live on."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "identity.look", "other")
        async with Gate() as gate:
            await create_published(engine, "identity.at_the_gate", timeout=30)
            waiting = asyncio.create_task(call(engine, gate.event()))
            await gate.reached(1)
            (template,) = engine.templates()
            theirs = psutil.Process(template["pid"]).uids().real
            for _ in range(5):
                assert (await result(engine, name="other"))["uid"] != theirs
                engine.drop_idle_contexts("other")
            await engine.delete_function("f")
            await eventually(lambda: not engine.templates(), "there is no template")
            for _ in range(5):
                assert (await result(engine, name="other"))["uid"] != theirs
                engine.drop_idle_contexts("other")
            gate.open()
            assert json.loads((await waiting).payload)["uid"] == theirs

        found = 0
        while found != theirs:  # as soon as the last of them is reaped
            found = (await result(engine, name="other"))["uid"]
            engine.drop_idle_contexts("other")

    run_walled(scenario, worker_uids=own_uids(6), spares=0)


def test_a_zygote_that_is_killed_leaves_no_uid_taken(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "identity.look")
        for _ in range(3):
            await result(engine)
            before = engine.report().zygotes
            os.kill(before[0], signal.SIGKILL)
            await until_another(engine, before)
        assert (await result(engine))["uid"] in engine.settings.uids

    run_walled(scenario, worker_uids=own_uids(3))
