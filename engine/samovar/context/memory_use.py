"""How much memory a worker used at its peak, asked of the kernel."""

from __future__ import annotations

import os

MEGABYTE = 1024  # in kB, the unit of /proc


def peak_anonymous_mb(pid: int) -> int | None:
    """Peak anonymous memory of `pid` in MB, rounded up; None if the process is gone.

    The kernel keeps a peak of the whole resident set (VmHWM); what is file-backed or shared of it
    now is taken off. Without a memory cgroup that is as near as one can ask after the fact.
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
    other = (_field(text, b"RssFile:") or 0) + (_field(text, b"RssShmem:") or 0)
    return -(-max(0, peak - other) // MEGABYTE)


def _field(text: bytes, name: bytes) -> int | None:
    at = text.find(name)
    if at < 0:
        return None
    return int(text[at + len(name) : text.index(b"kB", at)])
