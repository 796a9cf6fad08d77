"""Hot reload: the code of a directory runs as it is saved, and what runs already finishes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

from tests.process.conftest import RunEngine
from tests.process.house import FUNCTIONS, error, eventually, result, states
from tests.process.live_house import (
    SAYS,
    copies,
    facts,
    make,
    reloaded,
    save,
    shown,
    until,
)
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.model.function import UpdateStatus
from samovar.model.invocation import StartKind


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
