"""From a fresh fork of the zygote to a steward that serves."""

from __future__ import annotations

import os
import resource
import signal
import socket

from samovar_worker import boot, walls
from samovar_worker.steward import Steward


def live(connection: int, zygote: int, walled: bool, worker: boot.Boot) -> None:
    """Be a steward in a fresh fork of the zygote (a pidfd), until the engine lets go of it."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)  # which pid 1 does not hear
    os.setsid()
    low = 3
    for fd in sorted((connection, zygote)):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    walls.die_with(zygote)
    if walled:
        walls.mount_proc()
        # Contexts are pid 2 in their own namespaces. Libraries take a change of the pid as the sign
        # of a fork (OpenSSL's random numbers do), so that a template must be another.
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    else:
        walls.become_subreaper()
    Steward(socket.socket(fileno=connection), walled, worker).serve(zygote)
