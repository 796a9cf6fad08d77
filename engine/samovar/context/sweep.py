"""What an engine that was killed may have left behind, found and removed at the next start.

Its zygotes end by themselves when they see that it is gone, and the kernel ends all of a context
with its pid namespace; mounts go with their namespaces. What can remain is a zygote that had not
noticed yet, strays of contexts without namespaces, and the directories of such contexts.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Collection
from pathlib import Path

import psutil

_log = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds for killed processes to be gone
_STEP = 0.01  # seconds between two looks at them


def marker(run: Path) -> str:
    """An argument of every zygote's command line that tells whose it is, but not where it lives."""
    return "samovar-" + hashlib.sha256(str(run).encode()).hexdigest()[:16]


def sweep(run: Path) -> None:
    """End the leftovers of an earlier engine on this directory; call it with the lock held.

    Raises OSError. Blocking.
    """
    contexts = run / "contexts"
    _end([process for process in psutil.process_iter() if _is_left(process, run)])
    if contexts.exists():
        shutil.rmtree(contexts)


def end_strays(directories: Collection[str]) -> None:
    """End what contexts without namespaces have started, by their directories, when the zygote
    that would have done it was killed; then remove these. A process that keeps TMPDIR out of its
    environment is left to the next start. Blocking."""
    _end([process for process in psutil.process_iter() if _tmp_dir(process) in directories])
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _end(leftovers: list[psutil.Process]) -> None:
    for process in leftovers:
        _log.warning("ending process %s, left by an earlier engine or zygote", process.pid)
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + _PATIENCE
    while (alive := [item for item in leftovers if _lives(item)]) and time.monotonic() < deadline:
        time.sleep(_STEP)
    for process in alive:
        _log.error("process %s of an earlier engine or zygote does not end", process.pid)


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: whether it is reaped is up to a parent that may never do it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_left(process: psutil.Process, run: Path) -> bool:
    try:
        if marker(run) in process.cmdline():
            return True
    except psutil.Error:
        return False
    return _tmp_dir(process).startswith(f"{run / 'contexts'}/")


def _tmp_dir(process: psutil.Process) -> str:
    try:
        return process.environ().get("TMPDIR", "")
    except psutil.Error:
        return ""
