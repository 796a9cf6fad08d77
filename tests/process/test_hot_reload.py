"""Hot reload: the code of a directory runs as it is saved, and what runs already finishes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import FUNCTIONS, error, eventually, result, states
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.errors import ClientError, EngineError
from samovar.model.function import FunctionVersion, UpdateStatus
from samovar.model.invocation import StartKind

SAYS = "def handler(event, context):\n    return {!r}\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A directory that its owner alone may enter, as people's own are."""
    directory = tmp_path / "code"
    directory.mkdir(mode=0o700)
    save(directory, "first")
    return directory


def save(directory: Path, word: str, name: str = "app.py") -> None:
    """As most editors do: beside it, then over it."""
    fresh = directory / f".{name}.new"
    fresh.write_text(SAYS.format(word))
    fresh.chmod(0o600)
    fresh.rename(directory / name)


def put_back(directory: Path, word: str) -> None:
    """The directory anew, whatever stands in its place."""
    if directory.is_file():
        directory.unlink()
    directory.mkdir(parents=True, exist_ok=True)
    save(directory, word)


async def make(engine: Engine, code: Path, name: str = "f", **configuration: Any) -> None:
    given = {"handler": "app.handler", "watch": True, **configuration}
    await engine.create_function(name, code=code, **given)


def shown(engine: Engine, name: str = "f") -> FunctionVersion:
    return engine.registry.get(name)


async def until(engine: Engine, wanted: Any, name: str = "f") -> None:
    """Invoke until the function says `wanted`."""
    said = None
    try:
        async with asyncio.timeout(20):
            while said != wanted:
                said = json.loads((await engine.invoke(name)).payload)
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within 20 s: it says {wanted!r}; it says {said!r}") from None


async def reloaded(engine: Engine, since: FunctionVersion) -> FunctionVersion:
    """The version of the next reload."""
    await eventually(lambda: shown(engine).generation > since.generation, "it is reloaded")
    return shown(engine)


def copies(run_engine: RunEngine) -> list[str]:
    return [path.name for path in (run_engine.data_dir / "code/tree").glob("live-*")]


def facts(directory: Path) -> list[tuple[int, int, int]]:
    """What writing, linking and opening up would change."""
    found = directory.stat(), (directory / "app.py").stat()
    return [(item.st_mode, item.st_nlink, item.st_mtime_ns * (item is found[1])) for item in found]


def watches() -> int:
    """How many inotify descriptors this process has."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += "inotify" in os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def test_a_save_runs_and_shows(run_engine: RunEngine, code: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        assert await result(engine) == "first"
        warm = await engine.invoke("f")
        assert warm.start is StartKind.WARM
        before = shown(engine)
        assert (before.update_status, before.code.size) == (
            UpdateStatus.SUCCESSFUL,
            len(SAYS.format("first")),
        )

        save(code, "second one")
        after = await reloaded(engine, before)
        fresh = await engine.invoke("f")
        assert (json.loads(fresh.payload), fresh.start) == ("second one", StartKind.COLD)
        assert after.update_status is UpdateStatus.SUCCESSFUL
        assert after.code.sha256 != before.code.sha256
        assert after.code.size == len(SAYS.format("second one"))
        assert after.revision_id != before.revision_id
        assert after.last_modified > before.last_modified
        await eventually(lambda: states(engine) == ["idle"], "the old context is gone")

        # The same content again is the same package.
        save(code, "first")
        assert (await reloaded(engine, after)).code.sha256 == before.code.sha256
        assert await result(engine) == "first"

    run_engine(scenario)


def test_many_ways_to_save(run_open: RunEngine, code: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        app = code / "app.py"

        with app.open("w") as file:  # in place, and slowly: what is not closed is not read
            file.write("def hand")
            file.flush()
            await asyncio.sleep(0)
            file.write("ler(event, context):\n    return 'in place'\n")
        await until(engine, "in place")

        app.rename(code / "app.py~")  # the old one is moved away, as vim does it with a backup
        app.write_text(SAYS.format("with a backup"))
        await until(engine, "with a backup")

        app.unlink()
        app.symlink_to("real.py")
        (code / "real.py").write_text(SAYS.format("by a link"))
        await until(engine, "by a link")

        app.unlink()
        app.mkdir()
        (app / "x").write_text("")
        (code / "app").mkdir()
        (code / "app/__init__.py").write_text("from app.deep.down import handler\n")
        (code / "app/deep").mkdir()
        (code / "app/deep/down.py").write_text(SAYS.format("a package"))
        await until(engine, "a package")
        (code / "app/deep/down.py").write_text(SAYS.format("below"))
        await until(engine, "below")

        staged = code.parent / "staged"
        shutil.copytree(code / "app", staged)
        (staged / "deep/down.py").write_text(SAYS.format("moved in"))
        shutil.rmtree(code / "app")
        staged.rename(code / "app")
        await until(engine, "moved in")
        (code / "app/deep").rename(code / "app/deeper")
        (code / "app/deeper").rename(code / "app/deep")
        (code / "app/deep/down.py").write_text(SAYS.format("moved and written"))
        await until(engine, "moved and written")

        os.link(code / "app/deep/down.py", code / "hard.py")
        (code / "app/__init__.py").write_text("from hard import handler\n")
        await until(engine, "moved and written")

    run_open(scenario)


LATE = """
import socket
def handler(event, context):
    import json
    with socket.create_connection(("127.0.0.1", event["port"]), timeout=60) as court:
        court.sendall(json.dumps({{"phase": "invoke"}}).encode() + b"\\n")
        court.recv(1)
    import late
    return [{number}, late.NUMBER, open(late.__file__).read()]
"""


def test_an_invocation_sees_one_moment_of_the_directory(run_engine: RunEngine, code: Path) -> None:
    """What it imports after a save, after several, and after the file is gone, is still its own."""

    def write(number: int) -> None:
        (code / "app.py").write_text(LATE.format(number=number))
        (code / "late.py").write_text(f"NUMBER = {number}\n")

    async def scenario(engine: Engine) -> None:
        write(0)
        await make(engine, code, timeout=60)
        async with Court() as court:
            running = []
            for number in range(1, 5):
                running.append(court.invoke(engine))
                await court.reached(number)
                before = shown(engine)
                write(number)
                await eventually(
                    lambda before=before: shown(engine).code.sha256 != before.code.sha256,  # type: ignore[misc]
                    "it is reloaded",
                )
            (code / "late.py").unlink()
            (code / "app.py").write_text(SAYS.format("over"))
            await until(engine, "over")
            court.open()
            for number, outcome in enumerate(await asyncio.gather(*running)):
                assert outcome.function_error is None, outcome.payload
                old, late, text = json.loads(outcome.payload)
                # The save of one file may have been taken in before that of the other.
                assert old in (number, number - 1) or number == 0
                assert text == f"NUMBER = {late}\n"
                assert late in (number, number - 1)
        # The copies of all that has ended are used again.
        for word in "abcdefgh":
            save(code, word)
            await until(engine, word)
            await eventually(lambda: states(engine) == ["idle"], "the old contexts are gone")
        assert len(copies(run_engine)) <= 7

    run_engine(scenario)


def test_a_burst_is_one_reload_and_noise_is_none(run_open: RunEngine, code: Path) -> None:
    async def scenario(engine: Engine) -> None:
        (code / "app.py").write_text(
            "import a, b, c\ndef handler(e, x):\n    return a.N + b.N + c.N"
        )
        for name in "abc":
            (code / f"{name}.py").write_text("N = 1\n")
        await make(engine, code)
        assert await result(engine) == 3
        before = shown(engine)
        for name in "abc":
            (code / f"{name}.py").write_text("N = 2\n")
        after = await reloaded(engine, before)
        assert await result(engine) == 6
        assert after.generation == before.generation + 1

        # None of these is code, or none of it has changed.
        (code / "__pycache__").mkdir()
        (code / "__pycache__/a.cpython-311.pyc").write_bytes(b"x")
        (code / ".app.py.swp").write_text("x")
        (code / ".git").mkdir()
        (code / ".git/index").write_text("x")
        (code / "app.py").touch()
        (code / "a.py").write_text("N = 2\n")
        (code / "4913").write_text("")
        (code / "4913").unlink()
        (code / "c.py").write_text("N = 3\n")  # and this is heard after all of them
        await until(engine, 7)
        assert shown(engine).generation <= after.generation + 1

    run_open(scenario)


def test_a_syntax_error_is_told_and_the_next_save_heals(run_engine: RunEngine, code: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        assert await result(engine) == "first"
        before = shown(engine)
        (code / "app.py").write_text("def handler(event, context)\n    return 1\n")
        broken = await reloaded(engine, before)
        told = error(await engine.invoke("f"))
        assert told["errorType"] == "Runtime.UserCodeSyntaxError"
        assert "Line 1" in "".join(told["stackTrace"]) or "line 1" in told["errorMessage"]
        assert broken.update_status is UpdateStatus.SUCCESSFUL  # as on AWS, which doesn't look in
        save(code, "good")
        await reloaded(engine, broken)
        assert await result(engine) == "good"

    run_engine(scenario)


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


def test_links_lead_nowhere(run_walled: RunEngine, code: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (code / "link").symlink_to(secret)
    (code / "app.py").write_text(
        "import os\n"
        "def handler(event, context):\n"
        "    return [os.path.exists('link'), sorted(os.listdir('.')), os.access('.', os.W_OK)]\n"
    )

    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        assert await result(engine) == [False, ["app.py", "link"], False]

    run_walled(scenario)


def test_the_source_is_only_read(run_open: RunEngine, code: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await make(engine, code)
        before, version = facts(code), shown(engine)
        save(code, "second", "other.py")
        await reloaded(engine, version)
        assert await result(engine) == "first"
        assert facts(code) == before
        assert sorted(os.listdir(code)) == ["app.py", "other.py"]

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


def test_an_edition_with_a_witness(run_engine: RunEngine, code: Path) -> None:
    """Two invocations at once: the idle context goes at the save, the busy one when it is done."""

    async def scenario(engine: Engine) -> None:
        source = (FUNCTIONS / "edition.py").read_text()
        (code / "edition.py").write_text(source)
        shutil.copy(FUNCTIONS / "witness.py", code)
        await make(engine, code, handler="edition.handler", timeout=30)
        async with Court() as court:
            idle, running = court.invoke(engine), court.invoke(engine)
            await court.reached(2)
            court.open(1)
            await eventually(lambda: sorted(states(engine)) == ["busy", "idle"], "one is idle")
            before = shown(engine)
            (code / "edition.py").write_text(source.replace("EDITION = 1\n", "EDITION = 2\n"))
            await reloaded(engine, before)
            await eventually(lambda: states(engine) == ["busy"], "the idle one is gone")
            assert (await result(engine))["code"] == 2
            court.open()
            for outcome in await asyncio.gather(idle, running):
                assert json.loads(outcome.payload)["code"] == 1

    run_engine(scenario)
