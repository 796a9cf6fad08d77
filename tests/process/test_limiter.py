"""What holds contexts to their limits, on real control groups, with processes of no engine's."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

import psutil
import pytest
from tests.process.house import eventually
from tests.process.programs import PATIENCE, environment
from tests.process.test_limits import LIMITS, group

from samovar.clock import SystemClock
from samovar.context.delegation import Delegation, ask, tops_name
from samovar.context.group_files import GroupFiles
from samovar.context.limiter import Limiter
from samovar.context.limits import MEGABYTE, Limits
from samovar.context.memory_guard import MemoryGuard
from samovar.settings import ControlGroups


@pytest.fixture
def delegation() -> Iterator[Delegation]:
    found = ask(ControlGroups.AUTO, tops_name("samovar-0000000000000000"))
    try:
        if not found.tree.controllers:
            pytest.skip("this host gives us no control groups")
        yield found
    finally:
        found.close()


class Other(Protocol):
    """What is asked of a process that is no engine's."""

    pid: int
    stdin: IO[str]
    stdout: IO[str]

    def wait(self, timeout: float) -> int: ...


@contextmanager
def other(program: str) -> Iterator[Other]:
    """An interpreter that runs a text; killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield cast("Other", process)
        finally:
            process.kill()


def test_whoever_was_started_before_its_parent_joined_joins_too(delegation: Delegation) -> None:
    tree = delegation.tree
    with other("import os; os.fork() and print('here', flush=True); input()") as process:
        assert process.stdout.readline() == "here\n"
        below = psutil.Process(process.pid).children()
        assert len(below) == 1
        tree.add(3)
        tree.join(3, process.pid)
        for one in (process, *below):
            assert group(one.pid, "memory").directory.name == "3"
        below[0].kill()


EATER = """
input()
taken = b"x" * (200 << 20)
print("full", flush=True)
input()
"""


def test_the_kernel_ends_whom_the_hard_limit_stops(delegation: Delegation) -> None:
    tree = delegation.tree
    with other(EATER) as process:
        tree.add(4)
        tree.join(4, process.pid)
        tree.limit(4, Limits(64 * MEGABYTE, 96 * MEGABYTE, 1.0))
        assert tree.killed(4) == 0
        print("begin", file=process.stdin, flush=True)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    assert tree.killed(4) == 1


class Culprit:
    """Stands in for a context."""

    number = 5

    def __init__(self) -> None:
        self.overran_times = 0

    def overran(self) -> None:
        self.overran_times += 1

    def abandon(self, reason: str) -> None:
        raise AssertionError(reason)


def test_what_is_over_its_limit_when_that_is_set_is_seen(delegation: Delegation) -> None:
    """The kernel tells of what comes to pass, not of what is so already."""

    async def scenario() -> None:
        culprit = Culprit()
        limiter = Limiter(delegation, SystemClock())
        try:
            with other(EATER) as process:
                limiter.enter(culprit, process.pid)
                await eventually(
                    lambda: group(process.pid, "memory").directory.name == "5", "it has joined"
                )
                print("begin", file=process.stdin, flush=True)
                assert await asyncio.to_thread(process.stdout.readline) == "full\n"
                assert culprit.overran_times == 0
                limiter.limit(culprit, Limits(160 * MEGABYTE, 700 * MEGABYTE, 1.0))
                await eventually(lambda: culprit.overran_times, "it is told")
        finally:
            await limiter.close()

    asyncio.run(scenario())


GLUTTON = """
while True:
    wanted = int(input())
    taken = b""
    taken = b"x" * (wanted << 20)
    print("full", flush=True)
"""


def test_what_a_process_had_before_it_joined_counts(delegation: Delegation) -> None:
    """It stays charged to where it came from; and what was given back since is not its any more."""

    async def scenario() -> None:
        culprit = Culprit()
        limiter = Limiter(delegation, SystemClock())
        limiter.limit(culprit, Limits(128 * MEGABYTE, 700 * MEGABYTE, 1.0))

        async def takes(megabytes: int) -> None:
            print(megabytes, file=process.stdin, flush=True)
            assert await asyncio.to_thread(process.stdout.readline) == "full\n"

        try:
            with other(GLUTTON) as process:
                await takes(100)
                limiter.enter(culprit, process.pid)
                await eventually(
                    lambda: group(process.pid, "cpu").directory.name == "5", "it has joined"
                )
                await takes(90)
                await takes(110)
                assert culprit.overran_times == 0
                await takes(150)
                await eventually(lambda: culprit.overran_times, "it is told")
        finally:
            await limiter.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("megabytes", [100, 250])
def test_nor_is_it_forgotten_when_it_stays(delegation: Delegation, megabytes: int) -> None:
    """Children have it: those that had too much before, and those that take too much then."""

    async def scenario() -> None:
        culprit = Culprit()
        limiter = Limiter(delegation, SystemClock())
        limiter.limit(culprit, Limits(128 * MEGABYTE, 700 * MEGABYTE, 1.0))
        more = f"import os\nif os.fork() == 0:\n    taken = b'x' * ({megabytes} << 20)\n"
        more += "    print('full', flush=True)\n    import signal; signal.pause()\n"
        try:
            with other(more + GLUTTON) as process:
                assert await asyncio.to_thread(process.stdout.readline) == "full\n"
                below = psutil.Process(process.pid).children()
                limiter.enter(culprit, process.pid)
                print(60, file=process.stdin, flush=True)
                assert await asyncio.to_thread(process.stdout.readline) == "full\n"
                await eventually(lambda: culprit.overran_times, "it is told")
                for one in below:
                    one.kill()
        finally:
            await limiter.close()

    asyncio.run(scenario())


class Unjoinable(GroupFiles):
    """No process can join a group."""

    def write(self, file: Path, text: str) -> None:
        if file.name == "cgroup.procs":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        super().write(file, text)


class Told(Culprit):
    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def abandon(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.mark.parametrize("insist", [True, False])
def test_a_context_that_can_not_be_limited(
    delegation: Delegation, caplog: pytest.LogCaptureFixture, insist: bool
) -> None:
    """A strict engine does without it; others say so, once."""
    delegation.tree._files = Unjoinable()

    async def scenario() -> None:
        told = Told()
        limiter = Limiter(delegation, SystemClock(), insist=insist)
        try:
            for _ in range(2):
                limiter.enter(told, os.getpid())
            await eventually(lambda: "can't be held to its limits" in caplog.text, "it is said")
            if insist:
                await eventually(lambda: len(told.reasons) == 2, "they are given up")
        finally:
            await limiter.close()
        assert caplog.text.count("can't be held to its limits") == 1
        assert len(told.reasons) == (2 if insist else 0)

    asyncio.run(scenario())


def test_an_engine_that_may_not_have_processes_join_looks_at_memory_itself(
    delegation: Delegation,
) -> None:
    delegation.tree._files = Unjoinable()

    async def scenario() -> None:
        limiter = Limiter(delegation, SystemClock())
        try:
            assert set(limiter.held) == LIMITS
            await limiter.try_out(os.getpid())
            assert limiter.held == []
            assert set(limiter.missing) == LIMITS
            for reason in limiter.missing.values():
                assert "a process can't join a group: Operation not permitted" in reason
            assert isinstance(limiter.guard, MemoryGuard)
        finally:
            await limiter.close()

    asyncio.run(scenario())
