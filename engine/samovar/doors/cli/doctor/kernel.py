"""System calls that Samovar rests on, each made once."""

from __future__ import annotations

import ctypes
import fcntl
import os
import tempfile
from collections.abc import Callable

from samovar.doors.cli.doctor.facts import Fact, Verdict, number

_MODIFY = 0x2  # IN_MODIFY
_NEWER = "use a newer kernel, or a container runtime (gVisor, old seccomp profiles) that allows it"
WATCHES_WANTED = 8192


def look() -> list[Fact]:
    """All facts, in the order in which they are shown."""
    return [sealed_memory(), process_descriptors(), file_watches()]


def sealed_memory() -> Fact:
    """Large payloads travel through a memfd whose size can't be changed any more."""

    def make() -> str:
        memory = os.memfd_create("samovar-doctor", os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(memory, 4096)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
            try:
                os.ftruncate(memory, 8192)
            except PermissionError:
                return "holds"
            raise OSError(0, "a sealed one could be grown")
        finally:
            os.close(memory)

    return _tried("sealed memory", make)


def process_descriptors() -> Fact:
    """A zygote watches its engine, and the engine its zygotes, by descriptors of processes."""

    def make() -> str:
        os.close(os.pidfd_open(os.getpid()))
        return "work"

    return _tried("process descriptors", make)


def file_watches() -> Fact:
    """What tells that a file was saved; only code that is reloaded as it is edited needs it."""
    libc = ctypes.CDLL(None, use_errno=True)

    def make() -> str:
        watcher = libc.inotify_init1(os.O_CLOEXEC)
        if watcher < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            with tempfile.TemporaryDirectory(prefix="samovar-doctor-") as place:
                if libc.inotify_add_watch(watcher, place.encode(), _MODIFY) < 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(watcher)
        return "work"

    try:
        make()
    except OSError as error:
        return Fact(
            "file watches",
            f"{error.strerror}",
            Verdict.WARNING,
            "sysctl fs.inotify.max_user_instances=1024; needed only to reload code being edited",
        )
    most = number("/proc/sys/fs/inotify/max_user_watches")
    if most is None or most >= WATCHES_WANTED:
        return Fact("file watches", "work" if most is None else f"up to {most} directories")
    return Fact(
        "file watches",
        f"up to {most} directories",
        Verdict.WARNING,
        f"sysctl fs.inotify.max_user_watches={WATCHES_WANTED * 8}, if large trees are edited",
    )


def _tried(subject: str, make: Callable[[], str]) -> Fact:
    try:
        return Fact(subject, make())
    except OSError as error:
        return Fact(subject, error.strerror or str(error), Verdict.MISSING, _NEWER)
