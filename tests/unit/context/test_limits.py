"""What a configuration allows, in the kernel's units, and who is looked at while it runs."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from tests.contract.launchers import version

from samovar.context.limits import MEGABYTE, limits_of, of_all
from samovar.context.memory_guard import PERIOD, MemoryGuard
from samovar.context.memory_use import anonymous_bytes, below, resident_bytes
from samovar.testing import ManualClock


@pytest.mark.parametrize(
    ("memory", "shares", "weight", "quota"),
    [(128, 74, 7, 7236), (1769, 1024, 100, 100_000), (10_240, 5928, 579, 578_858)],
)
def test_what_memory_size_buys(memory: int, shares: int, weight: int, quota: int) -> None:
    made = version()
    configuration = replace(made.configuration, memory_size=memory, ephemeral_storage=1024)
    found = limits_of(replace(made, configuration=configuration))
    assert found.memory == memory * MEGABYTE
    assert found.most == (memory + 1024 + 32) * MEGABYTE
    assert (found.shares, found.weight, found.quota) == (shares, weight, quota)


def test_all_contexts_together_weigh_as_much_as_the_cpus() -> None:
    assert (of_all(2).shares, of_all(2).weight) == (2048, 200)
    assert (of_all(1024).shares, of_all(1024).weight) == (262_144, 10_000)


def test_only_what_runs_is_looked_at() -> None:
    clock, looks = ManualClock(), list[list[int]]()
    guard = MemoryGuard(clock, looks.append)
    clock.advance(10)
    assert looks == []
    guard.begin(1)
    guard.begin(2)
    clock.advance(PERIOD)
    assert looks == [[1, 2]]
    guard.end(1)
    clock.advance(PERIOD)
    assert looks[1:] == [[2]]
    guard.end(2)
    guard.end(2)
    clock.advance(10)
    assert looks[2:] == []
    guard.begin(3)
    guard.close()
    guard.close()
    clock.advance(10)
    assert looks[2:] == []


def test_memory_of_a_process_and_of_what_it_has_started() -> None:
    taken = b"x" * (64 * MEGABYTE)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # it has all of ours, and touches none of it
        os.write(write, b"x")
        signal.pause()
        os._exit(0)
    try:
        assert os.read(read, 1) == b"x"
        assert pid in below(os.getpid())
        both = resident_bytes(os.getpid())
        alone = resident_bytes(pid)
        assert alone > len(taken)
        assert both > 2 * len(taken)
        # What they have in common is had once.
        assert len(taken) < anonymous_bytes(os.getpid()) < both - len(taken) // 2
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)
    assert anonymous_bytes(2**22 + 1) == resident_bytes(2**22 + 1) == 0
