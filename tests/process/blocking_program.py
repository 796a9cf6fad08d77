"""Programs with a BlockingEngine inside: `<what> <data dir> <isolation>`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from tests.process.house import sample

from samovar import Settings
from samovar.blocking import BlockingEngine
from samovar.errors import EngineError
from samovar.settings import Isolation


def say(line: str) -> None:
    print(line, flush=True)


class Announcer:
    """Says «running» when a handler has begun to run."""

    def __init__(self) -> None:
        self._said = False

    def write(self, function: str, stream: str, data: bytes) -> None:
        if b"START" in data and not self._said:
            self._said = True
            say("running")


def engine_at(settings: Settings, sink: Any = None) -> BlockingEngine:
    engine = BlockingEngine(settings, log_sink=sink)
    engine.start()
    engine.create_function("f", code=sample("life"), handler="life.nap", timeout=60)
    return engine


def interrupted(settings: Settings, in_thread: bool) -> None:
    """The main thread waits for a function, or for a thread that does."""
    engine = BlockingEngine(settings, log_sink=Announcer())
    try:
        with engine:
            engine.create_function("f", code=sample("life"), handler="life.nap", timeout=60)
            if in_thread:
                threading.Thread(target=call_and_be_told, args=[engine]).start()
                threading.Event().wait()
            engine.invoke("f", {"seconds": 50})
    except KeyboardInterrupt:
        say("interrupted")
    try:
        engine.contexts()
    except EngineError:
        say("stopped")


def call_and_be_told(engine: BlockingEngine) -> None:
    try:
        engine.invoke("f", {"seconds": 50})
    except EngineError:
        pass


def forgets(settings: Settings) -> None:
    """A thread still waits for a function when the program ends; nobody has stopped the engine."""
    engine = engine_at(settings, Announcer())
    threading.Thread(target=call_and_be_told, args=[engine], daemon=True).start()
    sys.stdin.readline()


def forks(settings: Settings) -> None:
    engine = engine_at(settings)
    engine.invoke("f", {"seconds": 0})
    pid = os.fork()
    if pid == 0:
        try:
            engine.invoke("f", {"seconds": 0})
        except EngineError as error:
            say(f"fork: {error}")
        engine.stop()
        sys.exit(0)  # with exit handlers
    os.waitpid(pid, 0)
    say(f"parent: {engine.invoke('f', {'seconds': 0}).payload.decode()[12:13]}")
    engine.stop()


def main(what: str, data_dir: str, isolation: str) -> None:
    settings = Settings(data_dir=Path(data_dir), isolation=Isolation(isolation), spares=1)
    if what in ("main", "thread"):
        interrupted(settings, what == "thread")
    elif what == "forgets":
        forgets(settings)
    else:
        forks(settings)


main(*sys.argv[1:])
