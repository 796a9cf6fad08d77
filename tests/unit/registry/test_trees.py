"""Packages and extracted trees: collected when nobody's, made once for all."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.registry.house import OTHER, House, new, run
from tests.unit.registry.zips import make_zip

from samovar.registry.functions import (
    ZipBytes,
)


def test_packages_of_nobody_are_collected(tmp_path: Path) -> None:
    zips = tmp_path / "code" / "zip"

    async def check(home: House) -> None:
        old = await home.active()
        await home.registry.update_code("f", OTHER)
        current = await home.registry.wait_settled("f")
        assert await home.registry.collect([old]) == ()  # its contexts drain
        assert await home.registry.collect() == (old.code.sha256,)
        assert [path.stem for path in zips.iterdir()] == [current.code.sha256]
        await home.registry.delete("f")

    run(tmp_path, check)
    assert len(list(zips.iterdir())) == 1

    async def nothing(home: House) -> None:
        pass

    run(tmp_path, nothing)  # opening collects
    assert list(zips.iterdir()) == []


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
