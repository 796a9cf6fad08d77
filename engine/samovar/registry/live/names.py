"""Which names in a directory are nobody's code."""

from __future__ import annotations

import re

from samovar.registry.archives import SKIPPED

# Version control, caches and settings that tools write beside the code, and environments that a
# function could not import from anyway. To take them along would reload at every run of a linter.
_DIRECTORIES = SKIPPED | {
    ".hg",
    ".idea",
    ".mypy_cache",
    ".nox",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    ".vscode",
}
# What editors write beside a file while they save it: vim (its swap files, and the 4913 with which
# it tries a directory), Emacs (locks, auto-saves), backups with a tilde, JetBrains, gedit, KDE.
_TEMPORARY = re.compile(
    r"4913|\..*\.sw[a-z]|\.#.*|#.*#|.*~|.*___jb_(?:tmp|old)___|\.goutputstream-.*|.*\.kate-swp"
)


def is_ignored(name: str) -> bool:
    """Whether a file or directory of this name is left out of the copy, and its changes with it."""
    return name in _DIRECTORIES or _TEMPORARY.fullmatch(name) is not None
