"""Engines in programs that have their own mind about signals: theirs and ours don't mix."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from tests.process.conftest import RunEngine
from tests.process.house import create, result, write
from tests.process.witness import Court

from samovar import Engine

SIGNALS = """
import signal
def handler(event, context):
    ignored = [s.name for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN]
    return {"ignored": sorted(ignored),
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))}
"""


def dispositions() -> dict[str, object]:
    """All that a process has set for its signals."""
    found: dict[str, object] = {
        signal.Signals(number).name: signal.getsignal(number)
        for number in signal.valid_signals()
        if number in set(signal.Signals)
    }
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return found | {"wakeup": wakeup, "blocked": blocked}


@contextlib.contextmanager
def disposed(number: int, handler: Any) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


async def lives(engine: Engine) -> None:
    """Forks, reaps and revives; functions find signals as a fresh process does."""
    await write(engine, SIGNALS)
    # SIGPIPE and SIGXFSZ are ignored by Python itself.
    assert await result(engine) == {"ignored": ["SIGPIPE", "SIGXFSZ"], "blocked": []}
    await create(engine, "endings.end", "ends")
    for count in (1, 3):
        assert (await result(engine, {"how": "count"}, "ends"))["tmp"] == count
        outcome = await engine.invoke("ends", {"how": "terminate"})
        assert json.loads(outcome.payload)["errorMessage"].endswith("signal: terminated")


async def lives_again(engine: Engine) -> None:
    assert (await result(engine, {"how": "count"}, "ends"))["tmp"] == 1


def test_a_program_with_threads_and_signal_handlers_of_its_own(run_engine: RunEngine) -> None:
    seen: list[int] = []
    stop = threading.Event()

    def count() -> None:
        while not stop.wait(0.001):
            sum(range(1000))

    async def program() -> None:
        before = dispositions()
        async with Engine(run_engine.settings(), runtimes=run_engine.runtimes) as engine:
            assert dispositions() == before
            async with Court() as court:
                await create(engine, "witness.handler")
                call = court.invoke(engine)
                await court.reached(1)
                signal.raise_signal(signal.SIGUSR1)
                assert seen == [signal.SIGUSR1]
                court.open()
                assert json.loads((await call).payload)["calls"] == 1
            assert dispositions() == before
        assert dispositions() == before

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with disposed(signal.SIGUSR1, lambda number, _: seen.append(number)):
            asyncio.run(program())
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def reap(number: int, frame: object) -> None:
    """What many daemons do: take every child that has ended, whoever started it."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def test_a_program_that_reaps_every_child(run_engine: RunEngine) -> None:
    with disposed(signal.SIGCHLD, reap):
        run_engine(lives)
        run_engine(lives_again)


def test_a_program_that_ignores_its_children_and_a_hangup(run_engine: RunEngine) -> None:
    """exec passes on what is ignored: neither zygotes nor functions may start with it."""
    with disposed(signal.SIGCHLD, signal.SIG_IGN), disposed(signal.SIGHUP, signal.SIG_IGN):
        run_engine(lives)


def test_a_program_that_blocks_all_signals(run_engine: RunEngine) -> None:
    """As those do that wait for signals in a thread; exec passes the mask on, too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        run_engine(lives)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
