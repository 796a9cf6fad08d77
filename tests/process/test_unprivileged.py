"""Engines without root's rights, and where namespaces are refused: real user namespaces."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.process.other_hosts import AS_USER, or_skip, without_namespaces
from tests.process.programs import document, run

from samovar.context.limiter import WALLS

REPORT = Path(__file__).with_name("engine_report.py")


# Root of a user namespace with 65,536 users and a pid namespace, in which there may be no further
# user namespace.
ROOT_WITHOUT_NAMESPACES = """
import ctypes, os, sys
inside, outside = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    assert ctypes.CDLL(None).unshare(0x10000000 | 0x20000000 | 0x20000) == 0
    os.write(inside[1], b"x")
    os.read(outside[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
    script = 'mount -t proc proc /proc && "$@"; exit $?'
    command = ["sh", "-c", script, "sh", *sys.argv[1:]]
    sys.exit(os.spawnvp(os.P_WAIT, command[0], command))
os.read(inside[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{pid}/{name}", "w") as file:
        file.write("0 0 65536")
os.write(outside[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def report(place: Path, command: Sequence[str]) -> dict[str, Any]:
    """What an engine run through `command` says of its walls and its function."""
    found = document(run(str(REPORT), str(place), through=command))
    assert found["error"] is None, found
    return found


@pytest.fixture
def unprivileged() -> tuple[str, ...]:
    """A command that runs another as a user who is not root and has no capabilities."""
    return or_skip(AS_USER)


def test_an_unprivileged_engine_has_all_walls(
    tmp_path: Path, unprivileged: tuple[str, ...]
) -> None:
    found = report(tmp_path, unprivileged)
    nothing_is_missing(found)
    assert "uid of its own" not in (*found["held"], *found["missing"])
    assert {"mount namespace", "private /tmp", "pid namespace"} <= set(found["held"])
    saw = found["saw"]
    assert saw["uid"] not in (0, 1000)
    assert saw["pid"] == 2  # pid 1 holds the namespace
    assert saw["capabilities"] == 0
    assert saw["no_new_privs"] == "1"
    assert "home" not in saw["root"]
    assert saw["seen"] == ""
    assert saw["layers"] == ["two", "/opt/python/tea.py"]
    restored_from_a_template(found)


def nothing_is_missing(found: dict[str, Any]) -> None:
    """Root outside of a user namespace is limited in nothing that is counted, and who is root in
    one says that it can't be others. Control groups are delegated to a user, or not."""
    expected = {"process limit"} if os.geteuid() == 0 else set()
    assert set(found["missing"]) - {"uid of its own"} - set(WALLS.values()) == expected


def restored_from_a_template(found: dict[str, Any]) -> None:
    """A published version's context has the walls that any has, and nothing more."""
    assert found["version"] == {"state": "Active", "reason": None}
    assert found["templates"] == 1
    changed = {"start": "snap-start"}
    if "pid namespace" in found["missing"]:
        changed["pid"] = found["restored"]["pid"]
    assert found["restored"] == found["saw"] | changed


def test_refused_namespaces_are_reported_and_functions_run(
    tmp_path: Path, unprivileged: tuple[str, ...]
) -> None:
    found = report(tmp_path, without_namespaces("mnt"))
    assert {"namespaces", "private /tmp", "pid namespace"} <= set(found["missing"])
    assert "unshare" in found["missing"]["namespaces"]
    assert "layers at /opt" in found["missing"]
    assert found["saw"]["layers"][0] == "two"
    assert found["saw"]["no_new_privs"] == "1"
    restored_from_a_template(found)


def test_where_user_namespaces_are_refused_versions_start_on_demand(tmp_path: Path) -> None:
    """Root's engine needs none for its contexts, but a template does."""
    if os.geteuid() != 0:
        pytest.skip("only root may have many users in a user namespace")
    found = report(tmp_path, [sys.executable, "-c", ROOT_WITHOUT_NAMESPACES])
    assert set(found["missing"]) == {"templates"}, found["missing"]
    assert "unshare(0x18020000): No space left" in found["missing"]["templates"]
    assert found["saw"]["pid"] == 2
    assert found["version"] == {"state": "Active", "reason": None}
    assert found["templates"] == 0
    assert found["restored"].pop("uid") != found["saw"].pop("uid")
    assert found["restored"] == found["saw"]
    assert found["saw"]["start"] == "on-demand"


def test_a_host_whose_env_ignores_no_signals_has_all_walls_too(tmp_path: Path) -> None:
    old = tmp_path / "env"
    old.write_text("#!/bin/sh\nexit 125\n")  # what a coreutils before 8.31 says to the option
    old.chmod(0o755)
    covered = f'mount --bind {old} /usr/bin/env && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", covered, "sh"]
    found = report(tmp_path, command)
    nothing_is_missing(found)
    assert "root's rights are refused here" in found["missing"]["uid of its own"]
    assert found["saw"]["pid"] == 2
    assert found["saw"]["capabilities"] == 0
    restored_from_a_template(found)
