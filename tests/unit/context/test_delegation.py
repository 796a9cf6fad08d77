"""Control groups that are ours to have: version 2 in directories that behave as the kernel's do."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tests.unit.context.pretend_groups import PretendGroups

from samovar.context.control_groups import Group
from samovar.context.delegation import Delegation, ask, ask_for
from samovar.context.limits import MEGABYTE, Limits
from samovar.settings import ControlGroups

NAME = f"samovar-0123456789abcdef-{os.getpid()}"
US = str(os.getpid())


def asked(
    own: Path, files: PretendGroups, wanted: ControlGroups = ControlGroups.AUTO
) -> Delegation:
    groups = {name: Group(2, own, own) for name in ("memory", "pids", "cpu")}
    return ask_for(groups, wanted, NAME, files)


def read(file: Path) -> str:
    return file.read_text().strip()


def test_a_group_of_our_own_is_divided(tmp_path: Path) -> None:
    """As in a unit with Delegate=yes: the engine moves, because a group that holds processes can't
    pass on controllers."""
    own = tmp_path / "unit"
    files = PretendGroups(own)
    files.write(own / "cgroup.procs", US)
    delegation = asked(own, files)
    assert delegation.missing == {}
    assert sorted(delegation.tree.controllers) == ["cpu", "memory", "pids"]
    assert read(own / f"samovar-engine-{US}" / "cgroup.procs") == US
    assert read(own / "cgroup.procs") == ""
    top = own / NAME
    assert read(top / "cpu.weight") == str(min(10_000, 100 * (os.cpu_count() or 1)))

    tree = delegation.tree
    tree.add(7)
    tree.join(7, os.getppid())
    tree.limit(7, Limits(128 * MEGABYTE, 672 * MEGABYTE, 128 / 1769))
    one = top / "7"
    assert read(one / "cgroup.procs").split()[0] == str(os.getppid())
    assert {
        name: read(one / name)
        for name in ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight", "pids.max")
    } == {
        "memory.max": str(672 * MEGABYTE),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.weight": "7",
        "pids.max": "1024",
    }
    assert read(one / "cpu.max") == "max 100000"
    tree.throttle(7, Limits(128 * MEGABYTE, 672 * MEGABYTE, 128 / 1769))
    assert read(one / "cpu.max") == "7236 100000"

    assert not tree.notifies
    (one / "memory.current").write_text(f"{300 * MEGABYTE}\n")
    (one / "memory.stat").write_text(f"anon {200 * MEGABYTE}\nfile 1\nanon_thp 5\n")
    assert tree.used(7) == 300 * MEGABYTE
    assert tree.usage(7) == (300 * MEGABYTE, 200 * MEGABYTE)
    assert tree.killed(7) == 0
    (one / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n")
    assert tree.killed(7) == 2

    for pid in read(one / "cgroup.procs").split():
        files.write(own / f"samovar-engine-{US}" / "cgroup.procs", pid)
    (own / f"samovar-engine-{US}" / "cgroup.procs").write_text(f"{US}\n")
    tree.remove(7)
    tree.remove(7)
    assert not one.exists()
    delegation.close()
    assert [path for path in own.iterdir() if path.is_dir()] == []
    assert read(own / "cgroup.procs") == US
    assert read(own / "cgroup.subtree_control") == ""


def test_other_programs_are_not_moved(tmp_path: Path) -> None:
    own = tmp_path / "session"
    files = PretendGroups(own)
    (own / "cgroup.procs").write_text(f"{US}\n1\n")
    delegation = asked(own, files)
    assert delegation.tree.controllers == []
    for reason in delegation.missing.values():
        assert "other processes are in this group, 1 for one" in reason
        assert "Delegate=yes" in reason
    assert [path for path in own.iterdir() if path.is_dir()] == []
    assert read(own / "cgroup.procs").split() == [US, "1"]


def test_what_is_passed_on_is_had(tmp_path: Path) -> None:
    own = tmp_path / "unit"
    files = PretendGroups(own, ("memory", "pids"))
    delegation = asked(own, files)
    assert sorted(delegation.tree.controllers) == ["memory", "pids"]
    assert "the controller is not passed on to this group" in delegation.missing["cpu"]
    assert (own / NAME / "memory.max").exists()  # what the one lacks costs the others nothing
    delegation.close()


def test_the_groups_of_the_dead_are_removed(tmp_path: Path) -> None:
    own = tmp_path / "unit"
    files = PretendGroups(own)
    gone = own / f"samovar-0123456789abcdef-{2**22 + 1}"  # beyond the kernel's largest pid
    lives = own / "samovar-0123456789abcdef-1"
    busy = own / f"samovar-fedcba9876543210-{2**22 + 1}"
    elsewhere = own / f"samovar-0000000000000000-{2**22 + 2}"  # of another pid namespace
    for group in (gone / "5", lives / "5", busy / "5", elsewhere / "5"):
        files.make(group)
    (busy / "5" / "cgroup.procs").write_text("1\n")
    lock = os.open(elsewhere, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked(own, files).close()
    finally:
        os.close(lock)
    assert not gone.exists()
    assert lives.exists()
    assert busy.exists()
    assert elsewhere.exists()


def test_the_setting_chooses_a_version(tmp_path: Path) -> None:
    own = tmp_path / "unit"
    files = PretendGroups(own)
    found = asked(own, files, ControlGroups.V1)
    assert found.tree.controllers == []
    assert found.missing["memory"] == "it is of version 2, and the setting cgroups is v1"
    found = asked(own, files, ControlGroups.V2)
    assert found.missing == {}
    found.close()
    off = ask(ControlGroups.OFF, NAME)
    assert off.tree.controllers == []
    assert set(off.missing.values()) == {"the setting cgroups is off"}
    off.close()


def test_a_kernel_without_control_groups() -> None:
    found = ask_for({}, ControlGroups.AUTO, NAME, PretendGroups.__new__(PretendGroups))
    assert set(found.missing.values()) == {"no control group has it"}
