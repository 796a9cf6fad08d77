"""An init that fails or takes too long is run again inside every invocation, in AWS's words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import error, package, result, write

from samovar.engine import Engine

# Counts its runs in /tmp before it fails, so that retries can be told from a remembered failure.
COUNTED = """\
import asyncio, os, sys, tempfile
path = os.path.join(tempfile.gettempdir(), "inits")
with open(path, "a") as file:
    file.write("x")
runs = os.path.getsize(path)
print("init", runs)
"""
WORKING = "def handler(event, context):\n    return runs\n"


@dataclass(frozen=True)
class Failure:
    """A module that can't be loaded, and what AWS says of it. `stack`: parts of stackTrace."""

    source: str
    kind: str
    message: str
    handler: str = "app.handler"
    stack: list[str] = field(default_factory=list)


RUNTIME_FAILURES = {
    "no such module": Failure(
        "",
        "Runtime.ImportModuleError",
        "Unable to import module 'nowhere': No module named 'nowhere'",
        "nowhere.handler",
    ),
    "no such module, in a directory": Failure(
        "",
        "Runtime.ImportModuleError",
        "Unable to import module 'a/nowhere': No module named 'a'",
        "a/nowhere.handler",
    ),
    "import error within": Failure(
        COUNTED + "import not_to_be_found\n",
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'not_to_be_found'",
    ),
    "syntax error": Failure(
        "import os\n\ndef handler(event, context)\n    return 1\n",
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'app': expected ':' (app.py, line 3)",
        stack=['app.py" Line 3\n    def handler(event, context)'],
    ),
    "no such function": Failure(
        COUNTED,
        "Runtime.HandlerNotFound",
        "Handler 'missing' missing on module 'app'",
        "app.missing",
    ),
    "no dot": Failure(
        "",
        "Runtime.MalformedHandlerName",
        "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        "app",
    ),
    "builtin": Failure(
        "",
        "Runtime.BuiltInModuleConflict",
        "Cannot use built-in module sys as a handler module",
        "sys.exit",
    ),
    "raises": Failure(
        COUNTED + "raise ValueError('not today')\n",
        "ValueError",
        "not today",
        stack=["importlib/__init__.py", "<frozen importlib._bootstrap>", "app.py"],
    ),
}


@pytest.mark.parametrize("name", RUNTIME_FAILURES)
def test_a_failed_init_in_the_runtimes_words(run_engine: RunEngine, name: str) -> None:
    failure = RUNTIME_FAILURES[name]

    async def scenario(engine: Engine) -> None:
        await write(engine, failure.source, handler=failure.handler)
        contexts = set()
        for _ in range(2):
            outcome = await engine.invoke("f", log_tail=True)
            told = error(outcome)
            assert list(told) == ["errorMessage", "errorType", "requestId", "stackTrace"]
            assert told["errorMessage"] == failure.message
            assert told["errorType"] == outcome.error_type == failure.kind
            assert told["requestId"] == ""
            check_stack(run_engine, told["stackTrace"], failure.stack)
            report = outcome.log_tail.decode().splitlines()[-1]
            assert report.endswith(f"\tStatus: error\tError Type: {failure.kind}\t")
            contexts.add(outcome.context_id)
        assert len(contexts) == 1
        if failure.source.startswith(COUNTED):
            assert re.findall(r"init (\d)", run_engine.log.text()) == ["1", "2", "3"]

    run_engine(scenario)


def check_stack(run_engine: RunEngine, stack: list[str], expected: list[str]) -> None:
    text = "".join(stack)
    assert bool(stack) == bool(expected), stack
    places = [text.index(part) for part in expected]
    assert places == sorted(places)
    assert "samovar" not in text.replace(str(run_engine.data_dir), "")
    if expected and run_engine.walled:
        assert '  File "/var/task/app.py"' in text
        if "importlib" in expected[0]:
            assert stack[0].startswith('  File "/var/lang/lib/python3.')


EXITS = {
    "sys.exit(0)": "Runtime exited without providing a reason",
    "sys.exit(4)": "Runtime exited with error: exit status 4",
    "raise KeyboardInterrupt": "Runtime exited with error: exit status 1",
    "raise asyncio.CancelledError('why')": "Runtime exited with error: exit status 1",
    "os._exit(127)": "Runtime exited with error: exit status 127",
    "os.kill(os.getpid(), 9)": "Runtime exited with error: signal: killed",
}


def test_an_exit_during_the_init(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for number, (statement, text) in enumerate(EXITS.items()):
            name = f"f{number}"
            await write(engine, f"{COUNTED}{statement}\n{WORKING}", name)
            for _ in range(2):
                outcome = await engine.invoke(name)
                assert error(outcome) == {
                    "errorType": "Runtime.ExitError",
                    "errorMessage": f"RequestId: {outcome.request_id} Error: {text}",
                }, statement
            log = run_engine.log.text(name)
            assert re.findall(r"init (\d)", log) == ["1", "2", "3"]
            assert log.count("Status: error\tError Type: Runtime.ExitError\t") == 5
            assert log.count("\nCancelledError: why\n") == (3 if "Cancelled" in statement else 0)
            assert "samovar_worker" not in log

    run_engine(scenario)


def test_the_log_of_a_failed_init(run_engine: RunEngine) -> None:
    source = COUNTED + "def inner():\n    raise ValueError('not today')\ninner()\n"

    async def scenario(engine: Engine) -> None:
        await write(engine, source)
        outcome = await engine.invoke("f")
        log = run_engine.log.text()
        assert log.startswith("INIT_START Runtime Version: python:3.")
        log = log[log.index("\n") + 1 :]
        log = re.sub(r"\d+\.\d\d ms", "N ms", log)
        log = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", log)
        log = re.sub(r"^\u00a0.*\n", "", log, flags=re.M)  # frames differ by version and walls
        log = re.sub(r"Billed Duration: \d+ ms", "Billed Duration: N ms", log)
        log = re.sub(r"Max Memory Used: \d+ MB", "Max Memory Used: N MB", log)
        once = (
            "init %d\n"
            "[WARNING]\tTIME\t\tLAMBDA_WARNING: Unhandled exception. The most likely cause is an "
            "issue in the function code.\n"
            "[ERROR] ValueError: not today\nTraceback (most recent call last):\n"
            "INIT_REPORT Init Duration: N ms\tPhase: %s\tStatus: error\tError Type: ValueError\t\n"
        )
        request_id = outcome.request_id
        assert log == (
            once % (1, "init") + once % (2, "invoke") + f"START RequestId: {request_id} "
            f"Version: $LATEST\nEND RequestId: {request_id}\nREPORT RequestId: {request_id}\t"
            "Duration: N ms\tBilled Duration: N ms\tMemory Size: 128 MB\tMax Memory Used: N MB\t"
            "Status: error\tError Type: ValueError\t\n"
        )

    run_engine(scenario)


def test_an_init_that_works_the_second_time(run_engine: RunEngine) -> None:
    source = f"{COUNTED}if runs == 1:\n    raise ValueError('not yet')\n{WORKING}"

    async def scenario(engine: Engine) -> None:
        await write(engine, source)
        assert [await result(engine), await result(engine)] == [2, 2]
        log = run_engine.log.text()
        assert log.count("INIT_START") == 1
        assert log.count("INIT_REPORT") == 1
        assert "\tInit Duration" not in log

    run_engine(scenario)


def test_an_overlong_init_is_run_again_inside_the_invocation(run_engine: RunEngine) -> None:
    source = f"{COUNTED}import time\ntime.sleep(0.6)\n{WORKING}"

    async def scenario(engine: Engine) -> None:
        await write(engine, source, timeout=10)
        outcome = await engine.invoke("f")
        assert outcome.payload == b"2"
        assert outcome.duration >= 0.6  # its time counts
        assert await result(engine) == 2
        log = run_engine.log.text()
        first = log.index("\tPhase: init\tStatus: timeout\t\n")
        assert first < log.index("init 2") < log.index("START RequestId")
        assert log.count("INIT_REPORT") == 1

    run_engine(scenario, init_timeout=0.3)


def test_an_init_that_never_ends_is_the_invocations_timeout(run_engine: RunEngine) -> None:
    source = f"{COUNTED}import time\ntime.sleep(60)\n{WORKING}"

    async def scenario(engine: Engine) -> None:
        await write(engine, source, timeout=1)
        outcome = await engine.invoke("f")
        text = f"RequestId: {outcome.request_id} Error: Task timed out after 1.00 seconds"
        assert error(outcome) == {"errorType": "Sandbox.Timedout", "errorMessage": text}
        lines = run_engine.log.text().splitlines()[1:]
        shape = [re.sub(r"Init Duration: [\d.]+ ms|RequestId:.*", "-", line) for line in lines]
        assert shape == [
            "init 1",
            "INIT_REPORT -\tPhase: init\tStatus: timeout\t",
            "init 2",
            "INIT_REPORT -\tPhase: invoke\tStatus: timeout\t",
            "START -",
            "END -",
            "REPORT -",
        ]

    run_engine(scenario, init_timeout=0.2)


@pytest.mark.parametrize("limit", [1e-4, 3e-4, 1e-3, 2e-3])
def test_an_init_cut_short_anywhere_still_leaves_walls_that_hold(
    run_walled: RunEngine, limit: float
) -> None:
    source = (
        "import os\n"
        "def handler(event, context):\n"
        "    return [os.getcwd(), sorted(os.listdir('/var/task')), os.path.exists('/run/samovar')"
        " and os.listdir('/run/samovar')]\n"
    )

    async def scenario(engine: Engine) -> None:
        for number in range(5):
            await write(engine, source, f"f{number}")
            assert await result(engine, name=f"f{number}") == ["/var/task", ["app.py"], []]

    run_walled(scenario, init_timeout=limit)


def test_a_handler_in_a_directory(run_engine: RunEngine) -> None:
    files: dict[str, Any] = {"a/b.py": "def handler(event, context):\n    return __name__\n"}

    async def scenario(engine: Engine) -> None:
        for name, handler in (("f", "a/b.handler"), ("g", "a.b.handler")):
            await engine.create_function(name, code=package(files), handler=handler)
            assert await result(engine, name=name) == "a.b"

    run_engine(scenario)


def test_nothing_of_an_error_is_lost_in_translation(run_engine: RunEngine) -> None:
    """Messages that are no UTF-8 and errors that can't be printed still make JSON."""
    source = (
        "class Unprintable(Exception):\n"
        "    def __str__(self):\n"
        "        raise ValueError\n"
        "def handler(event, context):\n"
        "    raise {'a': ValueError('\\udc80'), 'b': Unprintable()}[event]\n"
    )

    async def scenario(engine: Engine) -> None:
        await write(engine, source)
        assert json.loads((await engine.invoke("f", "a")).payload)["errorMessage"] == "\udc80"
        told = error(await engine.invoke("f", "b"))
        assert told["errorType"] == "Unprintable"
        assert told["errorMessage"] == "<unprintable Unprintable object>"

    run_engine(scenario)
