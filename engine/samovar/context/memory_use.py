"""How much memory a worker used at its peak, asked of the kernel."""

from __future__ import annotations

import os

from samovar.context.descendants import children

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


def below(pid: int) -> list[int]:
    """All descendants of `pid`; those that have lost their parent meanwhile are not among them."""
    found = children(pid)
    return [*found, *(other for child in found for other in below(child))]


def resident_bytes(pid: int) -> int:
    """Anonymous memory that is resident, of `pid` and of all that it has started: what they have in
    common counts as often as they have it. 0 if it is gone."""
    return round(sum(resident_mb(one) or 0.0 for one in (pid, *below(pid))) * 2**20)


def anonymous_bytes(pid: int) -> int:
    """Anonymous memory of `pid` and of all that it has started, in bytes; 0 if it is gone.

    A sum of shares (Pss) where the kernel shows them, because forks have most of it in common; else
    the largest of them, which is never too much.
    """
    found = [_anonymous(one) for one in (pid, *below(pid))]
    shares = [share for share, _ in found if share is not None]
    if len(shares) == len(found):
        return sum(shares)
    return max(resident for _, resident in found)


def _anonymous(pid: int) -> tuple[int | None, int]:
    """The share of a process, if it is shown, and all that is resident: bytes."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            text = file.read()
        share = _field(text, b"Pss_Anon:")
    except OSError:
        share = None
    resident = resident_mb(pid) or 0.0
    return (None if share is None else share * MEGABYTE), round(resident * 2**20)


def _field(text: bytes, name: bytes) -> int | None:
    at = text.find(name)
    if at < 0:
        return None
    return int(text[at + len(name) : text.index(b"kB", at)])
