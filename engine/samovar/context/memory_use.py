"""How much memory a worker used at its peak, asked of the kernel."""

from __future__ import annotations

import os

MEGABYTE = 1024  # in kB, the unit of /proc
_PAGE = os.sysconf("SC_PAGE_SIZE")


def peak_resident_kb(pid: int) -> tuple[int, int] | None:
    """Peak resident size of `pid`, and what is file-backed or shared of it now; None if the process
    is gone. Both in kB.

    The kernel keeps a peak of the whole resident set (VmHWM) only; without a memory cgroup the
    difference of the two is as near to peak anonymous memory as one can ask after the fact.
    """
    try:
        fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    peak = _field(text, b"VmHWM:")
    if peak is None:
        return None
    return peak, (_field(text, b"RssFile:") or 0) + (_field(text, b"RssShmem:") or 0)


def resident_mb(pid: int) -> float | None:
    """Anonymous memory of `pid` that is resident now, in MB to one decimal; None if the process is
    gone. Pages that it still shares with its zygote count, as they do in the peak."""
    try:
        fd = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = os.read(fd, 128).split()  # in pages: size, resident, of that file-backed or shared
    except OSError:
        return None
    finally:
        os.close(fd)
    if len(fields) < 3:
        return None
    pages = int(fields[1]) - int(fields[2])
    return round(max(0, pages) * _PAGE / 2**20, 1)


def _field(text: bytes, name: bytes) -> int | None:
    at = text.find(name)
    if at < 0:
        return None
    return int(text[at + len(name) : text.index(b"kB", at)])
