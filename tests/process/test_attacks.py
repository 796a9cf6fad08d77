"""Every attack of `tests/attacks` fails by name, and a neighbour of it notices nothing.

As root, as a user without rights, and where namespaces are refused: what is promised differs, and
docs/security.md says how («What attacks come to»).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.attacks import ALL
from tests.process.other_hosts import AS_USER, or_skip, without_namespaces
from tests.process.programs import document, run

PATIENCE = 180.0  # seconds; only what hangs takes them

EXIT, TIMEOUT, MEMORY = "Runtime.ExitError", "Sandbox.Timedout", "Runtime.OutOfMemory"
Ends = Mapping[str, Any]


def of_processes(look: str, signal: str, seen: str) -> Ends:
    """`look`: how it ends to open another process's files; `signal`: to signal it."""
    ends = {"processes seen": seen, "descriptor of pid 1": "EPERM"}
    for who in ("neighbour", "zygote", "engine"):
        for what in ("environment", "files", "root", "memory"):
            ends[f"{what} of the {who}"] = look
        ends[f"memory of the {who} by readv"] = ends[f"ptrace the {who}"] = "EPERM"
        ends[f"signal the {who}"] = signal
    return ends


KERNEL = ("bpf", "perf", "keyctl", "io_uring", "userfaultfd", "reboot", "module", "kexec")
MOUNTS = dict.fromkeys(
    ("mount", "unmount", "user namespace", "mount namespace", "chroot", "device", "host name"),
    "EPERM",
)
# What it comes to within walls, of an engine without rights.
WALLED: Ends = {
    "another_program": EXIT,
    "at_exit": TIMEOUT,
    "closed_pipes": EXIT,
    "daemon": TIMEOUT,
    "daemon_that_stays": EXIT,
    "data_directory": dict.fromkeys(("list", "records", "code of another", "home"), "ENOENT"),
    "deaf": TIMEOUT,
    "descriptors": {"open": "EMFILE"},
    "fill_tmp": {"fill": "ENOSPC"},
    "flood": {"written": "done"},
    "fork_bomb": {"fork": "EAGAIN"},
    "kernel": dict.fromkeys((*KERNEL, "syslog", "clock"), "EPERM"),
    "memory_bomb": MEMORY,
    "memory_creep": MEMORY,
    "mounts": MOUNTS | {"enter another's": "ENOENT", "setuid": "EINVAL"},
    "others_processes": of_processes("ENOENT", "ESRCH", "its own"),
    # It is of the same user, and the kernel keeps a namespace's pid 1 from signals of its own.
    "pid_one": {"signal": "done", "alive": "done"},
    "preload": {"own child": "runs"},
    "raw_bytes": {"written": "done"},
    "sleep_in_c": TIMEOUT,
    # The network is the host's.
    "sockets": {
        "abstract": "done",
        "by path": "ENOENT",
        "loopback": "done",
        "raw": "EPERM",
        "packets": "EPERM",
    },
    "spin": TIMEOUT,
    "threads_that_stay": {"started": "done"},
    "tracing": "RuntimeError",
    "writes": {
        **dict.fromkeys(("root", "etc", "usr", "own code"), "EROFS"),
        "data directory": "ENOENT",
        "sysctl": "ENOENT",
        "tmp": "done",
    },
}
# Where root's engine differs: its contexts are of another user than pid 1.
OF_ROOT: Ends = {
    "mounts": WALLED["mounts"] | {"setuid": "EPERM"},
    "pid_one": {"signal": "EPERM", "alive": "EPERM"},
}
# Where namespaces are refused: functions see, and may do, what the engine's user does.
OPEN: Ends = {
    "data_directory": dict.fromkeys(("list", "records", "code of another", "home"), "done"),
    "fill_tmp": {"fill": "done"},
    "mounts": WALLED["mounts"] | {"enter another's": "EPERM"},
    "others_processes": of_processes("done", "done", "others"),
    "sockets": WALLED["sockets"] | {"by path": "done"},
    # «etc» and the like as the engine's user may.
    "writes": {
        **dict.fromkeys(("root", "etc", "usr", "own code", "data directory"), "done"),
        "sysctl": "ENOENT",
        "tmp": "done",
    },
}
# What the host's own settings decide.
HOSTS = {"memory of the neighbour", "memory of the zygote", "memory of the engine"}


def attacked(
    place: Path, command: tuple[str, ...], *attacks: str, **settings: str
) -> dict[str, Any]:
    """What an engine that is run through `command` says became of each attack, or of these;
    `settings` as variables."""
    place.chmod(0o755)
    program = ("-m", "tests.process.attack_program", str(place), *attacks)
    return document(run(*program, through=command, patience=PATIENCE, **settings))


def held(found: dict[str, Any], expected: Ends) -> None:
    # As docs/security.md says; the bomb is a small one.
    if {"process limit", "processes per context"} <= found["missing"].keys():
        expected = {**expected, "fork_bomb": {"fork": "done"}}
    assert set(found["attacks"]) == set(ALL) == set(expected)
    for name, said in found["attacks"].items():
        assert said["wrong"] == "", name
        assert said["end"] == expected[name], name


def test_against_an_engine_of_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is for root")
    held(attacked(tmp_path, ()), {**WALLED, **OF_ROOT})


def test_against_an_engine_of_another_user(tmp_path: Path) -> None:
    held(attacked(tmp_path, or_skip(AS_USER)), WALLED)


@pytest.mark.parametrize("user", ["root", "another user"])
def test_against_a_network_that_is_none(tmp_path: Path, user: str) -> None:
    if user == "root" and os.geteuid() != 0:
        pytest.skip("this is for root")
    command = () if user == "root" else or_skip(AS_USER)
    found = attacked(tmp_path, command, "sockets", "mounts", SAMOVAR_NETWORK="none")
    unreached = {"abstract": "ECONNREFUSED", "loopback": "ECONNREFUSED"}
    assert found["attacks"]["sockets"] == {"end": WALLED["sockets"] | unreached, "wrong": ""}
    ends = (OF_ROOT if user == "root" else WALLED)["mounts"]
    assert found["attacks"]["mounts"] == {"end": ends, "wrong": ""}


def test_where_namespaces_are_refused(tmp_path: Path) -> None:
    """Nothing of the table's last column is more than what is written there."""
    found = attacked(tmp_path, or_skip(without_namespaces("mnt")))
    # Whether processes of one user may read each other's memory, Yama decides (ptrace_scope).
    for name in HOSTS:
        assert found["attacks"]["others_processes"]["end"].pop(name) in ("done", "EACCES", "EIO")
    expected = {**WALLED, **OPEN}
    expected["others_processes"] = {
        name: end for name, end in OPEN["others_processes"].items() if name not in HOSTS
    }
    if os.geteuid() != 0:
        for name in ("root", "etc", "usr"):
            expected["writes"] = expected["writes"] | {name: "EACCES"}
    held(found, expected)
