"""Whose the data directory is: what is refused, what is mended, and what is said of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samovar.errors import SettingsError
from samovar.stores.lock import DataDirectoryLock
from samovar.stores.privacy import examine, settle

NAMES = ("lock", "node-id", "samovar.db", "samovar.db-wal", "samovar.db-shm", "queue.db")
DIRECTORIES = ("code", "run", "logs")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def furnish(data_dir: Path, file_mode: int, directory_mode: int) -> list[Path]:
    """A data directory as an engine leaves it, with these rights."""
    for name in NAMES:
        (data_dir / name).touch()
        (data_dir / name).chmod(file_mode)
    for name in DIRECTORIES:
        (data_dir / name).mkdir()
        (data_dir / name).chmod(directory_mode)
    data_dir.chmod(directory_mode)
    return [data_dir, *data_dir.iterdir()]


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_what_is_open_is_mended_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = furnish(tmp_path, 0o664, 0o775)
    settle(tmp_path)
    assert {mode(path) for path in paths if path.is_dir()} == {0o700}
    assert {mode(path) for path in paths if path.is_file()} == {0o600}
    for path in paths:
        before = 0o775 if path.is_dir() else 0o664
        assert f"{path} was open to others (mode {before:04o}): mended" in said(caplog)
    caplog.clear()
    settle(tmp_path)
    assert said(caplog) == []


def test_of_what_is_private_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    furnish(tmp_path, 0o600, 0o700)
    settle(tmp_path)
    assert said(caplog) == []


@pytest.mark.parametrize("value", [0, 0o077])
def test_the_lock_s_directory_is_private_whatever_the_umask(tmp_path: Path, value: int) -> None:
    place = tmp_path / "data"
    with umask(value), DataDirectoryLock(place):
        assert mode(place) == 0o700
        assert mode(place / "lock") == 0o600


def test_what_is_not_the_engine_s_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    furnish(tmp_path, 0o644, 0o755)
    stranger = tmp_path / "notes.txt"
    stranger.touch()
    stranger.chmod(0o644)
    settle(tmp_path)
    assert mode(stranger) == 0o644
    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "samovar.db") == 0o600
    assert mode(tmp_path / "logs") == 0o700
    (told,) = [line for line in said(caplog) if "what is not the engine's" in line]
    assert told.startswith(f"{tmp_path} is open to others (mode 0755)")


@pytest.mark.parametrize("found", [0o775, 0o757, 0o1777])
def test_a_directory_that_others_write_to_and_use(tmp_path: Path, found: int) -> None:
    (tmp_path / "notes.txt").touch()
    tmp_path.chmod(found)
    with pytest.raises(SettingsError, match=rf"others may write to it \(mode {found:04o}\)"):
        DataDirectoryLock(tmp_path).acquire()
    assert mode(tmp_path) == found
    assert not (tmp_path / "lock").exists()


def test_what_the_file_system_put_there(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    tmp_path.chmod(0o755)
    settle(tmp_path)
    assert mode(tmp_path) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", [".", "samovar.db", "code"])
def test_what_belongs_to_others_is_refused(tmp_path: Path, name: str) -> None:
    furnish(tmp_path, 0o600, 0o755)
    os.chown(tmp_path / name, 12345, 12345)
    with pytest.raises(SettingsError) as caught:
        DataDirectoryLock(tmp_path).acquire()
    assert str(caught.value).startswith(
        f"data_dir='{tmp_path}': {tmp_path / name} belongs to uid 12345, must to uid 0"
    )
    assert mode(tmp_path) == 0o755 or name == "."  # nothing is changed where it is refused


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_lost_and_found_may_be_anybodys(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    os.chown(tmp_path / "lost+found", 12345, 12345)
    settle(tmp_path)


def test_a_link_that_leads_nowhere_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "code").symlink_to(tmp_path / "gone")
    assert examine(tmp_path).refusal is None
