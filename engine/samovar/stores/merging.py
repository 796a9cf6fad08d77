"""Several trees laid over each other without copying them: what layers become at /opt."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

# What a file system says that has no hard links, or no more of them for one file.
_NO_LINK = frozenset({errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV})


def merged_name(hashes: Sequence[str]) -> str:
    """The name under which the trees of `hashes`, in this order, are kept merged."""
    return hashlib.sha256(b"merged:" + ",".join(hashes).encode()).hexdigest()


def lay_over(below: Path, tree: Path) -> None:
    """Put everything of `tree` on top of what the directory `below` has.

    Files are hard links to those of `tree`, or copies where there are none to be had. What is in
    the way of a name goes, a link to a directory too: nothing is written through one.
    """
    for entry in os.scandir(tree):
        target = below / entry.name
        if entry.is_dir(follow_symlinks=False):
            if target.is_symlink() or not target.is_dir():
                _clear(target)
                target.mkdir()
                target.chmod(0o755)  # mkdir's mode goes through the umask
            lay_over(target, Path(entry.path))
        else:
            _clear(target)
            _link(entry.path, target)


def size_of(tree: Path) -> int:
    """Bytes of all files below `tree`; of a link, its text."""
    total = 0
    for entry in os.scandir(tree):
        if entry.is_dir(follow_symlinks=False):
            total += size_of(Path(entry.path))
        else:
            total += entry.stat(follow_symlinks=False).st_size
    return total


def _clear(target: Path) -> None:
    if target.is_symlink() or not target.is_dir():
        target.unlink(missing_ok=True)
    else:
        shutil.rmtree(target)


def _link(source: str, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
