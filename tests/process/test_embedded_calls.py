"""What an embedding program gives and gets: code from anywhere, outcomes, errors, time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, package, result, states, write

from samovar import Engine
from samovar.errors import AWS, ClientError, EngineError
from samovar.model.invocation import StartKind
from samovar.testing import ManualClock

HANDLER = "import helper\ndef handler(event, context):\n    return helper.answer(event)\n"
HELPER = "def answer(event):\n    return [event, {number}]\n"


def test_code_from_a_directory_a_zip_and_bytes(run_engine: RunEngine, tmp_path: Path) -> None:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "app.py").write_text(HANDLER)
    (directory / "helper.py").write_text(HELPER.format(number=1))
    data = package({"app.py": HANDLER, "helper.py": HELPER.format(number=2)})
    path = tmp_path / "package.zip"
    path.write_bytes(data)

    async def scenario(engine: Engine) -> None:
        for name, code, number in (
            ("directory", directory, 1),
            ("path", path, 2),
            ("bytes", data, 2),
        ):
            made = await engine.create_function(name, code=code, handler="app.handler")
            assert made.configuration.runtime == f"python3.{sys.version_info.minor}"
            assert made.arn == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
            assert await result(engine, {"a": 1}, name) == [{"a": 1}, number]
        # Packaged at once: later changes of the directory have no effect until it is given again.
        (directory / "helper.py").write_text(HELPER.format(number=3))
        await engine.update_function("directory", description="the same code")
        assert await result(engine, name="directory") == [{}, 1]
        await engine.update_function("directory", code=directory)
        assert await result(engine, name="directory") == [{}, 3]
        with pytest.raises(ClientError, match="neither a directory nor a readable zip"):
            await engine.create_function("g", code=tmp_path / "nothing", handler="app.handler")

    run_engine(scenario)


def test_a_module_of_the_program_with_what_is_installed_beside_it(
    run_engine: RunEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found as an import would find it; it sees the program's own environment, and no more
    of the program than that."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "dependency_of_mine.py").write_text("ANSWER = 42\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "tea.py").write_text(
        "import os, sys\n"
        "import click, dependency_of_mine\n"
        "from . import water\n"
        "def brew(event, context):\n"
        "    return [dependency_of_mine.ANSWER, water.HOT, os.getpid(),\n"
        "            sorted(name for name in sys.modules if name.startswith('samovar')),\n"
        "            __import__('importlib.metadata').metadata.version('click')]\n"
    )
    (tmp_path / "pack" / "water.py").write_text("HOT = True\n")
    for place in (beside, tmp_path):
        monkeypatch.syspath_prepend(str(place))

    async def scenario(engine: Engine) -> None:
        made = await engine.create_function("f", code="pack.tea:brew")
        assert made.configuration.handler == "pack.tea.brew"
        answer, hot, pid, ours, click = await result(engine)
        assert (answer, hot, click) == (42, True, version("click"))
        assert pid != os.getpid()
        assert ours == []
        assert "pack" not in sys.modules  # packaged, never imported here
        with pytest.raises(ClientError, match=r"must have the form package\.module:function"):
            await engine.create_function("g", code="pack.tea")
        with pytest.raises(ClientError, match="no module nothing can be imported from here"):
            await engine.create_function("g", code="nothing:at_all")
        with pytest.raises(ClientError, match=r"pack has no module pack\.coffee"):
            await engine.create_function("g", code="pack.coffee:brew")

    run_engine(scenario)


def test_an_outcome_says_all_that_happened(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.mixed")
        cold = await engine.invoke("f", log_tail=True)
        assert cold.payload.startswith(b'{"globals": 1, ')
        assert str(uuid.UUID(cold.request_id)) == cold.request_id
        assert (cold.executed_version, cold.start) == ("$LATEST", StartKind.COLD)
        assert (cold.function_error, cold.error_type) == (None, None)
        assert cold.context_id == str(engine.contexts()[0]["context"])
        phases = cold.cold_start
        assert phases is not None
        for phase in (phases.environment, phases.package, phases.init):
            assert 0 <= phase <= cold.queued
        assert phases.init > 0
        assert phases.environment + phases.package + phases.init <= cold.queued
        assert cold.duration > 0
        assert 1 <= cold.max_memory_used < 128
        lines = cold.log_tail.decode().splitlines()
        assert lines[0] == f"START RequestId: {cold.request_id} Version: $LATEST"
        assert lines[-2] == f"END RequestId: {cold.request_id}"
        assert lines[-1].startswith(f"REPORT RequestId: {cold.request_id}\t")
        assert f"\tInit Duration: {phases.init * 1000:.2f} ms\t" in lines[-1]

        warm = await engine.invoke("f", b"")
        assert (warm.start, warm.cold_start, warm.log_tail) == (StartKind.WARM, None, b"")
        assert warm.request_id != cold.request_id
        assert warm.context_id == cold.context_id
        assert warm.queued < cold.queued

        failed = await engine.invoke("f", {"then": "raise"}, log_tail=True)
        assert (failed.function_error, failed.error_type) == ("Unhandled", "CustomError")
        assert json.loads(failed.payload)["errorMessage"] == "no luck"
        assert b"[ERROR] CustomError: no luck\n" in failed.log_tail

        given = str(uuid.uuid4())
        assert (await engine.invoke("f", request_id=given)).request_id == given

    run_engine(scenario)


def test_payloads(run_open: RunEngine) -> None:
    """Bytes are raw JSON, nothing is the empty event, the rest is turned into JSON."""

    async def scenario(engine: Engine) -> None:
        await write(engine, "def handler(event, context):\n    return event\n")
        for payload, seen in (
            (b"", {}),
            (b'{"a": [1, null]}', {"a": [1, None]}),
            ({"a": (1, 2)}, {"a": [1, 2]}),
            ("text", "text"),
            (None, None),
            (0, 0),
            ([], []),
        ):
            outcome = await engine.invoke("f", payload)
            assert json.loads(outcome.payload) == seen, payload
        with pytest.raises(TypeError, match="not JSON serializable"):
            await engine.invoke("f", {1, 2})
        with pytest.raises(ClientError) as refused:
            await engine.invoke("f", b"{no JSON")
        assert refused.value.error is AWS.INVALID_REQUEST_CONTENT

    run_open(scenario)


def test_errors_are_exceptions(run_open: RunEngine) -> None:
    never = Engine(run_open.settings(), runtimes=run_open.runtimes)
    not_running = "the engine is not running: enter it with `async with`, or start it"

    async def scenario(engine: Engine) -> None:
        with pytest.raises(ClientError) as missing:
            await engine.invoke("nobody")
        assert missing.value.error is AWS.RESOURCE_NOT_FOUND
        assert missing.value.message == (
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST"
        )
        await create(engine, "life.count")
        with pytest.raises(ClientError) as taken:
            await create(engine, "life.count")
        assert taken.value.message == "Function already exist: f"
        with pytest.raises(TypeError, match="brew"):
            await engine.update_function("f", brew="tea")
        with pytest.raises(ClientError):
            await engine.update_function("nobody", timeout=1)
        with pytest.raises(ClientError):
            await engine.delete_function("nobody")
        with pytest.raises(EngineError) as asleep:
            await never.invoke("f")
        assert asleep.value.message == not_running
        await never.stop()  # idempotent, even before it was started

    run_open(scenario)


def test_a_manual_clock_moves_an_engines_time(run_engine: RunEngine) -> None:
    clock = ManualClock()

    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count", timeout=900)
        first = await engine.invoke("f")
        assert (first.duration, first.queued) == (0.0, 0.0)  # it stands still
        clock.advance(299)
        assert (await engine.invoke("f")).context_id == first.context_id
        clock.advance(301)
        await eventually(lambda: not states(engine), "the idle context is gone")
        assert (await result(engine))["globals"] == 1
        # A function of fifteen minutes times out in no time.
        await create(engine, "endings.end", "sleeper", timeout=900)
        await result(engine, {"how": "count"}, "sleeper")
        call = engine.invoke("sleeper", {"how": "sleep"}, log_tail=True)
        waiting = asyncio.ensure_future(call)
        await eventually(lambda: "busy" in states(engine), "it sleeps")
        clock.advance(900)
        outcome = await waiting
        assert outcome.error_type == "Sandbox.Timedout"
        assert outcome.duration == 900.0
        assert b"\tDuration: 900000.00 ms\t" in outcome.log_tail

    run_engine(scenario, clock=clock, idle_timeout=300)
