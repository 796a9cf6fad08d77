"""What large tests have used is given back to the system, or a test process grows to gigabytes.

What hangs together in cycles waits for the garbage collector, what is free in its heaps for malloc.
"""

from __future__ import annotations

import ctypes
import gc
import os

_STEP = 64 << 20  # bytes that it may grow until it is looked at
_PAGE = os.sysconf("SC_PAGE_SIZE")
_after = 0  # bytes that were in use after the last time


def in_use() -> int:
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE


def give_back() -> None:
    """If this process has grown; else it costs next to nothing."""
    global _after  # noqa: PLW0603 - one per process, as its heap is
    if in_use() < _after + _STEP:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
    _after = in_use()
