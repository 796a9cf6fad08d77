"""One engine per data directory: an flock that dies with its holder, whatever kills it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from samovar.errors import DataDirectoryInUse, SettingsError
from samovar.stores import privacy

NAME = "lock"


class DataDirectoryLock:
    """Holds `<data_dir>/lock` from `acquire` (or `with`) until `release`.

    The file is never removed: a second engine could otherwise lock a new file of the same name
    while the first still holds the old one. It holds the pid of the last holder, for the message.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._fd: int | None = None

    def acquire(self) -> None:
        """Make the directory if need be (0700: functions' environments hold secrets) and lock it.

        Raises DataDirectoryInUse if another engine has it, be it in this very process, and
        SettingsError if it can't be made or written to, or is not this user's alone.
        """
        if self._fd is not None:
            raise RuntimeError("already acquired")
        path = self._data_dir / NAME
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            privacy.settle(self._data_dir)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"data_dir={str(self._data_dir)!r}: {error.strerror}; it must be a directory "
                "that this user may write to"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise DataDirectoryInUse(
                f"another engine (pid {holder or 'unknown'}) works on {self._data_dir}: stop it, "
                "or give this one a directory of its own with --data-dir or SAMOVAR_DATA_DIR"
            ) from error
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        except OSError:
            # The pid only serves the message; on a full disk the lock still holds.
            pass

    def release(self) -> None:
        """Let the directory go; idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
