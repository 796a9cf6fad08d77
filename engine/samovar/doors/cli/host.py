"""Facts about the host that decide how many contexts it carries, and what to do about them."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

# Three descriptors per context stay open in the engine, and some for files and connections.
FDS_PER_CONTEXT = 4
FDS_BESIDE = 1024
# PSS of an idle context of a bare function, with its page tables.
BYTES_PER_CONTEXT = 1_500_000
FREE_DISK_WANTED = 1_000_000_000


class Verdict(StrEnum):
    """How bad a fact is."""

    OK = "ok"
    WARNING = "warning"  # works, but less well than it could
    MISSING = "missing"  # functions can't run, or not as they should


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that doctor looked at; `advice` says what to do where it isn't ok."""

    subject: str
    finding: str
    verdict: Verdict = Verdict.OK
    advice: str = ""


def data_directory(directory: Path) -> Fact:
    """Whether the directory can be used, tried by writing there (or beside where it will be)."""
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Fact(
            "data directory",
            f"{directory}: {existing} can't be written to",
            Verdict.MISSING,
            "name another one with --data-dir or SAMOVAR_DATA_DIR",
        )
    free = shutil.disk_usage(existing).free
    finding = f"{directory}, {free / 1e9:.1f} GB free"
    if free < FREE_DISK_WANTED:
        return Fact(
            "data directory", finding, Verdict.WARNING, "make room: packages are kept there"
        )
    return Fact("data directory", finding)


def descriptors(contexts: int) -> Fact:
    """The hard limit counts: an engine raises its own soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Fact("open files", "unlimited")
    wanted = contexts * FDS_PER_CONTEXT + FDS_BESIDE
    if hard >= wanted:
        return Fact("open files", f"up to {hard}")
    return Fact(
        "open files",
        f"up to {hard}; {contexts} contexts want {wanted}",
        Verdict.WARNING,
        f"raise the hard limit (ulimit -Hn {wanted}, LimitNOFILE=), or lower --max-contexts",
    )


def processes(contexts: int) -> Fact:
    """Root is not bound by this limit, but by the kernel's pid_max."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    limits = [_number("/proc/sys/kernel/pid_max")]
    if os.geteuid() != 0 and hard != resource.RLIM_INFINITY:
        limits.append(hard)
    most = min((limit for limit in limits if limit), default=None)
    if most is None:
        return Fact("processes", "no limit found")
    if most >= contexts * 2:
        return Fact("processes", f"up to {most}")
    return Fact(
        "processes",
        f"up to {most}; {contexts} contexts want {contexts * 2}",
        Verdict.WARNING,
        "raise the limit (ulimit -u, LimitNPROC=), or lower --max-contexts",
    )


def memory(contexts: int) -> Fact:
    """Idle contexts only: what a function itself takes comes on top."""
    available = psutil.virtual_memory().available
    wanted = contexts * BYTES_PER_CONTEXT
    finding = f"{available / 1e9:.1f} GB; {contexts} idle contexts take {wanted / 1e9:.1f} GB"
    if available >= wanted:
        return Fact("memory", finding)
    return Fact("memory", finding, Verdict.WARNING, "lower --max-contexts")


def pipes() -> Fact:
    """Past this many pages of pipe buffers a user gets pipes of one page."""
    pages = _number("/proc/sys/fs/pipe-user-pages-soft")
    if pages is None or os.geteuid() == 0:
        return Fact("pipe buffers", "not limited for this user")
    if pages == 0 or pages >= 16384:
        return Fact("pipe buffers", f"{pages} pages" if pages else "unlimited")
    return Fact(
        "pipe buffers",
        f"{pages} pages",
        Verdict.WARNING,
        "past some hundred contexts payloads get slower: sysctl fs.pipe-user-pages-soft=65536",
    )


def look(directory: Path, contexts: int) -> list[Fact]:
    """All facts, in the order in which they are shown."""
    looks: list[Callable[[], Fact]] = [
        lambda: data_directory(directory),
        lambda: descriptors(contexts),
        lambda: processes(contexts),
        lambda: memory(contexts),
        pipes,
    ]
    return [take() for take in looks]


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
