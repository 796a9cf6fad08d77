"""Every interpreter found here serves its runtime; what is not here is refused by name."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, error, result

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.registry.runtimes import Interpreter, Runtimes, known_runtimes
from samovar.settings import Isolation

RUNTIMES = ["python3.11", "python3.12", "python3.13", "python3.14"]
OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(params=RUNTIMES)
def interpreter(request: pytest.FixtureRequest, runtimes: Runtimes) -> Interpreter:
    """Each interpreter found here; skipped by name where there is none."""
    found = runtimes.get(request.param)
    if found is None:
        pytest.skip(f"no {request.param} on this machine")
    return found


def test_functions_run_under_every_interpreter(
    run_engine: RunEngine, interpreter: Interpreter
) -> None:
    runtime = interpreter.runtime
    minor = int(runtime.rpartition(".")[2])
    escaped = minor < 12  # AWS: from python3.12 on results are not escaped

    async def scenario(engine: Engine) -> None:
        await create(engine, "interpreters.tell", runtime=runtime, timeout=30)
        seen = await result(engine)
        assert seen["version"] == interpreter.version
        lang = "/var/lang/bin/" + Path(interpreter.executable).name
        assert seen["executable"] == (lang if run_engine.walled else interpreter.executable)
        # msgpack's C extension is the engine's interpreter's; the others do without.
        assert seen["native msgpack"] == (runtime == OWN)
        assert seen["service"] == "sqs"
        patch = interpreter.version.rpartition(".")[2]
        start = rf"INIT_START Runtime Version: python:3\.{minor}\.v{patch}\t"
        assert re.match(start, run_engine.log.text())

        await create(engine, "surroundings.variables", "variables", runtime=runtime)
        variables = (await result(engine, name="variables"))["python"]
        assert variables["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{runtime}"

        await create(engine, "payloads.produce", "produce", runtime=runtime)
        for what, text in {
            "unicode": json.dumps("czajnik, самовар 🫖", ensure_ascii=escaped),
            "decimals": '{"a": 1.10, "b": [NaN]}',
            "named tuple": '{"point": {"x": 1, "y": [{"x": "a", "y": null}]}, "plain": [1, 2]}',
            "bytes within": '{"body": "dGVh"}',
        }.items():
            outcome = await engine.invoke("produce", what)
            assert outcome.payload.decode() == text, what
        told = error(await engine.invoke("produce", "set"))
        assert told["errorType"] == "Runtime.MarshalError"

        await create(engine, "payloads.nested", "nested", runtime=runtime)
        for depth in (500, 1000):
            assert await result(engine, b"[" * depth + b"]" * depth, "nested") == depth
        assert error(await engine.invoke("nested", {"make": 200_000}))["errorMessage"].startswith(
            "Unable to marshal response: "
        )
        await create(engine, "payloads.echo", "echo", runtime=runtime)
        large = b'"' + b"t" * (1 << 20) + b'"'
        assert (await engine.invoke("echo", large)).payload == large

    run_engine(scenario)


def test_errors_logs_and_ends_under_every_interpreter(
    run_open: RunEngine, interpreter: Interpreter
) -> None:
    runtime = interpreter.runtime

    async def scenario(engine: Engine) -> None:
        await create(engine, "life.mixed", runtime=runtime)
        told = error(await engine.invoke("f", {"then": "raise"}))
        assert (told["errorType"], told["errorMessage"]) == ("CustomError", "no luck")
        assert [frame.split(", in ")[1].split("\n")[0] for frame in told["stackTrace"]] == [
            "mixed",
            "_deeper",
        ]
        outcome = await engine.invoke("f", {"then": "exit"})
        assert error(outcome)["errorType"] == "Runtime.ExitError"
        seen = await result(engine)
        assert (seen["globals"], seen["tmp"]) == (1, 3)
        await create(engine, "loglines.fail", "fail", runtime=runtime)
        outcome = await engine.invoke("fail", log_tail=True)
        lines = outcome.log_tail.decode().split("\n")
        assert lines[1:4] == [
            "[ERROR] ValueError: no",
            "luck",
            "Traceback (most recent call last):",
        ]
        await create(engine, "hostile.do", "hostile", runtime=runtime)
        for number, way in enumerate(("no modules", "fork and return", "builtins"), start=1):
            assert await result(engine, way, "hostile") == number
        told = error(await engine.invoke("hostile", "builtins, raise"))
        assert told["errorMessage"] == "all the same"
        outcome = await engine.invoke("hostile", "builtins, exit")
        assert error(outcome)["errorMessage"].endswith(" exit status 1")
        assert await result(engine, "", "hostile") == 1

    run_open(scenario)


def test_runtimes_that_are_not_served_are_refused_by_name(
    tmp_path: Path, runtimes: Runtimes
) -> None:
    own = runtimes.require(OWN)
    other = next(runtime for runtime in RUNTIMES if runtime != OWN)
    version = other.removeprefix("python")
    served = f"Served here: {OWN} ({own.version})."
    texts = {
        other: f"There is no interpreter for {other} on this machine. Install {other} (the "
        f"system's packages, «pyenv install {version}» or «uv python install {version}») or name "
        f"one with SAMOVAR_INTERPRETERS={other}=/path/to/{other}, then start Samovar again. "
        f"{served}",
        "python3.10": "Samovar serves python3.11 and newer; python3.10 is not carried out. "
        + served,
        "nodejs22.x": "Samovar runs Python functions only; nodejs22.x is not carried out. "
        + served,
        "python4.0": "Value python4.0 at 'runtime' failed to satisfy constraint: Member must "
        f"satisfy enum value set: [{', '.join(known_runtimes())}] or be a valid ARN",
    }
    run_engine = RunEngine(tmp_path / "data", Isolation.NONE, Runtimes([own]))

    async def scenario(engine: Engine) -> None:
        for runtime, text in texts.items():
            with pytest.raises(ClientError) as refused:
                await create(engine, "life.count", runtime=runtime)
            assert refused.value.error is AWS.INVALID_PARAMETER, runtime
            assert refused.value.message == text
            with pytest.raises(ClientError) as unknown:
                await engine.invoke("f")
            assert unknown.value.error is AWS.RESOURCE_NOT_FOUND
        await create(engine, "life.count", runtime=OWN)
        assert (await result(engine))["globals"] == 1

    run_engine(scenario)
