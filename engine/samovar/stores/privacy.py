"""The data directory is its owner's alone: functions' environments, code and logs are in it.

As ssh does with its files: what belongs to somebody else is refused, and the rights of what is ours
are mended. What is made there later is made private by whoever makes it, whatever the umask.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samovar.errors import SettingsError

_log = logging.getLogger("samovar.stores")

# What an engine keeps there; databases have others beside them while they are open.
_OURS = frozenset({"lock", "node-id", "node-id.new", "code", "run", "logs"})
_DATABASE = re.compile(r"[a-z]+\.db(-wal|-shm|-journal)?")
_OF_THE_FILE_SYSTEM = "lost+found"  # root's, whoever the directory is given to
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with something in the data directory. `mode` is what it has."""

    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class Rights:
    """How private a data directory is. `refusal`: why no engine may use it; `open`: what is to be
    mended; `shared`: the directory's own mode, where it has rights for others and holds things that
    no engine made: it stays as it is, then."""

    refusal: str | None = None
    open: tuple[Finding, ...] = ()
    shared: int | None = None


def examine(data_dir: Path) -> Rights:
    """Look at the rights of a directory that is there, and of what an engine keeps in it; changes
    nothing. Raises OSError."""
    top = data_dir.stat()
    refusal = _not_ours(data_dir, top)
    if refusal is not None:
        return Rights(refusal)
    found = []
    strangers = False
    for path in sorted(data_dir.iterdir()):
        if path.name == _OF_THE_FILE_SYSTEM:
            continue
        if path.name not in _OURS and _DATABASE.fullmatch(path.name) is None:
            strangers = True
            continue
        try:
            entry = path.stat()
        except FileNotFoundError:  # SQLite's come and go
            continue
        refusal = _not_ours(path, entry)
        if refusal is not None:
            return Rights(refusal)
        if entry.st_mode & _OTHERS:
            found.append(Finding(path, stat.S_IMODE(entry.st_mode)))
    mode = stat.S_IMODE(top.st_mode)
    if not mode & _OTHERS:
        return Rights(open=tuple(found))
    if not strangers:
        return Rights(open=(Finding(data_dir, mode), *found))
    if mode & _WRITE:
        return Rights(
            f"others may write to it (mode {mode:04o}), and not all in it is the engine's; name a "
            "directory of its own, or chmod go-w it"
        )
    return Rights(open=tuple(found), shared=mode)


def settle(data_dir: Path) -> None:
    """Have a directory that is there be private; says what it mends. Raises SettingsError for what
    belongs to others, OSError."""
    rights = examine(data_dir)
    if rights.refusal is not None:
        raise SettingsError(f"data_dir={str(data_dir)!r}: {rights.refusal}")
    if rights.shared is not None:
        _log.warning(
            "%s is open to others (mode %04o) and holds what is not the engine's: it stays so, and "
            "what the engine keeps in it is private by itself",
            data_dir,
            rights.shared,
        )
    for path, before, after in _mended(rights):
        if after & _OTHERS:
            _log.warning(
                "%s is open to others (mode %04o), which this file system does not let change: "
                "functions' environments, code and logs may be read there",
                path,
                after,
            )
        else:
            _log.warning("%s was open to others (mode %04o): mended", path, before)


def _mended(rights: Rights) -> Iterator[tuple[Path, int, int]]:
    for finding in rights.open:
        try:
            finding.path.chmod(finding.mode & ~_OTHERS)
            after = stat.S_IMODE(finding.path.stat().st_mode)
        except FileNotFoundError:
            continue
        except OSError:
            after = finding.mode
        yield finding.path, finding.mode, after


def _not_ours(path: Path, found: os.stat_result) -> str | None:
    user = os.geteuid()
    if found.st_uid == user:
        return None
    return (
        f"{path} belongs to uid {found.st_uid}, must to uid {user}, the engine's user: its owner "
        "could read functions' environments, and change their code; chown it, or name another "
        "directory"
    )
