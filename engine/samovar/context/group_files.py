"""The kernel's files of control groups: all that is done to them goes through here."""

from __future__ import annotations

import os
from pathlib import Path

_ENOUGH = 16384  # bytes: a group's memory.stat has at most 4 KB


class GroupFiles:
    """A directory that is made is a group, and has the kernel's files at once. Everything raises
    OSError, and may wait for the kernel."""

    def make(self, group: Path) -> None:
        """Again, if it is there."""
        group.mkdir(parents=True, exist_ok=True)

    def remove(self, group: Path) -> None:
        """EBUSY while somebody is in it; its files need no removal."""
        group.rmdir()

    def read(self, file: Path) -> bytes:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _ENOUGH)
        finally:
            os.close(fd)

    def write(self, file: Path, text: str) -> None:
        fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)  # never made: these files are the kernel's
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def write_if_there(self, file: Path, text: str) -> None:
        """As `write`, where the kernel has such a file."""
        try:
            self.write(file, text)
        except FileNotFoundError:
            pass

    def remove_tree(self, top: Path) -> bool:
        """Remove a group and those below it, as far as no process is in them; whether it is gone.
        Raises nothing."""
        try:
            inner = [path for path in top.iterdir() if path.is_dir()]
        except OSError:
            return not top.exists()
        for path in inner:
            self.remove_tree(path)
        try:
            self.remove(top)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
