"""Reloads that a function may not take in: unsigned code, and more than fits beside its layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.registry.house import OTHER, House, new, run
from tests.unit.registry.test_code_signing import Counting, enforce, layer, made
from tests.unit.registry.test_hot_reload import copies, live, until

from samovar.errors import EngineError
from samovar.model import limits
from samovar.model.function import FunctionVersion, UpdateStatus
from samovar.registry.code_signing_configs import Untrusted

OLD, NEW = "x = 1\n", "x = 22\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "app.py").write_text(OLD)
    return directory


async def runs(home: House, text: str) -> None:
    tree = await home.registry.ensure_extracted(home.registry.resolve("f"))
    assert (tree.path / "app.py").read_text() == text


async def failed(home: House) -> str:
    await until(home, lambda: home.registry.get("f").update_status is UpdateStatus.FAILED)
    return home.registry.get("f").update_reason or ""


async def unsigned(home: House, code: Path) -> str:
    """A function of `code` whose config says Enforce by now; returns the config."""
    config = await made(home)
    await home.registry.create(replace(new(source=live(code)), code_signing_config=config))
    await home.registry.wait_settled("f")
    await enforce(home, config)
    return config


def test_a_reload_brings_no_unsigned_code_in(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        config = await unsigned(home, code)
        before = home.registry.get("f")
        (code / "app.py").write_text(NEW)
        reason = await failed(home)
        assert f"{config} says Enforce" in reason
        assert reason.endswith("the code that was read before stays in force.")
        shown = home.registry.get("f")
        assert (shown.code, shown.pool) == (before.code, before.pool)
        await runs(home, OLD)
        (directory,) = home.registry._packages.hot_reload._live.values()
        for number in range(3):  # whatever comes, and whatever copies are used again
            seen = directory._current
            (code / "other.py").write_text(f"y = {number}\n")
            await until(home, lambda s=seen: directory._current != s)  # type: ignore[misc]
            await until(home, lambda: directory._round is None)
            await runs(home, OLD)
        assert home.registry.get("f") is shown  # it has been said
        # What is there was asked for once: the next save is, once it may.
        await enforce(home, config, Untrusted.WARN)
        counting = Counting()
        home.registry.observe_with(counting)
        (code / "other.py").write_text("y = 9\n")
        await until(home, lambda: home.registry.get("f").code != before.code)
        await runs(home, NEW)
        assert home.registry.get("f").update_status is UpdateStatus.SUCCESSFUL
        assert counting.functions == ["f"]

    run(tmp_path / "data", check)


def test_code_that_is_put_back_is_what_it_was(tmp_path: Path, code: Path) -> None:
    async def check(home: House) -> None:
        await unsigned(home, code)
        (code / "app.py").write_text(NEW)
        await failed(home)
        (code / "app.py").write_text(OLD)
        await until(home, lambda: home.registry.get("f").update_status is UpdateStatus.SUCCESSFUL)

    run(tmp_path / "data", check)


def test_no_unsigned_code_comes_in_while_no_engine_runs(tmp_path: Path, code: Path) -> None:
    """The files that were read before are gone with the engine that read them."""

    async def first(home: House) -> None:
        await unsigned(home, code)

    async def second(home: House) -> None:
        for moment in (home.registry.get("f").revision_id, await failed(home)):
            assert moment
            with pytest.raises(EngineError, match="have changed while no engine ran"):
                await runs(home, NEW)
        (code / "app.py").write_text(OLD)
        await until(home, lambda: home.registry.get("f").update_status is UpdateStatus.SUCCESSFUL)
        await runs(home, OLD)

    async def unchanged(home: House) -> None:
        await runs(home, OLD)

    run(tmp_path / "data", first)
    run(tmp_path / "data", unchanged)
    (code / "app.py").write_text(NEW)
    run(tmp_path / "data", second)


def test_a_reload_that_does_not_fit_beside_the_layers(
    tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(home: House) -> None:
        monkeypatch.setattr(limits, "UNZIPPED_SIZE", len(OLD) + len("x = 1"))
        layers = [await layer(home, "one")]
        await home.registry.create(replace(new(source=live(code)), layers=layers))
        await home.registry.wait_settled("f")
        await home.active("g", source=live(code))  # has none, and takes it
        (code / "app.py").write_text(NEW)
        reason = await failed(home)
        assert reason == (
            "Function code combined with layers exceeds the maximum allowed size of 11 bytes. The "
            "actual size is 12 bytes; the code that was read before stays in force."
        )
        await runs(home, OLD)
        await until(home, lambda: home.registry.get("g").code.size == len(NEW))
        (code / "app.py").write_text("x = 3\n")
        await until(home, lambda: home.registry.get("f").update_status is UpdateStatus.SUCCESSFUL)
        await runs(home, "x = 3\n")

    run(tmp_path / "data", check)


def test_what_stands_in_for_lost_files_stays_while_it_runs(tmp_path: Path, code: Path) -> None:
    """An invocation that came before the first look after a start sees the code of one moment."""
    before: list[FunctionVersion] = []

    async def first(home: House) -> None:
        before.append(await home.active(source=live(code)))

    async def second(home: House) -> None:
        home.registry.keep_what_runs(lambda: before)
        found = (await home.registry.ensure_extracted(before[0])).path
        for number in range(4):
            generation = home.registry.get("f").generation
            (code / "app.py").write_text(f"x = {number} + 10\n")
            await until(home, lambda g=generation: home.registry.get("f").generation > g)  # type: ignore[misc]
            assert (found / "app.py").read_text() == NEW

    run(tmp_path / "data", first)
    (code / "app.py").write_text(NEW)
    run(tmp_path / "data", second)


def test_a_look_at_the_code_lets_nothing_in(tmp_path: Path, code: Path) -> None:
    async def first(home: House) -> None:
        await unsigned(home, code)

    async def second(home: House) -> None:
        await home.registry.read_package(home.registry.get("f").code)
        with pytest.raises(EngineError, match="have changed while no engine ran"):
            await runs(home, NEW)

    run(tmp_path / "data", first)
    (code / "app.py").write_text(NEW)
    run(tmp_path / "data", second)


def test_what_still_drains_has_its_files_when_its_directory_is_let_go_of(
    tmp_path: Path, code: Path
) -> None:
    """A context may be started for what was accepted before the function's code was replaced."""

    async def check(home: House) -> None:
        old = await home.active(source=live(code))
        running = [old]
        over = home.registry.keep_what_runs(lambda: running)

        async def has_its_files() -> None:
            tree = await home.registry.ensure_extracted(old)
            assert (tree.path / "app.py").read_text() == OLD

        await home.registry.update_code("f", OTHER)
        await home.registry.wait_settled("f")
        await has_its_files()
        (code / "app.py").write_text(NEW)
        await home.active("g", source=live(code))  # watched anew
        await has_its_files()
        await home.registry.delete("g")
        await has_its_files()
        running.clear()
        over()
        await until(home, lambda: copies(tmp_path) == [])

    run(tmp_path / "data", check)
