"""Directories that hot reload follows: gone and back, shared, refused, missed and taken over."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import eventually, result
from tests.process.live_house import (
    SAYS,
    copies,
    make,
    put_back,
    save,
    shown,
    until,
    watches,
)

from samovar.blocking import BlockingEngine
from samovar.engine import Engine
from samovar.errors import ClientError, EngineError
from samovar.model.function import FunctionVersion, UpdateStatus


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(shutil.rmtree, id="removed"),
        pytest.param(lambda code: code.rename(code.with_name("elsewhere")), id="renamed"),
        pytest.param(
            lambda code: code.parent.rename(code.parent.with_name("other")), id="a parent renamed"
        ),
        pytest.param(lambda code: shutil.rmtree(code.parent), id="a parent removed"),
        pytest.param(
            lambda code: (shutil.rmtree(code), code.write_text("a file")), id="a file in its place"
        ),
    ],
)
def test_a_directory_that_goes_and_comes_back(
    run_open: RunEngine, tmp_path: Path, lose: Callable[[Path], object]
) -> None:
    code = tmp_path / "top" / "project" / "code"
    code.mkdir(parents=True)
    save(code, "first")

    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        assert await result(engine) == "first"
        before = shown(engine)
        lose(code)
        await eventually(
            lambda: shown(engine).update_status is UpdateStatus.FAILED, "it is said that it is gone"
        )
        gone = shown(engine)
        assert str(code) in (gone.update_reason or "")
        assert "stays in force" in (gone.update_reason or "")
        assert gone.generation == before.generation
        assert await result(engine) == "first"

        put_back(code, "back")
        await until(engine, "back")
        await eventually(
            lambda: shown(engine).update_status is UpdateStatus.SUCCESSFUL, "it is said to be well"
        )
        assert shown(engine).update_reason is None
        save(code, "and watched")
        await until(engine, "and watched")
        (code / "new").mkdir()
        (code / "new/it.py").write_text(SAYS.format("below"))
        (code / "app.py").write_text("from new.it import handler\n")
        await until(engine, "below")

    run_open(scenario)


def test_a_link_in_the_place_of_a_parent_is_not_followed(
    run_open: RunEngine, tmp_path: Path
) -> None:
    """Whoever may write above the directory could lead the engine anywhere."""
    code = tmp_path / "project" / "code"
    code.mkdir(parents=True)
    save(code, "first")
    (tmp_path / "elsewhere" / "code").mkdir(parents=True)
    save(tmp_path / "elsewhere" / "code", "stolen")

    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        code.parent.rename(tmp_path / "moved")
        code.parent.symlink_to(tmp_path / "elsewhere")
        await eventually(
            lambda: shown(engine).update_status is UpdateStatus.FAILED, "it is said that it is gone"
        )
        assert await result(engine) == "first"
        code.parent.unlink()
        (tmp_path / "moved").rename(code.parent)
        save(code, "back")
        await until(engine, "back")

    run_open(scenario)


def test_what_cannot_be_taken_in_is_said(
    run_open: RunEngine, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        monkeypatch.setattr("samovar.model.limits.UNZIPPED_SIZE", 1000)
        (code / "data").write_bytes(b"x" * 2000)
        await eventually(
            lambda: shown(engine).update_status is UpdateStatus.FAILED, "it is said to be too large"
        )
        assert (shown(engine).update_reason or "").startswith("Unzipped size must be smaller")
        assert await result(engine) == "first"
        (code / "data").unlink()
        await eventually(
            lambda: shown(engine).update_status is UpdateStatus.SUCCESSFUL, "it is well again"
        )

    run_open(scenario)


def test_functions_share_a_directory_and_its_watch_ends_with_the_last(
    run_open: RunEngine, code: Path, tmp_path: Path
) -> None:
    before = watches()

    async def scenario(engine: Engine) -> None:
        (code / "other.py").write_text(SAYS.format("other"))
        way = tmp_path / "way"
        way.symlink_to(code)
        await make(engine, code, "f")
        await make(engine, way, "g", handler="other.handler")
        assert watches() == before + 1
        save(code, "both", "app.py")
        save(code, "both", "other.py")
        await until(engine, "both", "f")
        await until(engine, "both", "g")
        assert shown(engine, "f").code == shown(engine, "g").code
        assert shown(engine, "f").code.directory == str(code)

        await engine.delete_function("f")
        save(code, "alone", "other.py")
        await until(engine, "alone", "g")

        await engine.update_function("g", code=code)  # a snapshot, as ever
        await eventually(lambda: watches() == before, "it is watched no more")
        assert await result(engine, name="g") == "alone"
        save(code, "unheard", "other.py")
        await engine.update_function("g", timeout=5)
        assert await result(engine, name="g") == "alone"
        assert len(copies(run_open)) <= 1  # nobody runs what was copied; the last context may have

        await engine.update_function("g", code=code, watch=True)
        assert await result(engine, name="g") == "unheard"
        save(code, "heard", "other.py")
        await until(engine, "heard", "g")
        await engine.delete_function("g")
        await eventually(lambda: watches() == before, "it is watched no more")

    run_open(scenario)
    assert watches() == before


def test_many_directories(run_open: RunEngine, tmp_path: Path) -> None:
    """One within the other, too: each is heard for itself."""
    places = [tmp_path / "many", *(tmp_path / "many" / f"d{number}" for number in range(8))]

    async def scenario(engine: Engine) -> None:
        for place in places:
            place.mkdir()
            save(place, "first")
            await make(engine, place, place.name)
        outer = shown(engine, "many").code
        for place in places[1:]:
            save(place, place.name)
        for place in places[1:]:
            await until(engine, place.name, place.name)
        await eventually(lambda: shown(engine, "many").code != outer, "the outer one hears of it")
        assert await result(engine, name="many") == "first"

    run_open(scenario)


def test_from_a_program_without_a_loop(run_open: RunEngine, code: Path) -> None:
    def until_it_says(word: str) -> None:
        deadline = time.monotonic() + 20
        while json.loads(engine.invoke("f").payload) != word:
            assert time.monotonic() < deadline, f"it never says {word}"

    with BlockingEngine(run_open.settings()) as engine:
        engine.create_function("f", code=code, handler="app.handler")
        engine.update_function("f", code=code, watch=True, timeout=9)
        save(code, "second")
        until_it_says("second")


def test_a_restart_takes_in_what_was_missed(run_engine: RunEngine, code: Path) -> None:
    kept: list[FunctionVersion] = []

    async def first(engine: Engine) -> None:
        await make(engine, code)
        await make(engine, code, "g")
        save(code, "second")
        await until(engine, "second")
        kept.append(shown(engine))

    async def unchanged(engine: Engine) -> None:
        assert await result(engine) == "second"
        assert shown(engine).code == kept[0].code

    async def changed(engine: Engine) -> None:
        await until(engine, "while it was down")
        await until(engine, "while it was down", "g")
        assert shown(engine).code.sha256 != kept[0].code.sha256
        save(code, "while it is up")
        await until(engine, "while it is up")

    async def gone(engine: Engine) -> None:
        with pytest.raises(EngineError, match="which can't be read: the directory"):
            await engine.invoke("f")
        assert shown(engine).update_status is UpdateStatus.FAILED
        put_back(code, "back")
        await eventually(
            lambda: shown(engine).update_status is UpdateStatus.SUCCESSFUL, "it is back"
        )
        await until(engine, "back")

    run_engine(first)
    run_engine(unchanged)
    left = copies(run_engine)
    save(code, "while it was down")
    run_engine(changed)
    assert not set(left) & set(copies(run_engine))
    assert list((run_engine.data_dir / "code/tmp").iterdir()) == []
    shutil.rmtree(code)
    run_engine(gone)


def test_an_update_beside_saves(run_open: RunEngine, code: Path) -> None:
    """Saves never get in the way of whoever changes the function, nor the other way round."""

    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        for number in range(8):
            save(code, f"{number}")
            await engine.update_function("f", timeout=10 + number)
        await until(engine, "7")
        assert shown(engine).configuration.timeout == 17
        assert shown(engine).update_status is UpdateStatus.SUCCESSFUL

    run_open(scenario)


def test_a_deletion_beside_a_save(run_open: RunEngine, code: Path) -> None:
    async def scenario(engine: Engine) -> None:
        for number in range(5):
            await make(engine, code)
            save(code, f"{number}")
            await engine.delete_function("f")
            with pytest.raises(ClientError, match="Function not found"):
                await engine.invoke("f")

    run_open(scenario)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing", "There is no directory"),
        ("code/app.py", "is a file: hot reload takes the directory it is in"),
        ("", "holds the engine's own data directory"),
    ],
)
def test_what_is_no_directory_to_deploy_from(
    run_open: RunEngine, code: Path, tmp_path: Path, path: str, said: str
) -> None:
    async def scenario(engine: Engine) -> None:
        with pytest.raises(ClientError, match=said):
            await make(engine, tmp_path / path)
        with pytest.raises(ClientError, match="watch=True needs a directory"):
            await engine.create_function("f", code=b"zip", handler="app.handler", watch=True)
        assert watches() == 0

    run_open(scenario)
