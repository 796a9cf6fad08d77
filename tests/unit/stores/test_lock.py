"""One engine per data directory, told apart from a dead one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from samovar.errors import DataDirectoryInUse, SettingsError
from samovar.stores.lock import DataDirectoryLock

HOLDER = """
import sys, time
from pathlib import Path
from samovar.stores.lock import DataDirectoryLock
DataDirectoryLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_makes_a_private_directory(tmp_path: Path) -> None:
    with DataDirectoryLock(tmp_path / "a" / "data"):
        assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700
        assert (tmp_path / "a" / "data" / "lock").read_text() == f"{os.getpid()}\n"


def test_a_second_engine_in_this_process(tmp_path: Path) -> None:
    second = DataDirectoryLock(tmp_path)
    with DataDirectoryLock(tmp_path):
        with pytest.raises(DataDirectoryInUse, match=f"pid {os.getpid()}.*--data-dir"):
            second.acquire()
        second.release()  # gives up nothing that the first holds
        with pytest.raises(DataDirectoryInUse):
            second.acquire()
    second.acquire()
    second.release()
    second.release()


def test_a_killed_engine_in_another_process(tmp_path: Path, checkout: Path) -> None:
    paths = os.pathsep.join([str(checkout / "engine"), str(checkout / "workers")])
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataDirectoryInUse, match=f"pid {holder.pid}"):
            DataDirectoryLock(tmp_path).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with DataDirectoryLock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_what_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="data_dir="):
        DataDirectoryLock(tmp_path / "file").acquire()
