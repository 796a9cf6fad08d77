"""A context's processes as whoever forked them knows them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn


class Child:
    """One context as its zygote knows it."""

    __slots__ = ("discarded", "holder", "mounts", "output", "peak_kb", "status", "users", "worker")

    def __init__(self) -> None:
        self.worker = 0  # pid, 0 once reaped
        self.holder = 0  # pid of the context's pid 1, 0 without namespaces or once reaped
        self.mounts = -1  # descriptor of the mount namespace, held between two processes
        self.users = -1  # and of the user namespace, where the context has one of its own
        self.status: int | None = None
        self.peak_kb = 0
        self.output = 0  # inode of the output pipe: finds strays where there is no pid namespace
        self.discarded = False

    def keep_mounts(self) -> None:
        """Hold on to them past the worker's end, so that another can take its place."""
        if self.discarded:
            return
        try:
            path = f"/proc/{self.holder}/ns/mnt"
            self.mounts = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.mounts = -1  # pid 1 was killed from outside: /tmp is lost with it

    def keep_user(self) -> None:
        """The same for its user namespace; without that the mounts are of no use."""
        if self.mounts < 0:
            return
        try:
            path = f"/proc/{self.holder}/ns/user"
            self.users = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.close_namespaces()

    def close_namespaces(self) -> None:
        """Let go of them; idempotent."""
        for fd in (self.mounts, self.users):
            if fd >= 0:
                os.close(fd)
        self.mounts = self.users = -1


def end_with(life: Callable[..., None], *arguments: object) -> NoReturn:
    """Live a child's life in it; nothing of a child ever returns into the zygote's own code."""
    try:
        life(*arguments)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # to the context's output
    finally:
        os._exit(70)
