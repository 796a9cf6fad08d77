"""Hot reload as the registry does it: what is written down, who is told, and what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.registry.house import House, new, refused, run

from samovar.errors import AWS
from samovar.model.function import FunctionVersion, UpdateStatus
from samovar.registry.functions import ConfigurationChanges, LiveDirectory
from samovar.stores.protocols import PackageGone


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "app.py").write_text("x = 1\n")
    return directory


def live(directory: Path) -> LiveDirectory:
    return LiveDirectory(directory, trusted=True)


async def until(home: House, condition: Callable[[], object]) -> None:
    """Let what the kernel tells come in, and time pass, until `condition` holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
            home.clock.now += 0.06
            pending, home.clock.pending = home.clock.pending, []
            for timer in pending:
                if not timer.cancelled:
                    timer.callback()


def copies(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "data/code/tree").glob("live-*")]


def shown(home: House, name: str = "f") -> FunctionVersion:
    return home.registry.get(name)


def test_a_reload_is_one_new_generation_for_each_function(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        before = [await home.active(name, source=live(code)) for name in "fg"]
        home.listener.told.clear()
        (code / "app.py").write_text("x = 22\n")
        await until(home, lambda: shown(home, "g").code != before[1].code)
        await until(home, lambda: shown(home, "f").code != before[0].code)
        after = [home.registry.resolve(name) for name in "fg"]
        assert sorted(home.listener.told, key=lambda pair: pair[1].name if pair[1] else "") == [
            (before[0], after[0]),
            (before[1], after[1]),
        ]
        assert len({version.generation for version in before + after}) == 4
        tree = await home.registry.ensure_extracted(after[0])
        assert (tree.path / "app.py").read_text() == "x = 22\n"
        # Both are what a new engine would read.
        stored = await home.store._inner.load()
        assert {item.revision for item in stored} == {version.revision_id for version in after}

    run(tmp_path / "data", check)


def test_a_version_that_still_runs_keeps_its_files(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active(source=live(code))
        home.registry.keep_what_runs(lambda: (old,))
        for number in range(2, 6):
            generation = shown(home).generation
            (code / "app.py").write_text(f"x = {number}\n")
            await until(home, lambda g=generation: shown(home).generation > g)  # type: ignore[misc]
            tree = await home.registry.ensure_extracted(old)
            assert (tree.path / "app.py").read_text() == "x = 1\n"
            tree = await home.registry.ensure_extracted(shown(home))
            assert (tree.path / "app.py").read_text() == f"x = {number}\n"
        trees = list((tmp_path / "data/code/tree").iterdir())
        assert len(trees) <= 3  # the old one, the current one, the next one

    run(tmp_path / "data", check)


def test_a_full_disk_puts_a_reload_off(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active(source=live(code))
        home.store.fail()
        (code / "app.py").write_text("x = 22\n")
        await until(home, home.store.reached.is_set)
        assert home.registry.resolve("f") == old
        tree = await home.registry.ensure_extracted(old)
        assert (tree.path / "app.py").read_text() == "x = 1\n"
        home.store.let_go()
        await until(home, lambda: shown(home).code != old.code)
        assert home.registry.resolve("f").update_status is UpdateStatus.SUCCESSFUL

    run(tmp_path / "data", check)


def test_a_save_during_a_creation_is_not_missed(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold()
        creating = asyncio.create_task(home.active(source=live(code)))
        await home.store.reached.wait()
        (directory,) = home.registry._packages.hot_reload._live.values()
        first = directory._current
        (code / "app.py").write_text("x = 22\n")
        # It is taken in while there is no function yet to tell of it.
        await until(home, lambda: directory._current != first and directory._round is None)
        home.store.let_go()
        created = await creating
        await until(home, lambda: shown(home).code.sha256 != created.code.sha256)
        tree = await home.registry.ensure_extracted(shown(home))
        assert (tree.path / "app.py").read_text() == "x = 22\n"

    run(tmp_path / "data", check)


def test_a_refused_creation_leaves_no_watch(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await refused(
            home.registry.create(new(source=live(code))),
            AWS.RESOURCE_CONFLICT,
            "Function already exist: f",
        )
        await home.registry.update_code("f", live(code), dry_run=True)
        assert copies(tmp_path) == []

    run(tmp_path / "data", check)


def test_a_configuration_change_keeps_the_directory(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        await home.active(source=live(code))
        await home.registry.update_configuration("f", ConfigurationChanges(timeout=9))
        changed = await home.registry.wait_settled("f")
        assert changed.code.directory == str(code)
        (code / "app.py").write_text("x = 22\n")
        await until(home, lambda: shown(home).code != changed.code)
        assert shown(home).configuration.timeout == 9

    run(tmp_path / "data", check)


def test_collecting_packages_spares_the_copies(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        version = await home.active(source=live(code))
        assert await home.registry.collect() == ()
        tree = await home.registry.ensure_extracted(version)
        assert (tree.path / "app.py").is_file()

    run(tmp_path / "data", check)


def test_the_code_of_a_deleted_function_is_gone(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        version = await home.active(source=live(code))
        assert await home.registry.read_package(version.code)
        await home.registry.delete("f")
        with pytest.raises(PackageGone):
            await home.registry.read_package(version.code)

    run(tmp_path / "data", check)


def test_the_half_second_is_not_a_poll(tmp_path: Path, code: Path) -> None:
    """Once the next copy is made nothing is waiting for a time to come."""

    async def check(home: House) -> None:
        await home.active(source=live(code))
        await until(home, lambda: len(copies(tmp_path)) == 2 and not home.registry._underway._tasks)
        (directory,) = home.registry._packages.hot_reload._live.values()
        await until(home, lambda: directory._round is None)
        assert [timer for timer in home.clock.pending if not timer.cancelled] == []

    run(tmp_path / "data", check)
