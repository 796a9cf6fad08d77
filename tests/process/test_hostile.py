"""Whatever a function does to its own process, the wire holds and the engine goes on."""

from __future__ import annotations

import contextlib
import json

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, error, eventually, family, result, states, write

from samovar.engine import Engine
from samovar.model.invocation import Outcome, StartKind

# What costs nothing but what the function took from itself, and the answer to it.
HARMLESS: dict[str, object] = {
    "close 0-2": 1,
    "dup2 over 0-2": 1,
    "close the output": 1,
    "close the memory": 1,
    "fork and return": 1,
    "fork and raise": 1,
    "fork in a thread": 1,
    "keep the output": 1,
    "ignore signals": 1,
    "busy thread": 1,
    "quit a thread": 1,
    "trace": 1,
    "no gc": 1,
    "no modules": 1,
    "builtins": 1,
    "no environment": 1,
    "elsewhere": 1,
    "few files": 1,
    "spoil the memory": "x" * 100_000,
    "many threads": True,
    "many children": 1,
}


async def others_are_served(engine: Engine, calls: int) -> None:
    """The function beside it, in a context of its own, is as warm as ever."""
    assert await result(engine, "", "other") == calls


def names(engine: Engine) -> set[str]:
    """The names of all processes below the engine's zygotes."""
    found = set()
    for process in family(engine).values():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


def test_what_a_function_may_do_and_stay_warm(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do", "other")
        for calls, (way, answer) in enumerate(HARMLESS.items(), start=1):
            name = way.replace(" ", "-")
            await create(engine, "hostile.do", name, timeout=30)
            first = await engine.invoke(name, way)
            assert first.function_error is None, first.payload
            assert json.loads(first.payload) == answer, way
            for again in (2, 3):
                outcome = await engine.invoke(name, "")
                assert outcome.payload == str(again).encode(), way
                assert outcome.start is StartKind.WARM
                assert outcome.context_id == first.context_id
            await others_are_served(engine, calls)
            if way == "many children":
                assert "sleep" in names(engine)
            await engine.delete_function(name)
        await eventually(lambda: states(engine) == ["idle"], "only the other function is left")
        await eventually(lambda: "sleep" not in names(engine), "nothing of theirs is left")

    run_engine(scenario)


def test_a_child_that_returns_from_the_handler_gives_no_second_reply(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do")
        for way, ends in (
            ("fork and return", [0, 0, 0]),
            ("fork and raise", [1]),
            ("fork in a thread", [9]),
        ):
            calls = await result(engine, way)
            outcome = await engine.invoke("f", "reap", log_tail=True)
            assert json.loads(outcome.payload) == ends
            assert await result(engine, "") == calls + 2
        assert run_engine.log.text().count("REPORT RequestId: ") == 9
        assert len(states(engine)) == 1

    run_engine(scenario)


def test_alarms_that_ring_between_two_invocations(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do")
        assert await result(engine, "alarm later") == 1
        await eventually(lambda: "ring\n" in run_engine.log.text(), "the alarm rings")
        assert await result(engine, "") == 2
        # One that nobody handles ends the process; the next invocation finds a new one.
        before = await engine.invoke("f", "deadly alarm later")
        await eventually(lambda: engine.contexts()[0]["pid"] is None, "the process is gone")
        after = await engine.invoke("f", "")
        assert (after.payload, after.context_id) == (b"1", before.context_id)

    run_engine(scenario)


# What ends the invocation by an error of the handler's own, and keeps the process.
ERRORS = {
    "recurse": ("RecursionError", "maximum recursion depth exceeded"),
    "too much at once": ("MemoryError", ""),
    "little memory": ("MemoryError", ""),
    "builtins, raise": ("ValueError", "all the same"),
}
# What ends the process.
ENDS = {
    "close all": "exit status 70",
    "close the reply pipe": "exit status 70",
    "builtins, exit": "exit status 1",
    "no file may grow": "exit status 70",
    "exit in a thread": "exit status 7",
}
# What is no reply, or not the one that is due.
LIES = {
    "garbage": "frame version 25202, expected 1",
    "garbage and an answer": "frame version 25202, expected 1",
    "garbage and a forged answer": "frame version 25202, expected 1",
    "flood": "frame version 65535, expected 1",
    "zeros": "frame version 0, expected 1",
    "half a frame": "bytes of payload, at most 65536",
    "giant frame": "4294967295 bytes of metadata, at most 262144",
    "giant memory": "4294967295 bytes of payload, at most 6291556",
    "bad metadata": "Done: not an array of 4",
    "wrong metadata": "Done: a field of another type",
    "unknown kind": "kind 200 is not legal while running",
    "another's reply": "a reply to another invocation",
    "init again": "INIT_DONE is not legal while running",
}


def exit_error(outcome: Outcome) -> str:
    told = error(outcome)
    assert told["errorType"] == outcome.error_type == "Runtime.ExitError"
    prefix = f"RequestId: {outcome.request_id} Error: Runtime exited with error: "
    assert told["errorMessage"].startswith(prefix)
    return str(told["errorMessage"].removeprefix(prefix))


def test_errors_that_keep_the_process(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do", "other")
        for number, (way, (kind, message)) in enumerate(ERRORS.items(), start=1):
            name = f"f{number}"
            await create(engine, "hostile.do", name, timeout=30)
            told = error(await engine.invoke(name, way))
            assert told["errorType"] == kind, way
            assert told["errorMessage"].startswith(message), way
            assert await result(engine, "", name) == 2
            await others_are_served(engine, number)

    run_engine(scenario)


def test_ends_of_the_process_are_told_by_name(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do", "other")
        await create(engine, "hostile.do", timeout=30)
        for number, (way, text) in enumerate(ENDS.items(), start=1):
            outcome = await engine.invoke("f", way)
            assert exit_error(outcome) == text, way
            after = await engine.invoke("f", "")
            assert (after.payload, after.context_id) == (b"1", outcome.context_id), way
            await others_are_served(engine, number)
        assert "nobody hears it\n" in run_engine.log.text()

    run_engine(scenario)


def test_lies_on_the_reply_pipe_end_the_process_with_the_reason(
    run_engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do", "other")
        await create(engine, "hostile.do", timeout=50)
        for number, (way, reason) in enumerate(LIES.items(), start=1):
            caplog.clear()
            outcome = await engine.invoke("f", way)
            assert exit_error(outcome) == "signal: killed", way
            (line,) = [record.getMessage() for record in caplog.records]
            assert line.startswith(f"context {outcome.context_id} is killed: "), way
            assert reason in line
            after = await engine.invoke("f", "")
            assert (after.payload, after.context_id) == (b"1", outcome.context_id), way
            await others_are_served(engine, number)
            # The next one lies as the first invocation of its process, too.
            await engine.invoke("f", "exit in a thread")

    run_engine(scenario)


def test_what_only_time_can_tell_is_a_timeout(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do", "other")
        await create(engine, "hostile.do", timeout=1)
        outcome = await engine.invoke("f", "stop")
        assert error(outcome)["errorType"] == "Sandbox.Timedout"
        assert await result(engine, "") == 1
        # A thread that reads the engine's words in the worker's place, as soon as it gets hold of
        # one: nobody answers that invocation.
        await result(engine, "steal requests")
        for _ in range(20):
            outcome = await engine.invoke("f", "")
            if outcome.function_error is not None:
                break
        assert error(outcome)["errorType"] == "Sandbox.Timedout"
        assert await result(engine, "") == 1
        await others_are_served(engine, 1)

    run_engine(scenario)


def test_a_program_that_takes_the_workers_place_is_an_exit(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "hostile.do")
        outcome = await engine.invoke("f", "exec")
        text = f"RequestId: {outcome.request_id} Error: Runtime exited without providing a reason"
        assert error(outcome) == {"errorType": "Runtime.ExitError", "errorMessage": text}
        assert await result(engine, "") == 1

    run_engine(scenario)


FORKING = """
import logging, os, random, threading, time
def handler(event, context):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    logging.getLogger().handlers[0].acquire()  # a fork at a bad moment: its child must not hang
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        logging.warning("from a child")
        os.write(write_end, f"{threading.active_count()} {random.random()!r}".encode())
        os._exit(0)
    logging.getLogger().handlers[0].release()
    os.wait()
    count, drawn = os.read(read_end, 100).split()
    return [threading.active_count(), int(count), drawn.decode() == repr(random.random())]
"""


def test_a_functions_own_forks_find_what_is_registered_for_forks(run_engine: RunEngine) -> None:
    """Threads are gone in the child, locks are free and random numbers are its own: the zygote
    holds back what does that until it is the function that forks."""

    async def scenario(engine: Engine) -> None:
        await write(engine, FORKING, timeout=10)
        assert await result(engine) == [2, 1, False]

    run_engine(scenario)
