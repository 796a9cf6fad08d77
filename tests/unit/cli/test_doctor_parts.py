"""What doctor makes of what it finds."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from samovar.doors.cli.doctor import disk, host, inside, kernel
from samovar.doors.cli.doctor.facts import Verdict
from samovar.doors.cli.doctor.trial import Start, Trial
from samovar.settings import Isolation, Network, Settings


@dataclass(frozen=True)
class Found:
    runtime: str = "python3.12"
    version: str = "3.12.1"
    executable: str = "/opt/python3.12"


@dataclass(frozen=True)
class Told:
    interpreters: tuple[Found, ...] = (Found(),)
    walls_held: tuple[str, ...] = ("pid namespace",)
    walls_missing: dict[str, str] = field(default_factory=dict)


SEEN: dict[str, Any] = {
    "uid": 51051,
    "euid": 51051,
    "capabilities": "0000000000000000",
    "bounding": "0000000000000000",
    "seccomp": "2",
    "no_new_privs": "1",
    "open_files": 1024,
    "core": 0,
    "tmp_size": 512 * 1024 * 1024,
    "tmp_files": [],
    "tmp_refused": "",
    "task_refused": "EROFS",
    "root_refused": "EROFS",
    "devices": ["null", "zero"],
    "processes": 2,
    "namespaces": {"mnt": "mnt:[1]", "pid": "pid:[1]", "ipc": "ipc:[1]", "uts": "uts:[1]"},
}


# inside


def test_walls_that_hold_are_fine() -> None:
    facts = inside.seen(Trial(Told(), SEEN, offline=["lo"], frozen=""), Settings())
    assert [fact.subject for fact in facts if fact.verdict is not Verdict.OK] == []


@pytest.mark.parametrize("trouble", [None, "the kernel shows its processes as S, not all"])
def test_a_context_that_does_not_stand_still_is_warned_of(trouble: str | None) -> None:
    facts = inside.seen(Trial(Told(), SEEN, offline=["lo"], frozen=trouble), Settings())
    (fact,) = [fact for fact in facts if fact.verdict is not Verdict.OK]
    assert (fact.subject, fact.verdict) == ("between invocations", Verdict.WARNING)
    assert fact.finding == (trouble or "runs on")


@pytest.mark.parametrize(
    ("seen", "subject"),
    [
        ({"uid": 0}, "user"),
        ({"euid": 0}, "user"),
        ({"capabilities": "0000000000000001"}, "rights"),
        ({"bounding": "0000000000000001"}, "rights"),
        ({"seccomp": "0"}, "system calls"),
        ({"no_new_privs": "0"}, "rights"),
        ({"tmp_size": 1024}, "its /tmp"),
        ({"tmp_files": ["x"]}, "its /tmp"),
        ({"tmp_refused": "EROFS"}, "its /tmp"),
        ({"task_refused": ""}, "code"),
        ({"root_refused": ""}, "system files"),
        ({"processes": 100}, "processes seen"),
        ({"devices": ["null", "sda"]}, "devices"),
        ({"open_files": 4096}, "open files"),
        ({"namespaces": {"mnt": os.readlink("/proc/self/ns/mnt"), "pid": "x"}}, "namespaces"),
    ],
)
def test_a_wall_that_gave_way_is_missing_unless_it_was_said_to(
    seen: dict[str, Any], subject: str
) -> None:
    found = {**SEEN, **seen}

    def verdicts(report: Told, settings: Settings) -> dict[str, Verdict]:
        facts = inside.seen(Trial(report, found, offline=["lo"], frozen=""), settings)
        return {f.subject: f.verdict for f in facts if f.verdict is not Verdict.OK}

    assert verdicts(Told(), Settings()) == {subject: Verdict.MISSING}
    refused = Told(walls_missing={"private /tmp": "EPERM"})
    assert verdicts(refused, Settings()) == {subject: Verdict.WARNING}
    left_out = Settings(isolation=Isolation.NONE)
    assert verdicts(Told(), left_out) == {subject: Verdict.WARNING}


def test_a_host_without_templates_is_warned_of_and_nothing_else_excused_by_it() -> None:
    report = Told(walls_missing={"templates": "unshare: ENOSPC"})
    (fact,) = [fact for fact in inside.walls(report, Settings()) if fact.verdict is not Verdict.OK]
    assert (fact.subject, fact.verdict) == ("wall: templates", Verdict.WARNING)
    facts = inside.seen(Trial(report, {**SEEN, "uid": 0}, frozen=""), Settings())
    assert Verdict.MISSING in {fact.verdict for fact in facts}


def test_a_namespace_that_was_refused_by_itself_excuses_no_other() -> None:
    shared = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("ipc", "pid")}
    found = {**SEEN, "namespaces": {**SEEN["namespaces"], "ipc": shared["ipc"]}}
    report = Told(walls_missing={"ipc namespace": "unshare: ENOSPC"})
    facts = inside.seen(Trial(report, found, offline=["lo"], frozen=""), Settings())
    assert {fact.verdict for fact in facts} == {Verdict.OK}
    found["namespaces"] |= {"pid": shared["pid"]}
    facts = inside.seen(Trial(report, found, offline=["lo"], frozen=""), Settings())
    bad = [fact for fact in facts if fact.verdict is not Verdict.OK]
    assert [(fact.subject, fact.verdict) for fact in bad] == [("namespaces", Verdict.MISSING)]
    assert bad[0].finding.startswith("shares pid with")


@pytest.mark.parametrize(
    ("settings", "verdict", "advice"),
    [
        (Settings(), Verdict.WARNING, "would have functions refused"),
        (Settings(network=Network.NONE), Verdict.MISSING, "here are refused: all functions"),
        (Settings(offline_functions=("a", "b")), Verdict.MISSING, "here are refused: a, b"),
    ],
)
def test_a_host_that_can_not_do_without_a_network(
    settings: Settings, verdict: Verdict, advice: str
) -> None:
    report = Told(walls_missing={"network namespace": "unshare: ENOSPC"})
    (fact,) = [one for one in inside.walls(report, settings) if one.verdict is not Verdict.OK]
    assert (fact.subject, fact.verdict) == ("wall: network namespace", verdict)
    assert advice in fact.advice


@pytest.mark.parametrize(
    ("offline", "missing", "finding", "verdict"),
    [
        (["lo"], {}, "interfaces seen: lo", Verdict.OK),
        (["eth0", "lo"], {}, "interfaces seen: eth0, lo", Verdict.MISSING),
        (None, {}, "it did not run", Verdict.MISSING),
        (None, {"network namespace": "ENOSPC"}, "refused, as the wall is missing", Verdict.OK),
        (["eth0"], {"network namespace": "ENOSPC"}, "interfaces seen: eth0", Verdict.MISSING),
    ],
)
def test_what_a_function_without_a_network_saw(
    offline: list[str] | None, missing: dict[str, str], finding: str, verdict: Verdict
) -> None:
    facts = inside.seen(Trial(Told(walls_missing=missing), SEEN, offline=offline), Settings())
    (fact,) = [one for one in facts if one.subject == "without a network"]
    assert (fact.finding, fact.verdict) == (finding, verdict)


def test_a_payload_that_is_lost_is_missing() -> None:
    fact = inside.seen(Trial(Told(), SEEN, payload="it came back empty", frozen=""), Settings())[-1]
    assert (fact.verdict, fact.finding) == (Verdict.MISSING, "it came back empty")


def test_an_interpreter_is_judged_by_its_cold_start() -> None:
    def verdict(start: Start) -> Verdict:
        trial = Trial(Told(), starts={"python3.12": start}, boto3={"python3.12": Start(0.01)})
        facts = inside.interpreters(trial)
        assert [fact.subject for fact in facts] == ["python3.12", "python3.12 with boto3"]
        assert facts[1].verdict is Verdict.OK
        return facts[0].verdict

    assert verdict(Start(0.002)) is Verdict.OK
    assert verdict(Start(inside.SLOW_START * 2)) is Verdict.WARNING
    assert verdict(Start(problem="no fork")) is Verdict.MISSING


# kernel and disk


def test_a_limit_that_does_not_hold_is_told() -> None:
    found = [Trial(Told(), SEEN, memory=memory) for memory in ("Runtime.OutOfMemory", "nothing")]
    facts = [inside.seen(trial, Settings())[-2] for trial in found]
    assert [fact.subject for fact in facts] == ["200 MB of 128"] * 2
    assert [fact.verdict for fact in facts] == [Verdict.OK, Verdict.MISSING]
    report = Told(walls_missing={"memory limit": "not delegated"})
    (fact,) = [fact for fact in inside.walls(report, Settings()) if fact.verdict is not Verdict.OK]
    assert fact.verdict is Verdict.WARNING
    assert "Delegate=yes" in fact.advice
    # What is held anyway is excused by it no more than before.
    facts = inside.seen(Trial(report, {**SEEN, "uid": 0}), Settings())
    assert Verdict.MISSING in {fact.verdict for fact in facts}


def test_the_kernel_has_what_samovar_rests_on() -> None:
    facts = {fact.subject: fact.verdict for fact in kernel.look()}
    assert facts["sealed memory"] is Verdict.OK
    assert facts["process descriptors"] is Verdict.OK
    assert "file watches" in facts


def test_what_the_kernel_refuses_is_missing() -> None:
    def refuse() -> str:
        raise PermissionError(1, "Operation not permitted")

    fact = kernel._tried("x", refuse)
    assert (fact.verdict, fact.finding) == (Verdict.MISSING, "Operation not permitted")


def test_the_disk_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    facts = disk.look(tmp_path / "not" / "yet")
    assert [fact.subject for fact in facts] == ["SQLite", "file locks", "sync to disk"]
    assert facts[0].verdict is facts[1].verdict is Verdict.OK
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_not_be_written_to_is_missing() -> None:
    (fact,) = disk.look(Path("/proc/samovar"))
    assert fact.verdict is Verdict.MISSING
    assert "--data-dir" in fact.advice


def test_a_slow_disk_is_a_warning() -> None:
    assert disk.judged_sync(disk.SLOW_SYNC).verdict is Verdict.OK
    assert disk.judged_sync(disk.SLOW_SYNC * 2).verdict is Verdict.WARNING


# port and clock


def test_a_port_is_free_or_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.listen()
        listener.settimeout(10)
        listener.close()
        assert host.port("127.0.0.1", port).verdict is Verdict.OK
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fact = host.port("127.0.0.1", listener.getsockname()[1])
    assert fact.verdict is Verdict.WARNING
    assert "--port" in fact.advice
    assert host.port("127.0.0.1", 0).finding == "the system chooses one"


def test_the_clock_is_compared_with_samovars_own_files() -> None:
    assert host.clock().verdict is Verdict.OK
