"""The walls that a host may refuse one by one, without which contexts are what they are all the
same: their names, and which of them the contexts of a zygote get.
"""

from __future__ import annotations

import platform
from typing import NamedTuple

from samovar_worker import call_filter, walls
from samovar_worker.call_numbers import NUMBERS

IPC = "ipc namespace"
HOST_NAME = "host name"
OWN_UID = "uid of its own"
PROCESSES = "process limit"
CAPABILITIES = "no capabilities"
KEYS = "session keyring"
CALLS = "system call filter"
TEMPLATES = "templates"
NETWORK = "network namespace"  # only where none is wanted: else the network is the host's
# Resolves everywhere, to an address that can be bound. On AWS it is a link-local address, which
# here would be nobody's, and which `socket.getfqdn` would ask a name server for.
HOST = "localhost"


# AWS quota: processes and threads per execution environment.
MOST_PROCESSES = 1024


STRICT, TEMPLATE, OFFLINE_TEMPLATE = (
    walls.Filter(make(platform.machine())) if platform.machine() in NUMBERS else None
    for make in (call_filter.strict, call_filter.template, call_filter.offline_template)
)


class Confines(NamedTuple):
    """What each context gets; settled by `trial`."""

    namespaces: int = 0  # flags for unshare beside those of mounts and processes
    filtered: bool = False  # the worker refuses system calls (`call_filter`)
    limited: bool = False  # a context's processes are counted by themselves, and limited
    counted: bool = False  # so are those of a context from a template

    @property
    def offline(self) -> bool:
        """Whether each context has a network namespace of its own."""
        return bool(self.namespaces & walls.CLONE_NEWNET)

    def make_namespaces(self) -> None:
        """Those beside mounts and processes, for this process and all that it starts."""
        if self.namespaces:
            walls.unshare(self.namespaces)
        if self.offline:
            walls.raise_loopback()

    def go_offline(self) -> Confines:
        """A network namespace for this process, where /proc is its own; what it has got then.

        pid 1 was born in the host's network namespace, and `/proc/1/net` shows that to everybody,
        so pid 1 is hidden. Raises OSError where the host refuses any of it.
        """
        added = Confines(walls.CLONE_NEWNET)
        added.make_namespaces()
        walls.hide_others()
        return self._replace(namespaces=self.namespaces | walls.CLONE_NEWNET)

    def refuse_calls(self, forks_contexts: bool = False) -> None:
        """Before the first line of the function's code: what is refused is so for good."""
        found = STRICT
        if forks_contexts:
            found = OFFLINE_TEMPLATE if self.offline else TEMPLATE
        if self.filtered and found is not None:
            found.put_on()
