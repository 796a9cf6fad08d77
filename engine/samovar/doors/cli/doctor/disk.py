"""The disk under the data directory, tried with the files that a store is made of."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from samovar.doors.cli.doctor.facts import Fact, Verdict, existing_part
from samovar.stores import privacy

_SYNCS = 8
# A change of a function takes three syncs: past this a person notices.
SLOW_SYNC = 0.05  # seconds


def look(directory: Path) -> list[Fact]:
    """Facts about the file system that `directory` is or will be on; nothing stays there."""
    existing = existing_part(directory)
    try:
        with tempfile.TemporaryDirectory(prefix="samovar-doctor-", dir=existing) as place:
            return [database(Path(place)), locks(Path(place)), syncs(Path(place))]
    except OSError as error:
        advice = "name another directory with --data-dir or SAMOVAR_DATA_DIR"
        return [Fact("writing there", f"{existing}: {error.strerror}", Verdict.MISSING, advice)]


def rights(directory: Path) -> Fact:
    """Who may look into the data directory, where functions' environments are; nothing is mended
    here."""
    subject = "data directory"
    try:
        found = privacy.examine(directory)
    except FileNotFoundError:
        return Fact(subject, f"{directory}: to be made, for this user alone")
    except OSError as error:
        advice = "name another directory with --data-dir or SAMOVAR_DATA_DIR"
        return Fact(subject, f"{directory}: {error.strerror}", Verdict.MISSING, advice)
    if found.refusal is not None:
        advice = "samovar start refuses this directory"
        return Fact(subject, f"{directory}: {found.refusal}", Verdict.MISSING, advice)
    if found.shared is not None:
        return Fact(
            subject,
            f"{directory}: open to others (mode {found.shared:04o}), and holds what is not the "
            "engine's",
            Verdict.WARNING,
            "name a directory of its own with --data-dir; what is the engine's is private itself",
        )
    if found.open:
        paths = ", ".join(str(one.path) for one in found.open)
        return Fact(subject, f"open to others: {paths}", Verdict.WARNING, "samovar start mends it")
    return Fact(subject, f"{directory}: this user's alone")


def database(place: Path) -> Fact:
    """Functions are kept in SQLite with a write-ahead log, which wants memory shared by file."""
    try:
        with closing(sqlite3.connect(place / "trial.sqlite")) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode=wal").fetchone()
            connection.execute("CREATE TABLE trial (x)")
            connection.commit()
    except sqlite3.Error as error:
        mode = str(error)
    if mode == "wal":
        return Fact("SQLite", f"{sqlite3.sqlite_version}, with a write-ahead log")
    return Fact(
        "SQLite",
        f"no write-ahead log: {mode}",
        Verdict.MISSING,
        "put --data-dir on a local file system",
    )


def locks(place: Path) -> Fact:
    """One engine per data directory is held by a lock of the kernel's."""
    with (place / "lock").open("w") as first, (place / "lock").open("w") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            finding = f"can't be taken: {error.strerror}"
        else:
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Fact("file locks", "hold")
            finding = "were given twice"
    return Fact("file locks", finding, Verdict.MISSING, "put --data-dir on a local file system")


def syncs(place: Path) -> Fact:
    """How long the disk takes to have a block for good: the median of some."""
    taken = []
    with (place / "block").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return judged_sync(statistics.median(taken))


def judged_sync(seconds: float) -> Fact:
    finding = f"{seconds * 1000:.1f} ms"
    if seconds <= SLOW_SYNC:
        return Fact("sync to disk", finding)
    return Fact(
        "sync to disk",
        finding,
        Verdict.WARNING,
        "changes of functions will be slow (invocations are not): put --data-dir on a faster disk",
    )
