"""The benchmark harness with real contenders: they answer truly, and nothing of them stays."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import psutil
import pytest
from benchmarks import harness, processes
from benchmarks.event import EVENT
from benchmarks.figures.contenders import floor, peer, samovar
from benchmarks.harness import Contender, Figure, Placement, Probe
from benchmarks.measures import Metric, Role
from benchmarks.peers import python
from benchmarks.probes.cold import ColdRequests, ForkBurst, Forks
from benchmarks.probes.embedded import Calls
from benchmarks.probes.http import OneConnection, connect, read_reply, request_bytes
from benchmarks.probes.idle import IdleMemory
from benchmarks.probes.provisioned import FirstCalls
from benchmarks.remote import ContenderError, Remote, UnavailableError

ONE = partial(Calls, in_flight=1)
MANY = partial(Calls, in_flight=8)
LOOP = "benchmarks.floors.bare_loop:EmbeddedLoop"


def figure(*contenders: Contender, placements: tuple[Placement, ...] = (Placement.FREE,)) -> Figure:
    return Figure(
        "name", "Title", Metric.P50, contenders, (), rounds=2, batch=8, warm_up=1,
        placements=placements,
    )  # fmt: skip


def run(asked: Figure) -> harness.Result:
    return harness.run(asked, random.Random(0), lambda: None)


@pytest.mark.parametrize("probe", [ONE, MANY], ids=["one", "many"])
@pytest.mark.parametrize(
    "invite",
    [
        partial(floor, "loop", "bare_loop:EmbeddedLoop", workers=2),
        partial(peer, "pool", "pools:MultiprocessingPool"),
        partial(peer, "executor", "pools:Executor"),
    ],
    ids=["loop", "pool", "executor"],
)
def test_embedded_contenders(
    invite: Callable[..., Contender], probe: Callable[[Remote], Probe]
) -> None:
    result = run(figure(invite(probe=probe)))
    assert result.failure is None
    (summary,) = result.summaries[Placement.FREE].values()
    assert summary.count == 16
    assert summary.p50 is not None
    assert 0 < summary.engine_cpu <= summary.tree_cpu


@pytest.mark.parametrize(
    ("subject", "options"),
    [("bare_loop:BareLoop", {"workers": 2}), ("canned:CannedReply", {})],
    ids=["bare loop", "canned"],
)
def test_http_contenders(subject: str, options: dict[str, int]) -> None:
    result = run(figure(floor("floor", subject, OneConnection, **options)))
    assert result.failure is None
    assert result.summaries[Placement.FREE]["floor"].count == 16


@pytest.mark.skipif(os.geteuid() != 0, reason="the walled fork floor needs root")
def test_the_walled_floor() -> None:
    with Remote("benchmarks.floors.walled_fork:WalledFork", {}) as remote:
        assert len(Forks(remote).measure(3).latencies) == 3
        assert ForkBurst(remote).measure(3).elapsed >= 1.0  # each sleeps for its second
        assert remote.ask("fill", count=2) == 2
        assert remote.ask("fill", count=5) == 5
        family = processes.tree(remote.pid)
        assert len(family) == 6
        assert processes.proportional_set_size(family) > 0
        walled = psutil.Process(family[-1])
        assert walled.uids().real == 51051
        ours = os.readlink("/proc/self/ns/pid"), os.readlink("/proc/self/ns/mnt")
        theirs = tuple(os.readlink(f"/proc/{walled.pid}/ns/{kind}") for kind in ("pid", "mnt"))
        assert not set(ours) & set(theirs)
        remote.ask("empty")
        assert len(processes.tree(remote.pid)) == 1


def test_samovar_itself() -> None:
    result = run(
        figure(
            samovar(ONE),
            samovar(MANY, name="two contexts", role=Role.VARIANT, contexts=2),
            samovar(ONE, name="pure", role=Role.VARIANT, pure_msgpack=True),
            samovar(OneConnection, name="http", role=Role.VARIANT, http=True),
            samovar(ColdRequests, name="cold", role=Role.VARIANT, http=True, cold_functions=20),
        )
    )
    assert result.failure is None
    assert not result.missing
    assert {summary.count for summary in result.summaries[Placement.FREE].values()} == {16}


def test_first_calls_of_provisioned_contexts() -> None:
    first = partial(FirstCalls, contexts=16)
    result = run(
        replace(
            figure(
                samovar(first, provisioned=16),
                samovar(partial(first, again=True), name="w", role=Role.VARIANT, provisioned=16),
            ),
            warm_up=0,
        )
    )
    assert result.failure is None
    assert {summary.count for summary in result.summaries[Placement.FREE].values()} == {16}


def test_idle_contexts() -> None:
    with Remote("benchmarks.engine_subject:EngineSubject", {"contexts": 10}) as remote:
        batch = IdleMemory(remote).measure(5)
    assert batch.size is not None
    assert batch.size > 0
    assert batch.extra["added_bytes"] > 0


def test_pinning_ends_with_the_batch() -> None:
    before = os.sched_getaffinity(0)
    contender = floor("loop", "bare_loop:EmbeddedLoop", ONE, workers=1)
    result = run(figure(contender, placements=(Placement.FREE, Placement.PINNED)))
    assert set(result.summaries) == {Placement.FREE, Placement.PINNED}
    assert os.sched_getaffinity(0) == before


def test_pinning_reaches_the_whole_tree() -> None:
    with Remote(LOOP, {"workers": 2}) as remote:
        one = {max(os.sched_getaffinity(0))}
        processes.confine(remote.tree(), one)
        assert len(remote.tree()) == 3
        assert all(os.sched_getaffinity(pid) == one for pid in remote.tree())


def test_cpu_counts_what_was_done() -> None:
    with Remote(LOOP, {"workers": 1}) as remote:
        before = processes.cpu(remote.tree())
        remote.ask("calls", payload=EVENT, count=500, in_flight=1)
        assert processes.cpu(remote.tree()) > before


def test_a_contender_that_can_not_take_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(python.VARIABLE, "/bin/false")
    present = floor("loop", "bare_loop:EmbeddedLoop", ONE, workers=1)
    absent = peer("framework", "functions_framework:FunctionsFramework", OneConnection)
    result = run(figure(absent, present))
    assert list(result.summaries[Placement.FREE]) == ["loop"]
    assert "pip install functions-framework" in result.missing["framework"]


def test_a_contender_that_breaks_down_is_named() -> None:
    class Killer:
        def __init__(self, remote: Remote) -> None:
            os.kill(remote.tree()[0], 9)
            self._remote = remote

        def measure(self, count: int) -> object:
            return self._remote.ask("calls", payload=EVENT, count=count, in_flight=1)

        def close(self) -> None:
            return None

    broken = floor("victim", "bare_loop:EmbeddedLoop", Killer, workers=1)  # type: ignore[arg-type]
    result = run(figure(broken))
    assert result.failure is not None
    assert result.failure.startswith("victim: ")


def test_an_error_in_a_command_comes_back_whole() -> None:
    with (
        Remote(LOOP, {"workers": 1}) as remote,
        pytest.raises(ContenderError, match="KeyError: 'nothing'"),
    ):
        remote.ask("nothing")


def test_a_subject_that_does_not_exist() -> None:
    with pytest.raises(ContenderError, match=r"No module named 'benchmarks\.nowhere'"):
        Remote("benchmarks.nowhere:Nobody", {}).__enter__()


def test_a_wrong_answer_is_no_answer() -> None:
    with (
        Remote("benchmarks.floors.bare_loop:BareLoop", {"workers": 1}) as remote,
        connect(remote.port) as connection,
        pytest.raises(ContenderError),
    ):
        # not JSON: the worker dies, and with it the server
        connection.sendall(request_bytes("noop", b"not JSON"))
        read_reply(connection)


def test_stopping_leaves_nobody() -> None:
    with Remote(LOOP, {"workers": 2}) as remote:
        family = remote.tree()
        assert len(family) == 3
    assert not [pid for pid in family if psutil.pid_exists(pid)]


def test_unavailable_is_not_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(python.VARIABLE, "/bin/false")
    with pytest.raises(UnavailableError, match=python.VARIABLE):
        Remote("benchmarks.peers.runtime_api:RuntimeInterface", {"runtimes": 1}).__enter__()


def test_the_event_is_a_hundred_bytes() -> None:
    assert len(EVENT.encode()) == 100
    assert isinstance(json.loads(EVENT), dict)
