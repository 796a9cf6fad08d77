"""Tests that leak, each in its own way; run by test_leak_check.py in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.prepared import Prepared

kept: list[object] = []
FOREVER = "import signal; signal.pause()"


def test_process() -> None:
    kept.append(subprocess.Popen([sys.executable, "-c", FOREVER, "left-child"]))


def test_orphan() -> None:
    # A session of its own, and its parent is gone at once: only adoption finds it.
    parent = "import subprocess, sys; subprocess.Popen([sys.executable, *sys.argv[1:]])"
    subprocess.run(
        [sys.executable, "-c", parent, "-c", FOREVER, "left-orphan"],
        check=True,
        start_new_session=True,
    )


def test_prepared(prepared: None, tmp_path: Path) -> None:
    # What the system calls by the name of the process that it was forked from.
    program = tmp_path / "left_program.py"
    program.write_text(FOREVER)
    kept.append(Prepared([str(program)]))


def test_zombie() -> None:
    # Dead, but its parent lives and does not reap it.
    source = "import os; os.fork() or os._exit(0); print(flush=True); " + FOREVER
    parent = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    kept.append(parent)


def test_descriptor(tmp_path: Path) -> None:
    kept.append((tmp_path / "left-descriptor").open("w"))


def test_thread() -> None:
    thread = threading.Thread(target=threading.Event().wait, name="left-thread", daemon=True)
    thread.start()


def test_file() -> None:
    (Path(tempfile.gettempdir()) / "left-file").write_text("")


def test_child_that_uses_tmpdir() -> None:
    (Path(os.environ["TMPDIR"]) / "left-file-of-child").write_text("")


def test_mount(tmp_path: Path) -> None:
    if os.environ.get("MAY_MOUNT"):
        place = tmp_path / "left-mount"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)


@pytest.fixture(scope="session")
def wide() -> Iterator[None]:
    kept.append(os.pipe())
    yield


def test_wide_fixture(wide: None) -> None:
    pass


def test_clean(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    subprocess.run([sys.executable, "-c", ""], check=True)
    thread = threading.Thread(target=threading.Event().wait, args=(0.2,))
    thread.start()  # ends by itself: awaited, not reported


def test_last() -> None:
    """What the session leaves behind is told with the last test."""
