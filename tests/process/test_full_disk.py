"""A whole engine on a disk that is really full, in a mount namespace that ends with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.process.programs import CHECKOUT, document, run

from samovar.settings import Isolation

PROGRAM = str(CHECKOUT / "tests" / "process" / "full_disk_program.py")


@pytest.fixture
def private() -> list[str]:
    """A command that runs another as root of a mount namespace of its own."""
    command = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this host gives unprivileged users no user namespaces")
    return command


def test_a_full_disk(tmp_path: Path, isolation: Isolation, private: list[str]) -> None:
    """It is named, nothing is half there, the engine goes on, and with room again so does
    creating."""
    place = tmp_path / "data"
    done = run(PROGRAM, str(place), str(isolation), through=private)
    said = document(done)
    assert said["before"] == ['{"a": 1}', "cold"]
    full = (
        f"The disk that holds {place / 'code'} is full (or its quota is used up): nothing was "
        "changed. Free some space, or start with another --data-dir."
    )
    assert said["create"] == ["ServiceException", 500, full]
    assert said["half"] == ["ServiceException", 500, full]
    assert said["get"][:2] == ["ResourceNotFoundException", 404]
    assert said["left"] == []
    assert said["functions"] == ["f", "h"]
    assert said["warm"] == ['{"a": 1}', "warm"]
    assert said["cold"] == ['{"a": 1}', "cold"]
    assert said["created"] == "Pending"
    assert said["dropped"] == ["LOGS_DROPPED Records: 3"]
    assert done.stderr.count("logs can't be written to") == 1
    assert said["after"] == ['{"a": 1}', "cold"]
