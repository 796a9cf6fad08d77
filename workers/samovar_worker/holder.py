"""pid 1 of a context's pid namespace, which does nothing but hold it and have orphans reaped."""

from __future__ import annotations

import os
import resource

# Not from `signal`, which makes an enum of everything: pages that each child would copy.
from _signal import SIG_IGN, SIGCHLD, pause, set_wakeup_fd, signal  # type: ignore[import-not-found]

from samovar_worker import walls

# A small program that waits for its input to end and lets the kernel reap. Not
# a fork of the zygote where it can be helped: an idle Python process un-shares half a megabyte by
# merely having been forked.
COMMAND = ["/usr/bin/env", "--ignore-signal=CHLD", "cat"]


def knows_command() -> bool:
    """Whether this host's `env` can ignore a signal (coreutils since 8.31; not busybox)."""
    try:
        pid = os.posix_spawn(COMMAND[0], [*COMMAND[:2], "true"], {})
    except OSError:
        return False
    return os.waitpid(pid, 0)[1] == 0


def hold_namespace(zygote: int = -1) -> None:
    """Be pid 1 of a context where no smaller program can be; `zygote`: whom to end with."""
    set_wakeup_fd(-1)
    signal(SIGCHLD, SIG_IGN)  # the kernel reaps by itself
    os.setsid()
    if zygote >= 0:
        walls.die_with(zygote)
    os.closerange(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    while True:
        pause()
