"""Second stage of a zygote: preload, prepare what all workers share, say hello, serve.

Whatever runs here once is not run, and its pages are not copied, in every child.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import resource
import socket
import sys

from samovar_worker import at_fork, compact, holder, walls
from samovar_worker.confines import (
    CALLS,
    CAPABILITIES,
    HOST,
    HOST_NAME,
    IPC,
    KEYS,
    NETWORK,
    OWN_UID,
    PROCESSES,
    TEMPLATES,
    Confines,
)
from samovar_worker.wire import control

_OPEN_FILES = 16384  # a mount namespace is held by a descriptor between two processes
_NAMESPACES = (
    *("mount namespace", "private /tmp", "layers at /opt", "read-only root", "pid namespace"),
)


def main(control_fd: int, walled: bool) -> None:
    """Become a zygote; returns when the engine is gone, or walls are refused."""
    at_fork.hold_back()
    from samovar_worker import boot, stewardship, trial, zygote  # behind the line above: they log

    connection = socket.socket(fileno=control_fd)
    connection.set_inheritable(False)
    # Few enough that closing «all» is quick wherever there is no close_range.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, _OPEN_FILES), limit))
    launch = control.unpack(connection.recv(control.MAX_PACKET))
    assert isinstance(launch, control.Launch)
    engine = os.pidfd_open(launch.engine_pid)
    version = sys.version.split()[0]
    settled = _settle(launch) | trial.try_filter()
    filtered = CALLS not in settled
    confines = Confines(filtered=filtered)
    try:
        if walled:
            if not launch.first_uid:
                trial.enter_own_pid_namespace(engine)
            confines, missing = trial.try_walls(launch, filtered)
            missing |= settled | _take_host_name()
            held = [*_NAMESPACES, "unprivileged uid", *([OWN_UID] if launch.first_uid else [])]
            more: tuple[str, ...] = (
                IPC,
                HOST_NAME,
                PROCESSES,
                CAPABILITIES,
                KEYS,
                CALLS,
                NETWORK,
                TEMPLATES,
            )
        else:
            walls.become_subreaper()
            held, missing = [], boot.missing_without_namespaces() | settled
            more = (KEYS, CALLS, TEMPLATES)
        held += [wall for wall in more if wall not in missing]
    except OSError as error:
        refused = control.Hello([], {"namespaces": str(error)}, version, False)
        connection.send(control.pack(refused))
        return
    # In order, behind the worker's own path: the preloads come from where functions would find
    # them (/var/runtime), never from the interpreter's own site-packages.
    sys.path[1:1] = launch.runtime_paths
    before = {name.partition(".")[0] for name in sys.modules}
    for name in launch.preload:
        importlib.import_module(name)
    boot.replaceable.update({name.partition(".")[0] for name in sys.modules} - before)
    del sys.path[1 : 1 + len(launch.runtime_paths)]
    pure = "msgpack._cmsgpack" not in sys.modules
    hello = control.Hello([*held, "no_new_privs", "open files"], missing, version, pure)
    connection.send(control.pack(hello))
    worker = boot.Boot(launch, walled, pure, confines)
    worker.spawns = walled and holder.knows_command()
    # Children share what is frozen: a collection of theirs would write to all of it.
    gc.collect()
    compact.fill_holes()
    gc.freeze()
    gc.disable()  # until a child has a function to run
    zygote.Zygote(connection, walled, worker, stewardship.live).serve(engine)


def _settle(launch: control.Launch) -> dict[str, str]:
    """Walls that a zygote puts around itself, and so around all contexts, at no cost to their
    starts. Returns why not, under the names of those that are refused."""
    missing = {}
    if launch.first_uid:
        # What it has it keeps: contexts lose that with their change of uid.
        walls.drop_bounding_set()
    try:
        walls.leave_session_keyring()
    except OSError as error:
        # Where the call itself is refused, or there are no keys, nobody in here reads any.
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            missing[KEYS] = str(error)
    return missing


def _take_host_name() -> dict[str, str]:
    """One that tells nothing, for the zygote and so for all contexts: none of them may change it,
    so that one namespace serves them all. Returns why not, under the wall's name."""
    try:
        walls.unshare(walls.CLONE_NEWUTS)
        walls.set_host_name(HOST)
    except OSError as error:
        return {HOST_NAME: str(error)}
    return {}
