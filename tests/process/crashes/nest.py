"""A nest of engines that die: each life of an engine on one data directory takes in some events and
is killed somewhere on their way; the last one works off what is left, and nothing may be missing.

    python -m tests.process.crashes.nest DIRECTORY MOTO_URL --kills 200
    python -m tests.process.crashes.nest DIRECTORY MOTO_URL --kills 5000 --seed 7 --walled

The first life counts the points that events pass on their way (see `points`); each of the others is
killed at one of them: all points once, then each where it is passed for the second time, and so on.
Of ten lives one has its zygote killed there, and one its workers, and goes on. With --seed points
are drawn. Prints a JSON document; the exit status is 0 if nothing was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import aiobotocore.config  # noqa: F401 - lives inherit it, too
import psutil
import uvloop
from tests.process.crashes import points
from tests.process.crashes.neighbours import Neighbours
from tests.process.crashes.points import Points
from tests.process.crashes.record import BAD, GOOD, Listener, Record

from samovar.engine import Engine
from samovar.neighbours import asynchronous
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings
from samovar.stores.invoke_queue import ItemState

FUNCTIONS = (*GOOD, *BAD)
FEW = (GOOD[0], BAD[0])  # of three lives in four: the others ask more neighbours
# AWS's minute and two become 60 and 120 ms; six hours 22 s.
TIME_SCALE = 0.001
PATIENCE = 60.0  # seconds; only a life that hangs takes them
_STEP = 0.005
_PR_SET_PDEATHSIG = 1

Aim = tuple[str, int]


class Nest:
    """Engines, one after the other, on `directory`."""

    def __init__(self, directory: Path, url: str, *, walled: bool) -> None:
        self.directory = directory
        self.neighbours = Neighbours(url)
        self.listener = Listener()
        self.record = Record()
        self.settings = Settings(
            data_dir=directory / "data",
            isolation=Isolation.NAMESPACES if walled else Isolation.NONE,
            spares=0,
            time_scale=TIME_SCALE,
            account_id="123456789012",
            aws_endpoint=url,
        )
        self.runtimes = uvloop.run(Runtimes.discover(self.settings))
        read_models_once("events", "s3", "sns", "sqs")
        self._numbers = count(1)
        self._said = directory / "accepted"
        self._counted = directory / "points"
        self._read = 0

    def live(
        self, aim: Aim | None, victim: str = "engine", functions: Sequence[str] = FUNCTIONS
    ) -> bool:
        """One life, with an event for each of `functions`; whether it came to its aim."""
        numbers = [f"{name}:{next(self._numbers)}" for name in functions]
        self._counted.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            self._be_an_engine(numbers, aim, victim)
        _, status = os.waitpid(pid, 0)
        self._take_down()
        if victim != "engine":
            self.record.shake()
        if os.WIFSIGNALED(status):
            assert aim is not None, f"a life that nobody aimed at died: {status}"
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            return True
        assert os.WEXITSTATUS(status) == 0, f"a life failed: see stderr ({aim}, {victim})"
        return bool(json.loads(self._counted.read_text())["reached"])

    def points(self) -> Counter[str]:
        """The points that the last life passed, and how often."""
        return Counter(json.loads(self._counted.read_text())["passed"])

    def close(self) -> None:
        self.listener.close()
        self.neighbours.close()

    def _take_down(self) -> None:
        """Take in what was said from outside of the engine that is no more."""
        with contextlib.suppress(FileNotFoundError), self._said.open() as said:
            said.seek(self._read)
            for line in said:
                number, request_id = line.split()
                self.record.accepted[number] = request_id
                self._read += len(line)
        self.record.hear(self.listener)

    def take_deliveries(self) -> None:
        """Take in what has come to the neighbours."""
        for number, what in self.neighbours.delivered():
            self.record.delivered[number].append(what)

    def _be_an_engine(self, numbers: list[str], aim: Aim | None, victim: str) -> None:
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            self.listener.close()
            uvloop.run(self._life(numbers, aim, victim))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    async def _life(self, numbers: list[str], aim: Aim | None, victim: str) -> None:
        engine = Engine(self.settings, runtimes=self.runtimes)
        act = {
            "engine": points.die,
            "zygote": lambda: _kill(workers=False),
            "workers": lambda: _kill(workers=True),
        }[victim]
        passed = Points(aim, act)
        passed.install()
        async with asyncio.timeout(PATIENCE), engine:
            if not self.record.accepted:
                await self._create(engine)
            said = os.open(self._said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                await asyncio.gather(*(self._send(engine, one, said) for one in numbers))
            finally:
                os.close(said)
            queue = passed.queue
            assert queue is not None
            while any(  # noqa: ASYNC110 - nothing tells of it: it is what is waited for
                depth and state is not ItemState.DEAD
                for (_, state), depth in queue.depths().items()
            ):
                await asyncio.sleep(_STEP)
        told = {"passed": passed.passed, "reached": passed.reached}
        self._counted.write_text(json.dumps(told))

    async def _send(self, engine: Engine, number: str, said: int) -> None:
        name = number.partition(":")[0]
        request_id = await engine.invoke_async(name, {"number": number})
        os.write(said, f"{number} {request_id}\n".encode())  # what a 202 is to its caller

    async def _create(self, engine: Engine) -> None:
        code = Path(__file__).with_name("handlers.py")
        place = self.directory / "code"
        place.mkdir()
        (place / code.name).write_text(code.read_text())
        collector = None
        beside = self.neighbours
        letters = {"bad": beside.letters, "bad-s3": beside.topic}
        for name in ("collect", *FUNCTIONS):
            made = await engine.create_function(
                name,
                code=place,
                handler=f"handlers.{name.partition('-')[0]}",
                environment={"RECORD": str(self.listener.port)},
                dead_letter=letters.get(name, ""),
            )
            collector = collector or made.arn
        await engine.put_event_invoke("good", on_success=collector)
        await engine.put_event_invoke("good-bus", on_success=beside.bus)
        await engine.put_event_invoke("bad", on_failure=collector)
        await engine.put_event_invoke("bad-s3", on_failure=f"arn:aws:s3:::{beside.bucket}")


def read_models_once(*services: str) -> None:
    """A third of a life would be reading what clients are made of: lives inherit it."""
    session = asynchronous._new_session()
    for service in services:
        asynchronous._read_ahead(session, service)
    asynchronous._new_session = lambda: session


def _kill(*, workers: bool) -> None:
    """Kill this engine's zygotes, which are its children, or what runs below them."""
    zygotes = psutil.Process().children()
    victims = [one for zygote in zygotes for one in zygote.children()] if workers else zygotes
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGKILL)


def aims(passed: Counter[str], seed: int | None) -> Iterator[Aim]:
    """Where to kill: without end where points are drawn."""
    if seed is not None:
        chance = random.Random(seed)
        everywhere = [
            (name, time) for name, times in passed.items() for time in range(1, times + 1)
        ]
        while True:
            yield chance.choice(everywhere)
    for time_passed in range(1, max(passed.values()) + 1):
        for name in sorted(passed):
            if passed[name] >= time_passed:
                yield name, time_passed


def victim_of(life: int) -> str:
    return {8: "zygote", 9: "workers"}.get(life % 10, "engine")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("url")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--part", type=int, default=0, help="of the aims, every OFth from this one")
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--walled", action="store_true")
    options = parser.parse_args()
    nest = Nest(options.directory, options.url, walled=options.walled)
    started = time.monotonic()
    try:
        chosen = {}
        for functions in (FUNCTIONS, FEW):
            nest.live(None, functions=functions)
            passed = nest.points()
            chosen[functions] = islice(aims(passed, options.seed), options.part, None, options.of)
        killed: Counter[str] = Counter()
        unreached = []
        for life in range(options.kills):
            functions = FEW if life % 4 else FUNCTIONS
            aim = next(chosen[functions])
            victim = victim_of(life)
            if nest.live(aim, victim, functions):
                killed[f"{victim} at {aim[0]}"] += 1
            else:
                unreached.append(aim)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{life + 1} of {options.kills} killed")
        nest.live(None)
        nest.take_deliveries()
        lost = nest.record.lost()
        document = {
            "points": len(passed),
            "passed": sum(passed.values()),
            "kills": killed.total(),
            "killed": killed,
            "unreached": unreached,
            "accepted": len(nest.record.accepted),
            "runs": sum(map(len, nest.record.runs.values())),
            "more_than_once": nest.record.more_than_once(),
            "lost": lost,
            "seconds": round(time.monotonic() - started, 1),
        }
    finally:
        nest.close()
    print(json.dumps(document, indent=1))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
