"""Fill the holes of the heap, so that what children allocate lies together.

What imports have freed lies scattered over pages that all children share. A child that puts a small
block into each hole copies each of those pages; on fresh ground the blocks lie side by side.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

# malloc first looks for a hole of just the size, and there is a bin for each of these.
_SIZES = (4096, 2048, *range(1032, 8, -16))
_HEADER = 16
_OBJECTS = range(48, 513, 16)  # size classes of Python's own allocator that a `bytes` can have
_IN_A_ROW = 8  # so many neighbours come from fresh ground only
_fillers: list[bytes] = []


def fill_holes() -> None:
    """Occupy free blocks for good."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_size_t
    malloc.argtypes = [ctypes.c_size_t]
    for size in _SIZES:
        _fill(malloc, size, _IN_A_ROW)
    for size in _OBJECTS:
        _fill(_object, size, 6)


def _object(size: int) -> int:
    filler = bytes(size - bytes.__basicsize__)
    _fillers.append(filler)
    return id(filler)


def _fill(allocate: Callable[[int], int], size: int, enough: int) -> None:
    in_a_row, last = 0, 0
    while in_a_row < enough:
        block = allocate(size)
        in_a_row = in_a_row + 1 if 0 < block - last <= size + _HEADER else 0
        last = block
