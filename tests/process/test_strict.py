"""Engines that would rather not start than do without a wall."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process.other_hosts import or_skip, without_namespaces
from tests.process.programs import run, serve
from tests.process.test_unprivileged import ROOT_WITHOUT_NAMESPACES

EMBEDDED = """
import asyncio, sys
from samovar.engine import Engine
from samovar.errors import WallsMissing
from samovar.settings import Settings

async def main():
    try:
        async with Engine(Settings(data_dir=sys.argv[1], isolation="strict", spares=1)):
            print("runs")
    except WallsMissing as error:
        print(*sorted(error.missing), sep=", ")

asyncio.run(main())
"""


def refused(kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of this interpreter's, where namespaces of one kind are refused."""
    return run(*arguments, through=or_skip(without_namespaces(kind)))


def test_a_strict_engine_does_not_start_without_namespaces(tmp_path: Path) -> None:
    ended = refused("mnt", *serve(tmp_path / "data", "strict"))
    assert ended.returncode == 7
    assert ended.stdout == ""
    assert "isolation is strict, and walls are missing on this host: namespaces (" in ended.stderr
    assert "`samovar doctor` tries each" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_one_wall_is_enough(tmp_path: Path) -> None:
    """It is the only one that is refused, and others do without it."""
    ended = refused("ipc", *serve(tmp_path / "data", "strict"))
    assert ended.returncode == 7
    assert "ipc namespace (" in ended.stderr


def test_an_embedding_program_has_an_error_of_its_own(tmp_path: Path) -> None:
    ended = refused("ipc", "-c", EMBEDDED, str(tmp_path / "data"))
    assert ended.returncode == 0, ended.stderr
    assert "ipc namespace" in ended.stdout.strip().split(", ")


def test_where_only_templates_are_refused_a_strict_engine_runs(tmp_path: Path) -> None:
    """No context needs them; which wall it is that templates need, the host refuses them."""
    if os.geteuid() != 0:
        pytest.skip("only root needs no user namespaces for contexts")
    ended = refused("user", "-c", EMBEDDED, str(tmp_path / "data"))
    assert ended.stdout == "namespaces\n", ended.stderr  # root of a namespace needs one more
    plain = (sys.executable, "-c", ROOT_WITHOUT_NAMESPACES)
    ended = run("-c", EMBEDDED, str(tmp_path / "data"), through=plain)
    assert ended.stdout == "runs\n", ended.stderr
