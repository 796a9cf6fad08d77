"""Around a snapshot: SnapStart's hooks, and what an init left that no snapshot can hold."""

from __future__ import annotations

import os
import socket
import stat
import sys
from typing import Any

from samovar_worker.handler import Fault, fault_of
from samovar_worker.pipes import TEMPLATE
from samovar_worker.wire import messages

_MOST = 100  # names of a kind
_LONGEST = 200  # characters of a name


def run_before_hooks() -> None:
    """The last registered first. Raises Fault."""
    hooks = _registered("get_before_snapshot")
    try:
        for function, arguments, named in reversed(hooks):
            function(*arguments, **named)
    except Exception as error:
        raise _fault("Runtime.BeforeSnapshotError", error) from None


def run_after_hooks() -> None:
    """The first registered first. Raises Fault."""
    hooks = _registered("get_after_restore")
    try:
        for function, arguments, named in hooks:
            function(*arguments, **named)
    except Exception as error:
        raise _fault("Runtime.AfterRestoreError", error) from None


def _registered(name: str) -> list[Any]:
    """Nobody has registered anything unless the function has imported the library."""
    module = sys.modules.get("snapshot_restore_py")
    found = getattr(module, name, None)
    return list(found()) if found is not None else []


def _fault(kind: str, error: Exception) -> Fault:
    """As AWS names it; whose fault it was stands in the message."""
    fault = fault_of(error)
    return Fault(kind, f"{fault.error_type}: {fault.message}", fault.stack)


def left_open() -> messages.LeftOpen:
    """The threads and sockets that there are beside the worker's own."""
    return messages.LeftOpen(_threads(), _sockets())


def _threads() -> tuple[str, ...]:
    names: list[str] = []
    threading = sys.modules.get("threading")
    if threading is not None:
        main = threading.main_thread()
        names = [thread.name for thread in threading.enumerate() if thread is not main]
    alien = len(os.listdir("/proc/self/task")) - 1 - len(names)
    if alien > 0:
        names.append(f"{alien} of native libraries")
    return tuple(str(name)[:_LONGEST] for name in names[:_MOST])


def _sockets() -> tuple[str, ...]:
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if fd == TEMPLATE or not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as one:
                found.append(f"descriptor {fd}, {_ends(one)}"[:_LONGEST])
        except OSError:
            continue  # the listing's own, or of a kind that Python does not know
    return tuple(found[:_MOST])


def _ends(one: socket.socket) -> str:
    family = getattr(one.family, "name", str(one.family))
    try:
        return f"{family} to {_address(one.getpeername())}"
    except OSError:
        return f"{family} at {_address(one.getsockname())}"


def _address(address: Any) -> str:
    if isinstance(address, tuple):
        return ":".join(map(str, address[:2]))
    return str(address) or "nowhere"
