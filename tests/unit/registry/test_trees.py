"""Packages and extracted trees: collected when nobody's, made once for all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.registry.house import OTHER, House, new, run
from tests.unit.registry.zips import make_zip

from samovar.errors import EngineError
from samovar.model.function import FunctionVersion
from samovar.registry.functions import ZipBytes
from samovar.registry.layers import NewLayerVersion
from samovar.stores.protocols import PackageGone


def test_packages_of_nobody_are_collected(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active()
        await home.registry.update_code("f", OTHER)
        current = await home.registry.wait_settled("f")
        home.registry.keep_what_runs(lambda: [old])
        assert await home.registry.collect() == ()  # its contexts drain
        home.registry.keep_what_runs(tuple)
        assert await home.registry.collect() == (old.code.sha256,)
        assert zips(tmp_path) == {current.code.sha256}
        await home.registry.delete("f")

    run(tmp_path, check)
    assert len(zips(tmp_path)) == 1

    async def nothing(home: House) -> None:
        pass

    run(tmp_path, nothing)  # opening collects
    assert zips(tmp_path) == set()


def test_nothing_is_collected_while_code_arrives(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold()
        creation = asyncio.create_task(home.registry.create(new()))
        await home.store.reached.wait()  # the package is there, the function is not
        assert await home.registry.collect() == ()
        home.store.let_go()
        await creation
        await home.registry.ensure_extracted(await home.registry.wait_settled("f"))

    run(tmp_path, check)


def test_trees_are_extracted_once_for_all_who_wait(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active(source=ZipBytes(make_zip({"app.py": "x = 1"})))
        tree = (await home.registry.ensure_extracted(active)).path
        (tree / "app.py").unlink()
        tree.rmdir()
        waiting = [asyncio.create_task(home.registry.ensure_extracted(active)) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # one impatient caller
        results = await asyncio.gather(*waiting[1:])
        assert {result.path for result in results} == {tree}
        assert {result.seconds for result in results} == {0.0}  # the clock stands still
        assert (tree / "app.py").read_text() == "x = 1"
        assert await home.registry.read_package(active.code) == make_zip({"app.py": "x = 1"})

    run(tmp_path, check)


def zips(tmp_path: Path) -> set[str]:
    return {path.stem for path in (tmp_path / "code" / "zip").iterdir()}


async def collected(home: House) -> None:
    """The time until packages are collected, and what is done then."""
    due = [timer for timer in home.clock.pending if not timer.cancelled]
    home.clock.pending.clear()
    assert len(due) == 1  # however much was let go of
    due[0].callback()
    await asyncio.gather(*home.registry._underway._tasks)


def nothing_is_due(home: House) -> bool:
    return all(timer.cancelled for timer in home.clock.pending)


def test_what_is_let_go_of_is_collected_while_the_engine_runs(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active()
        assert nothing_is_due(home)
        for source in (OTHER, new().source, OTHER):
            await home.registry.update_code("f", source)
            current = await home.registry.wait_settled("f")
        await home.active("g", source=OTHER)
        await home.active("h", source=ZipBytes(make_zip({"app.py": "x = 1"})))
        await home.registry.delete("h")
        assert len(zips(tmp_path)) == 3
        await collected(home)
        assert zips(tmp_path) == {current.code.sha256} != {old.code.sha256}
        await home.registry.delete("f")
        await collected(home)
        assert zips(tmp_path) == {current.code.sha256}  # it is the other one's, too
        await home.registry.delete("g")
        await collected(home)
        assert zips(tmp_path) == set()
        assert nothing_is_due(home)

    run(tmp_path, check)
    assert list((tmp_path / "code" / "tmp").iterdir()) == []


def test_a_layer_version_that_is_deleted_is_collected(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        content = ZipBytes(make_zip({"python/m.py": "x = 1"}))
        await home.registry.layers.publish(NewLayerVersion("l", content))
        assert len(zips(tmp_path)) == 1
        await home.registry.layers.delete("l", 1)
        await collected(home)
        assert zips(tmp_path) == set()
        await home.registry.layers.delete("l", 1)  # is not there: nothing to be done
        assert nothing_is_due(home)

    run(tmp_path, check)


def test_what_a_refused_change_has_brought_is_collected(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.fail()
        with pytest.raises(EngineError):
            await home.registry.create(new())
        home.store.let_go()
        assert len(zips(tmp_path)) == 1
        await collected(home)
        assert zips(tmp_path) == set()

    run(tmp_path, check)


def test_what_arrives_when_it_is_time_puts_collecting_off(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await home.registry.delete("f")
        home.store.hold()
        creation = asyncio.create_task(home.registry.create(new("g", source=OTHER)))
        await home.store.reached.wait()
        (timer,) = home.clock.pending
        home.clock.pending.clear()
        before = set(home.registry._underway._tasks)
        timer.callback()
        await asyncio.gather(*home.registry._underway._tasks - before)
        assert len(zips(tmp_path)) == 2
        home.store.let_go()
        created = await creation
        await home.registry.wait_settled("g")
        await collected(home)
        assert zips(tmp_path) == {created.code.sha256}

    run(tmp_path, check)


def test_what_drains_is_collected_once_it_is_over(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        running: list[FunctionVersion] = []
        over = home.registry.keep_what_runs(lambda: running)
        old = await home.active()
        running.append(old)
        over()
        assert nothing_is_due(home)  # an idle context that expires lets go of nothing
        await home.registry.update_code("f", OTHER)
        current = await home.registry.wait_settled("f")
        await collected(home)
        assert zips(tmp_path) == {old.code.sha256, current.code.sha256}
        assert nothing_is_due(home)  # nobody looks again and again
        running.clear()
        over()
        over()
        await collected(home)
        assert zips(tmp_path) == {current.code.sha256}

    run(tmp_path, check)


def test_a_disk_that_fails_leaves_collecting_to_the_next_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(home: House) -> None:
        await home.active()
        collect = home.code.collect

        async def fail(*_: object) -> list[str]:
            raise EngineError("the disk is unwell")

        home.code.collect = fail  # type: ignore[method-assign]
        await home.registry.delete("f")
        await collected(home)
        assert "the disk is unwell" in caplog.text
        assert nothing_is_due(home)
        home.code.collect = collect  # type: ignore[method-assign]
        await home.active("g", source=OTHER)
        await home.registry.delete("g")
        await collected(home)
        assert zips(tmp_path) == set()

    run(tmp_path, check)


def test_nothing_is_collected_after_the_end(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await home.registry.delete("f")
        await home.registry.close()
        assert nothing_is_due(home)

    run(tmp_path, check)
    assert len(zips(tmp_path)) == 1


def test_a_package_that_was_collected_is_told_from_one_that_is_lost(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        version = await home.active()
        (tmp_path / "code" / "zip" / f"{version.code.sha256}.zip").unlink()
        with pytest.raises(EngineError, match="brings it back"):
            await home.registry.read_package(version.code)
        await home.registry.delete("f")
        with pytest.raises(PackageGone):
            await home.registry.read_package(version.code)

    run(tmp_path, check)


def test_whoever_gives_up_collecting_does_not_let_code_in_meanwhile(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await home.registry.delete("f")
        collect, begun, go_on = home.code.collect, asyncio.Event(), asyncio.Event()

        async def work(*args: Any) -> list[str]:
            begun.set()
            await go_on.wait()
            return await collect(*args)

        async def slowly(*args: Any) -> list[str]:
            return await asyncio.shield(work(*args))  # as a thread goes on to its end

        home.code.collect = slowly  # type: ignore[method-assign]
        collecting = asyncio.create_task(home.registry.collect())
        await begun.wait()
        collecting.cancel()
        await asyncio.wait([collecting])
        creating = asyncio.create_task(home.active())  # with the package that is to go
        for _ in range(20):
            await asyncio.sleep(0)
        assert zips(tmp_path) != set()
        go_on.set()
        created = await creating
        assert zips(tmp_path) == {created.code.sha256}
        assert (await home.registry.ensure_extracted(created)).path.is_dir()

    run(tmp_path, check)
