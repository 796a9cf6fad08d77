"""How much memory a worker used at its peak, asked of the kernel."""

from __future__ import annotations

import os

MEGABYTE = 1024  # in kB, the unit of /proc


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


def _field(text: bytes, name: bytes) -> int | None:
    at = text.find(name)
    if at < 0:
        return None
    return int(text[at + len(name) : text.index(b"kB", at)])
