"""Our own control groups, from the kernel's texts."""

from __future__ import annotations

from pathlib import Path

from samovar.context.control_groups import Group, own_groups

TOP = Path("/sys/fs/cgroup")
V1 = """\
36 32 0:31 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
37 32 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
38 32 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
39 32 0:34 / /sys ro - sysfs sysfs ro
"""


def test_our_own_groups_are_found_in_version_1() -> None:
    found = own_groups("4:memory:/nowhere/x\n2:cpu,cpuacct:/\n0::/\n", V1)
    # A group that is out of sight is looked for at the top of what is in sight.
    assert found["memory"] == Group(1, TOP / "memory", TOP / "memory")
    assert found["cpu"] == Group(1, TOP / "cpu,cpuacct", TOP / "cpu,cpuacct")
    assert found["pids"].version == 2  # not taken by version 1


def test_our_own_group_is_found_in_version_2_within_what_a_container_sees(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    mounts = f"38 32 0:33 /docker/abc {tmp_path} rw - cgroup2 cgroup2 rw,nsdelegate\n"
    found = own_groups("0::/docker/abc/inner\n", mounts)
    assert set(found.values()) == {Group(2, tmp_path / "inner", tmp_path)}
    assert set(found) == {"memory", "pids", "cpu"}


def test_without_a_hierarchy_there_is_no_group() -> None:
    assert own_groups("0::/\n", "") == {}


def test_the_groups_above_ours_end_with_the_mount() -> None:
    group = Group(2, TOP / "a" / "b", TOP)
    assert group.upwards() == [TOP / "a" / "b", TOP / "a", TOP]
    assert Group(2, TOP, TOP).upwards() == [TOP]
    # Whatever the texts said: what is not below the mount has nothing above it that we could read.
    assert Group(2, Path("/elsewhere/b"), TOP).upwards() == [Path("/elsewhere/b")]
