"""What the scheduler is told to keep, whatever becomes of functions, versions and aliases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, run

from samovar.errors import ClientError, EngineError
from samovar.model.function import FunctionVersion
from samovar.model.provisioning import Progress, ProvisionedStatus
from samovar.scheduler.driver import Provisioned
from samovar.scheduler.provisioning import Provisioning


@dataclass
class Scheduler:
    """Writes down what it is told to keep, by version; `ready` is how much of it there is."""

    told: list[tuple[str, int]] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    provisioned_changed: Callable[[FunctionVersion], None] = lambda _: None

    def provision(self, version: FunctionVersion, count: int) -> None:
        self.told.append((version.version, count))

    def provisioned(self, version: FunctionVersion) -> Provisioned:
        return Provisioned(0, self.ready.get(version.version, 0), self.failure)

    def news(self) -> list[tuple[str, int]]:
        """What it was told since this was last asked."""
        told, self.told = self.told, []
        return told


Check = Callable[[House, Scheduler, Provisioning], Awaitable[None]]


def play(data_dir: Path, check: Check, versions: int = 2) -> None:
    """Run `check` with a function of that many versions, the alias `live` for the first."""

    async def opened(home: House) -> None:
        if home.registry.list().functions == ():
            await home.active()
            for number in range(1, versions + 1):
                await home.published(description=f"{number}")
            await home.registry.aliases.create("f", "live", "1")
        scheduler = Scheduler()
        provisioning = Provisioning(home.registry, scheduler)  # type: ignore[arg-type]
        home.registry.subscribe(provisioning)
        provisioning.restore()
        await check(home, scheduler, provisioning)

    run(data_dir, opened)


def test_configs_are_followed(tmp_path: Path) -> None:
    async def check(home: House, scheduler: Scheduler, _: Provisioning) -> None:
        put, update = home.registry.provisioned.put, home.registry.aliases.update
        await put("f", "live", 4)
        assert scheduler.news() == [("1", 4)]
        await put("f", "2", 1)
        assert scheduler.news() == [("2", 1)]
        await put("f", "live", 4)  # again: it may have failed
        assert scheduler.news() == [("1", 4)]
        await home.registry.provisioned.delete("f", "2")
        assert scheduler.news() == [("2", 0)]
        await update("f", "live", description="no change of versions")
        assert scheduler.news() == []
        await update("f", "live", function_version="2")
        assert scheduler.news() == [("1", 0), ("2", 4)]  # first what goes
        await update("f", "live", routing={"1": 0.5})
        assert sorted(scheduler.news()) == [("1", 2), ("2", 2)]
        await update("f", "live", routing={})
        assert scheduler.news() == [("1", 0), ("2", 4)]
        await home.registry.provisioned.delete("f", "live")
        assert scheduler.news() == [("2", 0)]

    play(tmp_path, check)


def test_what_takes_its_config_along(tmp_path: Path) -> None:
    async def check(home: House, scheduler: Scheduler, _: Provisioning) -> None:
        put = home.registry.provisioned.put
        await put("f", "live", 1)
        await put("f", "2", 2)
        await put("f", "3", 3)
        scheduler.news()
        await home.registry.aliases.delete("f", "live")
        assert scheduler.news() == [("1", 0)]
        await home.registry.versions.delete("f", "2")
        assert scheduler.news() == [("2", 0)]
        await home.registry.delete("f")
        assert scheduler.news() == [("3", 0)]

    play(tmp_path, check, versions=3)


def test_a_start_restores_them(tmp_path: Path) -> None:
    async def before(home: House, scheduler: Scheduler, _: Provisioning) -> None:
        assert scheduler.news() == []
        await home.registry.provisioned.put("f", "live", 4)
        await home.registry.provisioned.put("f", "2", 1)

    async def after(home: House, scheduler: Scheduler, _: Provisioning) -> None:
        assert sorted(scheduler.news()) == [("1", 4), ("2", 1)]
        await home.registry.aliases.update("f", "live", description="no change of versions")
        assert scheduler.news() == []

    play(tmp_path, before)
    play(tmp_path, after)


def test_a_version_that_is_not_active_yet(tmp_path: Path) -> None:
    async def check(home: House, scheduler: Scheduler, _: Provisioning) -> None:
        gate = asyncio.Event()

        async def make_ready(_: FunctionVersion) -> None:
            await gate.wait()

        home.registry.make_ready_with(make_ready)
        await home.registry.versions.publish("f", description="3")
        await home.registry.provisioned.put("f", "3", 5)
        assert scheduler.news() == []
        gate.set()
        await home.registry.wait_settled("f", "3")
        assert scheduler.news() == [("3", 5)]

    play(tmp_path, check)


def test_waiting_for_it(tmp_path: Path) -> None:
    async def check(home: House, scheduler: Scheduler, provisioning: Provisioning) -> None:
        version = home.registry.get("f", "1")
        await home.registry.provisioned.put("f", "live", 2)

        async def waiting() -> asyncio.Task[object]:
            task = asyncio.create_task(provisioning.wait_settled("f", "live"))
            await asyncio.sleep(0)
            assert not task.done()
            return task

        first = await waiting()
        for there in (1, 2):
            assert not first.done()
            scheduler.ready["1"] = there
            scheduler.provisioned_changed(version)
            await asyncio.sleep(0)
        assert (await first).status is ProvisionedStatus.READY
        scheduler.ready["1"] = 1
        scheduler.provisioned_changed(version)
        one_short = home.registry.provisioned.get("f", "live")
        assert (one_short.status, one_short.progress) == (ProvisionedStatus.READY, Progress(1, 2))
        await home.registry.provisioned.put("f", "live", 2)
        second = await waiting()
        scheduler.failure = "FUNCTION_ERROR_INIT_FAILURE"
        scheduler.provisioned_changed(version)
        assert (await second).status is ProvisionedStatus.FAILED
        scheduler.failure = None
        third = await waiting()
        await home.registry.provisioned.delete("f", "live")
        with pytest.raises(ClientError, match="No Provisioned Concurrency Config found"):
            await third
        await home.registry.provisioned.put("f", "live", 2)
        fourth = await waiting()
        provisioning.close()
        with pytest.raises(EngineError, match="the engine stopped"):
            await fourth

    play(tmp_path, check)


def test_a_function_of_the_same_name_has_nothing_of_it(tmp_path: Path) -> None:
    async def check(home: House, scheduler: Scheduler, _: Provisioning) -> None:
        await home.registry.provisioned.put("f", "1", 4)
        await home.registry.delete("f")
        scheduler.news()
        await home.active()
        await home.published()
        assert scheduler.news() == []
        assert home.registry.provisioned.wanted(PREFIX + "f") == {}

    play(tmp_path, check)
