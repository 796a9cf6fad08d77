"""BlockingEngine: programs without a loop, with many threads, interrupted, forgotten and forked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from tests import leaks
from tests.process.house import eventually, sample
from tests.process.kin import ended
from tests.process.programs import CHECKOUT, Program

from samovar import Settings
from samovar.blocking import BlockingEngine
from samovar.errors import AWS, ClientError, DataDirectoryInUse, EngineError
from samovar.invocation.identity import is_uuid
from samovar.model.invocation import StartKind
from samovar.settings import Isolation

pytestmark = pytest.mark.usefixtures("prepared")

PROGRAM = str(CHECKOUT / "tests" / "process" / "blocking_program.py")


@pytest.fixture
def settings(tmp_path: Path, isolation: Isolation) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=isolation, spares=1)


def test_the_main_thread(settings: Settings) -> None:
    with BlockingEngine(settings) as engine:
        made = engine.create_function("f", code=sample("life"), handler="life.mixed")
        assert made.state.value == "Active"
        outcomes = [engine.invoke("f", {"n": n}) for n in range(3)]
        assert [outcome.start for outcome in outcomes] == [
            StartKind.COLD,
            StartKind.WARM,
            StartKind.WARM,
        ]
        assert [json.loads(outcome.payload)["globals"] for outcome in outcomes] == [1, 2, 3]
        failed = engine.invoke("f", {"then": "raise"})
        assert failed.error_type == "CustomError"
        engine.update_function("f", environment={"EDITION": "2"})
        assert json.loads(engine.invoke("f").payload)["globals"] == 1
        assert [context["state"] for context in engine.contexts()][-1] == "idle"
        engine.put_event_invoke("f", max_retry_attempts=0)
        assert engine.get_event_invoke("f").max_retry_attempts == 0
        engine.delete_event_invoke("f")
        with pytest.raises(ClientError, match="doesn't have an EventInvokeConfig"):
            engine.get_event_invoke("f")
        assert engine.drop_idle_contexts("f") == 1
        queue = "arn:aws:sqs:us-east-1:000000000000:q"
        updated = engine.update_function("f", dead_letter=queue)
        assert updated.configuration.dead_letter == queue
        assert engine.invoke("f").start is StartKind.COLD
        assert len(engine.report().zygotes) == 1
        started = b'cold_starts_total{function="f",kind="on-demand",version="$LATEST"} 3.0\n'
        assert b"samovar_" + started in engine.metrics_text()
        with pytest.raises(EngineError, match="this engine is running already"):
            engine.start()
        with pytest.raises(DataDirectoryInUse):
            BlockingEngine(settings).start()
        assert is_uuid(engine.invoke_async("f", {"n": 4}, qualifier="$LATEST"))
        with pytest.raises(TypeError, match="not JSON serializable"):
            engine.invoke_async("f", {1})
        engine.delete_function("f")
        with pytest.raises(ClientError) as missing:
            engine.invoke("f")
        assert missing.value.error is AWS.RESOURCE_NOT_FOUND
        with pytest.raises(TypeError, match="not JSON serializable"):
            engine.invoke("f", {1})
    with pytest.raises(EngineError, match="enter it with `with`, or start it"):
        engine.invoke("f")
    engine.stop()  # idempotent
    with engine:  # and as often as one likes
        assert engine.contexts() == []


def test_many_threads_at_once(settings: Settings) -> None:
    """Each call is its caller's own; as many contexts as there are calls at once."""
    together = threading.Barrier(8, timeout=30)

    def call(number: int) -> tuple[str, int]:
        together.wait()
        outcome = engine.invoke("f", {"seconds": 0.3, "n": number})
        return outcome.context_id, json.loads(outcome.payload)["globals"]

    with BlockingEngine(settings) as engine, ThreadPoolExecutor(8) as threads:
        engine.create_function("f", code=sample("life"), handler="life.nap", timeout=30)
        seen = list(threads.map(call, range(16)))
        contexts = Counter(context for context, _ in seen)
        assert len(contexts) == 8
        assert contexts.total() == 16
        assert sorted(calls for _, calls in seen) == sorted(
            at for count in contexts.values() for at in range(1, count + 1)
        )


def test_its_own_thread_is_told_and_does_not_hang(settings: Settings) -> None:
    errors: list[BaseException] = []

    class Sink:
        def write(self, function: str, stream: str, data: bytes) -> None:
            try:
                engine.contexts()
            except EngineError as error:
                errors.append(error)

    with BlockingEngine(settings, log_sink=Sink()) as engine:
        engine.create_function("f", code=sample("life"), handler="life.count")
        engine.invoke("f")
    assert "the engine's own thread" in str(errors[0])


def said(program: Program) -> list[psutil.Process]:
    """Wait until the program's function runs; the processes below it by then."""
    assert program.line() == "running"
    return program.family()


def marker() -> str:
    return f"90000.{int.from_bytes(os.urandom(5), 'big')}"


@pytest.mark.parametrize("caller", ["main", "thread"])
def test_ctrl_c(settings: Settings, caller: str) -> None:
    """KeyboardInterrupt comes through at once, whoever waits for the function; nobody is left."""
    with Program(PROGRAM, caller, str(settings.data_dir), str(settings.isolation)) as program:
        family = said(program)
        assert len(family) >= 2
        # A signal that comes between the interpreter's last look and the sleep of a thread that
        # waits for a lock is seen when the lock is: people press Ctrl-C again.
        main = psutil.Process(program.pid)
        asleep = eventually(lambda: main.status() == psutil.STATUS_SLEEPING, "it waits")
        asyncio.run(asleep)
        program.signal(signal.SIGINT)
        code, out, err = program.end()
        assert out.splitlines() == ["interrupted", "stopped"], err
        assert code == 0, err
        assert ended(family)


def test_an_engine_that_was_forgotten_ends_with_its_program(settings: Settings) -> None:
    with Program(PROGRAM, "forgets", str(settings.data_dir), str(settings.isolation)) as program:
        family = said(program)
        program.tell("end")
        code, out, err = program.end()
        assert (code, out, err) == (0, "", "")
        assert ended(family)
    with BlockingEngine(settings) as engine:  # the directory was let go
        assert json.loads(engine.invoke("f", {}).payload)["globals"] == 1


def test_a_fork_may_not_use_it_and_does_it_no_harm(settings: Settings) -> None:
    with Program(PROGRAM, "forks", str(settings.data_dir), str(settings.isolation)) as program:
        pid = program.pid
        code, out, err = program.end()
        assert code == 0, err
        fork, parent = out.splitlines()
        assert fork == (
            f"fork: this engine lives in process {pid}, of which this one is a fork: start an "
            "engine after the fork"
        )
        assert parent == "parent: 2"


def test_starting_and_stopping_leaves_no_thread(tmp_path: Path) -> None:
    before = leaks.threads().keys()
    engine = BlockingEngine(Settings(data_dir=tmp_path, isolation=Isolation.NONE))
    for _ in range(3):
        engine.start()
        assert "samovar-engine" in {thread.name for thread in threading.enumerate()}
        engine.stop()
        assert leaks.threads().keys() == before
