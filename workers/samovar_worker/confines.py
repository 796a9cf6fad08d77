"""The walls that a host may refuse one by one, without which contexts are what they are all the
same: their names, and which of them the contexts of a zygote get.
"""

from __future__ import annotations

from typing import NamedTuple

IPC = "ipc namespace"
HOST_NAME = "host name"
PROCESSES = "process limit"
CAPABILITIES = "no capabilities"
KEYS = "session keyring"
TEMPLATES = "templates"
# Resolves everywhere, to an address that can be bound. On AWS it is a link-local address, which
# here would be nobody's, and which `socket.getfqdn` would ask a name server for.
HOST = "localhost"


# AWS quota: processes and threads per execution environment.
MOST_PROCESSES = 1024


class Confines(NamedTuple):
    """What each context gets; settled by `trial`."""

    namespaces: int = 0  # flags for unshare beside those of mounts and processes
    counted: bool = False  # the kernel counts the processes of each user namespace by itself
