"""What an engine that was killed may have left behind, found and removed at the next start.

Its zygotes end by themselves when they see that it is gone, and the kernel ends all of a context
with its pid namespace; mounts go with their namespaces. What can remain is a zygote that had not
noticed yet, strays of contexts without namespaces, and the directories of such contexts.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import psutil

_log = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds for killed processes to be gone


def marker(run: Path) -> str:
    """An argument of every zygote's command line that tells whose it is, but not where it lives."""
    return "samovar-" + hashlib.sha256(str(run).encode()).hexdigest()[:16]


def sweep(run: Path) -> None:
    """End the leftovers of an earlier engine on this directory; call it with the lock held.

    Raises OSError. Blocking.
    """
    contexts = run / "contexts"
    leftovers = [process for process in psutil.process_iter() if _is_left(process, run)]
    for process in leftovers:
        _log.warning("ending process %s, left by an earlier engine", process.pid)
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(leftovers, timeout=_PATIENCE)
    for process in alive:
        _log.error("process %s of an earlier engine does not end", process.pid)
    if contexts.exists():
        shutil.rmtree(contexts)


def _is_left(process: psutil.Process, run: Path) -> bool:
    try:
        if marker(run) in process.cmdline():
            return True
        return process.environ().get("TMPDIR", "").startswith(f"{run / 'contexts'}/")
    except psutil.Error:
        return False
