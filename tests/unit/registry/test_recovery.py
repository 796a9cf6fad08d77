"""What a registry finds after a restart, and after the engine was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.registry.house import House, house, new

from samovar.errors import EngineError
from samovar.model.function import State, UpdateStatus
from samovar.registry.functions import ConfigurationChanges

KILLED = """
import asyncio, os, signal, sys
from dataclasses import replace
from pathlib import Path
from samovar.registry.functions import ConfigurationChanges
from tests.unit.registry.house import OTHER, house, new

async def main():
    async with house(Path(sys.argv[1])) as home:
        if sys.argv[2] == "update":
            await home.active(tags={"a": "b"})
            home.store.hold(after=1)
            await home.registry.update_configuration("f", ConfigurationChanges(timeout=9))
        elif sys.argv[2] == "publish":
            await home.active(timeout=9, tags={"a": "b"})
            home.store.hold(after=1)
            await home.registry.versions.publish("f")
        elif sys.argv[2] == "update and publish":
            await home.active(tags={"a": "b"}, timeout=9)
            home.store.hold(after=1)
            await home.registry.update_code("f", OTHER, publish=True)
        elif sys.argv[2] == "create and publish":
            home.store.hold(after=1)
            await home.registry.create(
                replace(new(timeout=9, tags={"a": "b"}), publish=True)
            )
        else:
            home.store.hold(after=1)
            await home.registry.create(new(timeout=9, tags={"a": "b"}))
        print(home.registry.get("f").revision_id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def run(data_dir: Path, check: Callable[[House], Awaitable[None]], **settings: str) -> None:
    async def opened() -> None:
        async with house(data_dir, **settings) as home:
            await check(home)

    asyncio.run(opened())


def test_a_restart_finds_everything_as_it_was(tmp_path: Path) -> None:
    before = []

    async def first(home: House) -> None:
        before.append(await home.active(environment={"AB": "ü"}, memory_size=512, tags={"a": "b"}))

    async def second(home: House) -> None:
        assert home.registry.resolve("f") == before[0]
        assert home.registry.tags_of("f") == {"a": "b"}
        assert home.listener.told == []  # nothing has changed
        tree = (await home.registry.ensure_extracted(before[0])).path
        assert (tree / "app.py").is_file()
        await home.registry.update_configuration("f", ConfigurationChanges(timeout=9))
        after = await home.registry.wait_settled("f")
        assert after.pool != before[0].pool

    run(tmp_path, first)
    run(tmp_path, second)


@pytest.mark.parametrize(
    "moment", ["create", "update", "publish", "update and publish", "create and publish"]
)
def test_a_kill_in_between_is_finished_at_the_next_start(
    tmp_path: Path, checkout: Path, moment: str
) -> None:
    paths = [str(checkout / name) for name in ("engine", "workers", ".")]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

    async def check(home: House) -> None:
        found = home.registry.resolve("f")
        assert (found.state, found.update_status) == (State.ACTIVE, UpdateStatus.SUCCESSFUL)
        assert found.configuration.timeout == 9
        if moment != "publish":  # of $LATEST nothing was under way
            assert found.revision_id != done.stdout.strip()
        if "publish" in moment:
            version = await home.registry.wait_settled("f", "1")
            assert (version.state, version.code) == (State.ACTIVE, found.code)
            assert home.registry.resolve("f", "1") == version
            assert (await home.published()) == version  # the promise was kept; nothing is new
            assert (await home.published(description="next")).version == "2"
        assert home.registry.tags_of("f") == {"a": "b"}
        assert (await home.registry.ensure_extracted(found)).path.is_dir()

    run(tmp_path, check)


def test_functions_of_other_regions_are_kept_and_not_shown(tmp_path: Path) -> None:
    async def here(home: House) -> None:
        await home.active(tags={"a": "b"})

    async def elsewhere(home: House) -> None:
        assert home.registry.list().functions == ()
        await home.active()  # of the same name and with the same package
        await home.registry.delete("f")
        assert await home.registry.collect() == ()  # it is still referred to, from elsewhere

    async def again(home: House) -> None:
        found = home.registry.resolve("f")
        assert await home.registry.read_package(found.code)
        assert home.registry.tags_of("f") == {"a": "b"}

    run(tmp_path, here)
    run(tmp_path, elsewhere, region="eu-west-1")
    run(tmp_path, elsewhere, account_id="123456789012")
    run(tmp_path, again)


def test_a_lost_package_is_told_when_it_is_needed(tmp_path: Path) -> None:
    async def first(home: House) -> None:
        await home.active()

    async def second(home: House) -> None:
        function = home.registry.resolve("f")
        with pytest.raises(EngineError, match="is damaged"):
            await home.registry.ensure_extracted(function)
        await home.registry.update_code("f", new().source)  # the same code heals it
        await home.registry.wait_settled("f")
        assert (await home.registry.ensure_extracted(function)).path.is_dir()

    run(tmp_path, first)
    (kept,) = (tmp_path / "code" / "zip").iterdir()
    kept.write_bytes(b"rot")
    (tmp_path / "code" / "boot_id").unlink()  # as after a restart of the machine
    run(tmp_path, second)


def test_a_store_that_can_not_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "samovar.db").write_bytes(b"no database at all " * 100)

    async def never(home: House) -> None:
        raise AssertionError

    with pytest.raises(EngineError, match="is damaged"):
        run(tmp_path, never)
