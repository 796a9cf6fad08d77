"""Engines that read a stream and die: each life on one data directory is killed at one point of a
batch's way, and the next one goes on; the last one works off what is left.

    python -m tests.process.crashes.stream_nest DIRECTORY MOTO_URL --kind kinesis --kills 60

With --beginning the first lives are killed where a stream is looked at for the first time. Then one
is not, and counts the points that are passed (see `stream_points`), and each of the others is
killed at one of them: at those of --at if there are any, or else at all, the phases first. Prints a
JSON document; the exit status is 0 if nothing was wrong. With --early a batch is written down
before it is run, which must be found.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import aiobotocore.config  # noqa: F401 - lives inherit it, too
import psutil
import uvloop
from tests.process.crashes import points
from tests.process.crashes.nest import Aim, read_models_once
from tests.process.crashes.stream_points import BEGINNING, PHASES, RESHARDING, StreamPoints
from tests.process.crashes.stream_record import StreamRecord, checkpoints
from tests.process.crashes.stream_sides import ACCOUNT, SIDES, Side

from samovar.engine import Engine
from samovar.event_sources import stream_poller
from samovar.event_sources.batch_runs import BatchRun
from samovar.event_sources.dynamodb import DynamoDbStream
from samovar.event_sources.kinesis import KinesisStream
from samovar.model.event_source import StartingPosition
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings

PATIENCE = 60.0  # seconds; only a life that hangs takes them
TIME_SCALE = 0.02  # a back-off begins at 20 ms
BATCH = 3
_STEP = 0.005
_PAUSE = 0.02  # seconds between reads and looks, for AWS's 1 and our 10
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SERVICES = ("dynamodbstreams", "kinesis", "sqs")

Checkpoints = Mapping[str, tuple[str, str]]


class StreamNest:
    """Engines, one after the other, on `directory`."""

    def __init__(
        self, directory: Path, url: str, side: Side, *, lanes: int = 1, early: bool = False
    ) -> None:
        self.side = side
        self.record = StreamRecord(directory / "record", lanes=lanes > 1)
        self.settings = Settings(
            data_dir=directory / "data",
            isolation=Isolation.NONE,
            spares=0,
            time_scale=TIME_SCALE,
            account_id=ACCOUNT,
            aws_endpoint=url,
        )
        self._directory = directory
        self._lanes = lanes
        self._early = early
        self.aim_file = directory / "aim"
        self._counted = directory / "points"
        self.runtimes = uvloop.run(Runtimes.discover(self.settings))
        read_models_once(*_SERVICES)
        # What a life leaves behind becomes this process's, which waits for it.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def begin(self, aim: Aim) -> bool:
        """A life that has not looked at its stream before; whether it died at its aim."""
        if not self.record.put:
            self.side.put(self.record)
        return self._live(aim)

    def live(self, aim: Aim | None) -> bool:
        """One life, and records for it; whether it died at its aim."""
        self.side.put(self.record)
        if self.side.kind == "kinesis" and (aim is None or aim[0] in RESHARDING):
            self.side.reshard()
            self.side.put(self.record)
        return self._live(aim)

    def _live(self, aim: Aim | None) -> bool:
        before = self.checkpoints()
        pid = os.fork()
        if pid == 0:
            self._be_an_engine(aim)
        _, status = os.waitpid(pid, 0)
        self._wait_for_what_is_left()
        self.aim_file.unlink(missing_ok=True)
        name = "the last" if aim is None else f"{aim[0]} {aim[1]}"
        self.record.take_in(name, before)
        self.record.check(name, self.checkpoints())
        if os.WIFSIGNALED(status):
            assert aim is not None, f"a life that nobody aimed at died: {status}"
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            return True
        assert os.WEXITSTATUS(status) == 0, f"a life failed: see stderr ({aim})"
        return False

    def _wait_for_what_is_left(self) -> None:
        """By a life, to this process; what stands beside it goes on."""
        while left := {one.pid for one in psutil.Process().children()} - self.side.processes:
            for pid in left:
                os.waitpid(pid, 0)

    def points(self) -> Counter[str]:
        """The points that the last life passed, which lived to its end."""
        return Counter(json.loads(self._counted.read_text()))

    def checkpoints(self) -> Checkpoints:
        """How far shards were read, by what is written down."""
        return checkpoints(self.settings.data_dir)

    def _be_an_engine(self, aim: Aim | None) -> None:
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            self.hurry()
            uvloop.run(self._life(aim))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def hurry(self) -> None:
        """Have an engine wait for nothing for long."""
        stream_poller._LOOK_AGAIN = _PAUSE
        KinesisStream.pause = DynamoDbStream.pause = _PAUSE

    def install(self, aim: Aim | None) -> StreamPoints:
        """The points of an engine, from now on."""
        passed = StreamPoints(aim, points.die, self.aim_file)
        passed.install()
        return passed

    async def _life(self, aim: Aim | None) -> None:
        if self._early:
            _write_down_early()
        passed = self.install(aim)
        engine = Engine(self.settings, runtimes=self.runtimes)
        async with asyncio.timeout(PATIENCE), engine:
            if not engine.event_sources():
                await self._create(engine)
            while not self._all_read() or passed.deliveries_left():  # noqa: ASYNC110 - see there
                await asyncio.sleep(_STEP)
        self._counted.write_text(json.dumps(passed.passed))

    def _all_read(self) -> bool:
        """On the disk, which tells nobody."""
        found = self.checkpoints()
        last: dict[str, int] = {}
        for shard, key in self.record.places:
            last[shard] = max(last.get(shard, 0), int(key))
        return all(
            shard in found
            and (found[shard][0] == "end" or (found[shard][1] and int(found[shard][1]) >= key))
            for shard, key in last.items()
        )

    async def _create(self, engine: Engine) -> None:
        if not engine.registry.list().functions:
            code = Path(__file__).with_name("stream_handlers.py")
            place = self._directory / "code"
            place.mkdir(exist_ok=True)
            (place / "app.py").write_text(code.read_text())
            environment = {"RECORD": str(self.record.path), "AIM": str(self.aim_file)}
            await engine.create_function(
                "f", code=place, handler="app.handler", environment=environment
            )
        await self.read(engine)

    async def read(self, engine: Engine) -> None:
        """Make the mapping."""
        await engine.read_source(
            "f",
            self.side.arn,
            batch_size=BATCH,
            starting_position=StartingPosition.TRIM_HORIZON,
            retries=1,
            bisect=True,
            on_failure=self.side.given_up,
            parallelization=self._lanes,
        )


def rank(name: str) -> tuple[int, str]:
    """Phases come first, then those of shards that end, then whatever else is awaited."""
    return 0 if name in PHASES else 1 if name in RESHARDING else 2, name


def chosen(passed: Counter[str]) -> Iterator[Aim]:
    """All points once, the phases first; then each where it is passed for the second time."""
    names = sorted(passed, key=rank)
    for time_passed in range(1, max(passed.values()) + 1):
        for name in names:
            if passed[name] >= time_passed:
                yield name, time_passed


def _write_down_early() -> None:
    """What must never be: a checkpoint that comes before its batch."""
    run = BatchRun.run

    async def early(batch: BatchRun, found: Any, place: Any) -> None:
        await batch._passed(found[-1].key)
        await run(batch, found, place)

    BatchRun.run = early  # type: ignore[method-assign]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("url")
    parser.add_argument("--kind", choices=sorted(SIDES), required=True)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--part", type=int, default=0, help="of the aims, every OFth from this one")
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--at", action="append", help="a point; again and again")
    parser.add_argument("--beginning", action="store_true")
    parser.add_argument("--early", action="store_true")
    options = parser.parse_args()
    side = SIDES[options.kind](options.url)
    nest = StreamNest(
        options.directory, options.url, side, lanes=options.lanes, early=options.early
    )
    started = time.monotonic()
    killed: list[str] = []
    unreached: list[str] = []
    for name in BEGINNING if options.beginning else ():
        (killed if nest.begin((name, 1)) else unreached).append(name)
    nest.live(None)
    # The first life found no leases to take over; all others do.
    passed = nest.points() | Counter(dict.fromkeys(PHASES, 1))
    aims = [(name, 1) for name in options.at or ()] or chosen(passed)
    for aim in islice(aims, options.part, options.kills, options.of):
        (killed if nest.live(aim) else unreached).append(aim[0])
    nest.live(None)
    nest.side.hear(nest.record)
    record = nest.record
    put = sum(map(len, record.put.values()))
    document = {
        "points": len(passed),
        "kills": len(killed),
        "killed": sorted(set(killed)),
        "unreached": unreached,
        "put": put,
        "again": sum(record.runs.values()) - put,
        "wrong": [*record.wrong, *record.missing()],
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(document, indent=1))
    return 1 if document["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
