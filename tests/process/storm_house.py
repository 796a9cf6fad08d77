"""A storm: what is asked of an engine, what is done to it meanwhile, and the record of what ran.

The record is the handlers' own, kept outside of the engine: `tests/functions/storm.py`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Self, cast

import psutil
from tests.process.house import FUNCTIONS, family, package
from tests.process.kin import holder_of, spares_of

from samovar.engine import Engine


class Call(NamedTuple):
    """One invocation that is to be made. `patience`: turns of the loop until its caller goes away,
    at least the one in which it is made; None for one who waits."""

    number: int
    function: str
    qualifier: str | None
    event: dict[str, Any]
    patience: int | None = None


class Blow(NamedTuple):
    """Something else that is done to the engine: a kill, an update, a drop of idle contexts."""

    kind: str
    function: str


# How many of a thousand invocations do what. The rest is quick.
SHARES = {"slow": 150, "fail": 50, "echo": 40, "take": 30, "exit": 15, "leave": 10, "hang": 5}
# How many blows fall in a thousand invocations.
BLOWS = {"worker": 10, "holder": 3, "spare": 3, "zygote": 1, "update": 3, "drop": 4}
KILLS = ("worker", "holder", "spare", "zygote")
_LARGEST = 1 << 20  # bytes of a payload


def forecast(dice: random.Random, count: int, targets: tuple[str, ...]) -> list[Call | Blow]:
    """`count` calls and the blows between them, in a random order; in each thousand as many of each
    kind as the tables say. `targets`: functions, some with an alias behind a colon."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(share * count // 1000)]
    kinds += ["quick"] * (count - len(kinds))
    blows = [kind for kind, share in BLOWS.items() for _ in range(share * count // 1000)]
    dice.shuffle(kinds)
    steps: list[Call | Blow] = [
        Call(number, *_target(dice, targets), _event(dice, number, kind), _patience(dice))
        for number, kind in enumerate(kinds)
    ]
    for kind in blows:
        steps.insert(dice.randrange(len(steps)), Blow(kind, _target(dice, targets)[0]))
    return steps


def _target(dice: random.Random, targets: tuple[str, ...]) -> tuple[str, str | None]:
    function, _, alias = dice.choice(targets).partition(":")
    return function, alias or None


def _event(dice: random.Random, number: int, kind: str) -> dict[str, Any]:
    event: dict[str, Any] = {"number": number, "do": kind}
    if kind == "slow":
        event["ms"] = dice.randint(1, 30)
    elif kind == "take":
        event["mb"] = dice.randint(1, 16)
    elif kind == "echo":
        event["text"] = dice.choice("abc") * dice.choice([100, 10_000, 40_000, _LARGEST - 200])
    return event


def _patience(dice: random.Random) -> int | None:
    return dice.randint(1, 30) if dice.random() < 0.03 else None


@dataclass(slots=True)
class Run:
    """What one process said of one invocation; times in ns, `end` None where it never said so."""

    number: int
    context: str
    process: str
    pid: int
    begin: int
    end: int | None = None


@dataclass(slots=True)
class Record:
    """All that was said by handlers, as it came."""

    runs: list[Run] = field(default_factory=list)
    inits: Counter[str] = field(default_factory=Counter)  # by context
    _open: dict[str, Run] = field(default_factory=dict)  # by process

    def heard(self, pid: int, line: str) -> None:
        word, number, at, context, process = line.split()
        if word == "init":
            self.inits[context] += 1
        elif word == "begin":
            assert process not in self._open, f"{process} began {number} within another"
            run = Run(int(number), context, process, pid, int(at))
            self._open[process] = run
            self.runs.append(run)
        else:
            run = self._open.pop(process)
            assert run.number == int(number)
            run.end = int(at)

    def overlapping(self, runs: list[Run]) -> int:
        """How many of `runs` there were at most at once. One that was cut off counts for the moment
        of its begin only: when it ended nobody knows."""
        moments = [(run.begin, 1) for run in runs]
        moments += [(run.begin if run.end is None else run.end, -1) for run in runs]
        most = now = 0
        for _, change in sorted(moments, key=lambda moment: (moment[0], -moment[1])):
            now += change
            most = max(most, now)
        return most

    def shared_contexts(self) -> list[tuple[Run, Run]]:
        """Pairs of runs that were in one context at the same time."""
        by_context: dict[str, list[Run]] = {}
        for run in self.runs:
            by_context.setdefault(run.context, []).append(run)
        return [
            (one, other)
            for runs in by_context.values()
            for one, other in pairwise(sorted(runs, key=lambda run: run.begin))
            if one.end is not None and other.begin < one.end
        ]


class Court:
    """Listens to handlers: `async with Court() as court`; `name` is what they are to connect to."""

    def __init__(self) -> None:
        self.name = f"storm-{secrets.token_hex(8)}"
        self.record = Record()
        self._server: asyncio.Server | None = None
        self._open: set[_Witness] = set()

    async def __aenter__(self) -> Self:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("\0" + self.name)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._witness, sock=listener, backlog=1000)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for witness in list(self._open):
            witness.close()

    @property
    def all_gone(self) -> bool:
        """Whether everything that was said has been heard: those who spoke have hung up."""
        return not self._open

    def _witness(self) -> _Witness:
        return _Witness(self.record, self._open)


class _Witness(asyncio.Protocol):
    """One process's connection. Who it is the kernel says, in the pids of this side."""

    def __init__(self, record: Record, opened: set[_Witness]) -> None:
        self._record = record
        self._opened = opened
        self._rest = b""
        self._pid = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self._pid, _, _ = struct.unpack("3i", credentials)
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._record.heard(self._pid, line.decode())

    def connection_lost(self, _: Exception | None) -> None:
        self._opened.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def code(issue: int) -> bytes:
    """The package of an edition of the handlers."""
    storm = (FUNCTIONS / "storm.py").read_bytes()
    return package({"storm.py": storm, "issue.py": f"number = {issue}\n"})


def victims(engine: Engine, kind: str) -> Iterator[psutil.Process]:
    """Processes that this engine has started, and only those, of a kind of KILLS."""
    if kind == "zygote":
        yield from map(psutil.Process, engine.report().zygotes)
        return
    kin = family(engine)
    if kind == "spare":
        found = spares_of(engine)
    else:
        found = [entry["pid"] for entry in engine.contexts() if entry.get("pid")]
        if kind == "holder":
            found = [holder_of(pid) for pid in found if pid in kin]
    yield from (kin[pid] for pid in found if pid in kin)


def kill_one(engine: Engine, kind: str, dice: random.Random) -> bool:
    """SIGKILL one of them; whether there was one. psutil knows a pid that is another's by now."""
    try:
        found = list(victims(engine, kind))
        if found:
            dice.choice(found).kill()
    except (psutil.NoSuchProcess, FileNotFoundError, ValueError):
        return False  # it has just ended by itself
    return bool(found)
