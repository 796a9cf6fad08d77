"""Takes as much as it is told to, at its init or when it is invoked."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import signal
import socket
import tempfile
from typing import Any

MEGABYTE = 1 << 20
_KEPT: list[bytes] = []
_PATH = os.path.join(tempfile.gettempdir(), "eaten")


def taken(megabytes: int) -> bytes:
    return b"x" * (megabytes * MEGABYTE)


if "AT_INIT" in os.environ:
    _KEPT.append(taken(int(os.environ["AT_INIT"])))
if "GATE" in os.environ:
    # Says that it is here, and waits until it is let go.
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as _gate:
        _gate.sendall(b"here\n")
        _gate.recv(1)


def memory(event: dict[str, Any], context: Any) -> int:
    """Takes `take` MB and gives them back, or keeps them with `keep`."""
    found = taken(event.get("take", 0))
    if event.get("keep"):
        _KEPT.append(found)
    return len(found)


def tmp(event: dict[str, Any], context: Any) -> int:
    """Writes `tmp` MB into a file; with `map` reads it through a mapping, and with `gone` removes
    it."""
    size = event["tmp"]
    piece = bytes(MEGABYTE)
    with open(_PATH, "wb") as file:
        for _ in range(size):
            file.write(piece)
    if event.get("map"):
        with (
            open(_PATH, "rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
        ):
            assert not any(mapped[at] for at in range(0, len(mapped), mmap.PAGESIZE))
    found = os.path.getsize(_PATH)
    if event.get("gone"):
        os.unlink(_PATH)
    return found


def both(event: dict[str, Any], context: Any) -> int:
    """Fills /tmp, then takes memory."""
    return tmp(event, context) + memory(event, context)


def child(event: dict[str, Any], context: Any) -> int:
    """A child of it takes `take` MB and stays; the status of a child that has ended."""
    pid = os.fork()
    if pid == 0:
        _KEPT.append(taken(event["take"]))
        signal.pause()
    return os.waitpid(pid, 0)[1]


def forks(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Forks until it is refused, or has `most`; how many it came to, and why there are no more."""
    pids: list[int] = []
    why = "enough"
    try:
        while len(pids) < event["most"]:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
    except OSError as error:
        why = errno.errorcode[error.errno or 0]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return {"children": len(pids), "why": why}
