"""Handlers that meddle with the memory through which large payloads go."""

import fcntl
import os

MEMORY = 1023  # where the worker keeps it


def _attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return error.strerror
    return "done"


def resize(event, context):
    before = os.fstat(MEMORY).st_size
    tried = [_attempt(os.ftruncate, MEMORY, size) for size in (0, before - 1, before + 1)]
    tried.append(_attempt(os.pwrite, MEMORY, b"x", before))
    tried.append(_attempt(fcntl.fcntl, MEMORY, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE))
    return {"tried": tried, "same": os.fstat(MEMORY).st_size == before}


def spoil(event, context):
    os.pwrite(MEMORY, b"\xff" * os.fstat(MEMORY).st_size, 0)
    return "y" * 100_000


def size(event, context):
    """A result of so many bytes, or how long the event's text is."""
    return "x" * (event["size"] - 2) if "size" in event else len(event["text"])
