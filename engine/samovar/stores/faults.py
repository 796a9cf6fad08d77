"""What goes wrong with a disk, told in a way that says what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samovar.errors import EngineError

_FULL = {errno.ENOSPC, errno.EDQUOT}


def full(where: Path) -> EngineError:
    """The error of a full disk."""
    return EngineError(
        f"The disk that holds {where} is full (or its quota is used up): nothing was changed. "
        "Free some space, or start with another --data-dir."
    )


@contextmanager
def told(where: Path) -> Iterator[None]:
    """Turn the system's errors (OSError, sqlite3.Error) into EngineError that names `where`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, where) from error
    except OSError as error:
        if error.errno in _FULL:
            raise full(where) from error
        what = error.strerror or str(error)
        raise EngineError(
            f"{error.filename or where}: {what}. Samovar could not work in its data directory; "
            "check that it exists, that its disk is well and that this user may write there."
        ) from error


def _from_sqlite(error: sqlite3.Error, where: Path) -> EngineError:
    # Extended codes carry the primary one in the low byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return full(where)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return EngineError(
            f"The database {where} is damaged ({error}). Restore it from a backup, or move it "
            "away to start with an empty one."
        )
    return EngineError(f"The database {where} failed: {error}.")
