"""After the fork: descriptors, walls, rights, environment, `sys.path`; then the loop.

Two steps. A fresh worker closes what is not its own, reports READY and waits as a spare, still
holding the rights to finish its walls; told whose code to run, it finishes them, drops the rights
for good and hides every trace of itself before the first line of the function's code.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
import time
import types

from samovar_worker import walls
from samovar_worker.loop import Loop
from samovar_worker.pipes import OUTPUT, REQUEST, Wires
from samovar_worker.wire import control, messages
from samovar_worker.wire.messages import Kind

_OPEN_FILES = 1024  # AWS quota: file descriptors per execution environment
_HIDDEN = "/run/samovar"
_MODULES = ("samovar_worker", "msgpack")
_hidden: list[types.ModuleType] = []
# Who a function is where its uid can't be changed to one of the engine's choosing.
_USER_IN_NAMESPACE = 1051


def run_worker(fds: list[int], launch: control.Launch, walled: bool, zygote: int) -> None:
    """Be a context's worker; never returns normally."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.umask(0o022)
    walls.die_with_parent()
    watch = _keep_descriptors(fds, zygote)
    wires = Wires()
    if walled:
        mount_proc()
    wires.write(
        Kind.READY,
        metadata=messages.pack(
            messages.Ready(sys.version.split()[0], "msgpack._cmsgpack" not in sys.modules)
        ),
    )
    frame = wires.read()
    started = time.perf_counter_ns()
    init = messages.unpack(messages.Init, frame.metadata)
    if walled:
        _finish_walls(init)
    drop_rights(launch.uid, walled)
    if launch.uid:
        walls.set_dumpable()
    _die_with(watch)
    os.close(watch)
    _enter(init, launch.runtime_paths, walled)
    Loop(wires, init, started).run()


def _keep_descriptors(fds: list[int], zygote: int) -> int:
    """Move the wires to the top of the allowed range and close everything else."""
    for target, source in zip((REQUEST, REQUEST + 1, OUTPUT, REQUEST + 2), fds, strict=True):
        os.dup2(source, target, inheritable=False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(OUTPUT, 1)
    os.dup2(OUTPUT, 2)
    watch = os.dup2(zygote, 3, inheritable=False) if zygote != 3 else 3
    os.closerange(4, OUTPUT)
    os.closerange(_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return watch


def _finish_walls(init: messages.Init) -> None:
    if init.revived and not os.path.exists(f"{_HIDDEN}/worker"):
        return  # an earlier process of this context did it, in these same mounts
    if init.tmp_size != 512:
        flags = walls.MS_REMOUNT | walls.MS_NOSUID | walls.MS_NODEV
        walls.mount("tmp", "/tmp", "tmpfs", flags, f"size={init.tmp_size}m")  # noqa: S108
    walls.bind(init.task_root, "/var/task")
    walls.unmount(_HIDDEN)


def drop_rights(uid: int, walled: bool) -> None:
    """Become nobody of importance, for good."""
    _give_up_rights(uid, walled)
    walls.no_new_privileges()


def _give_up_rights(uid: int, walled: bool) -> None:
    if uid:
        walls.become(uid)
    elif walled:
        # uid 0 of the zygote's user namespace, which is the engine's own user outside of it.
        walls.unshare(walls.CLONE_NEWUSER)
        walls.map_user(_USER_IN_NAMESPACE, 0, 0)
        walls.drop_capabilities()


def mount_proc() -> None:
    """Show the processes of this pid namespace only."""
    walls.mount("proc", "/proc", "proc", walls.MS_NOSUID | walls.MS_NODEV | walls.MS_NOEXEC)


def walls_without_namespaces(launch: control.Launch) -> tuple[list[str], dict[str, str]]:
    """What still holds where namespaces do not: (held, missing with the reason)."""
    reason = "no namespaces here"
    missing = {
        "private /tmp": f"{reason}: TMPDIR names a directory of the context's own",
        "read-only root": f"{reason}: functions see the host's files",
        "pid namespace": f"{reason}: a process that leaves its session and output is not found",
    }
    if launch.uid:
        return ["unprivileged uid"], missing
    if os.geteuid() == 0:
        missing["unprivileged uid"] = "the data directory can't be reached by another uid"
        return [], missing
    missing["unprivileged uid"] = "functions run as the engine's own user"
    return [], missing


def _die_with(zygote: int) -> None:
    """Die when the zygote does, also if it did just now. After every change of uid."""
    walls.die_with_parent()
    poll = select.poll()
    poll.register(zygote, select.POLLIN)
    if poll.poll(0):
        os._exit(0)


def _enter(init: messages.Init, runtime_paths: list[str], walled: bool) -> None:
    """Environment, working directory, `sys.path`; forget the worker's own modules."""
    os.environ.clear()
    os.environ.update(init.environment)
    if init.tmp_dir is not None:
        os.environ["TMPDIR"] = init.tmp_dir
    time.tzset()
    root = "/var/task" if walled else init.task_root
    os.chdir(root)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    layers = [f"/opt/python/lib/python{version}/site-packages", "/opt/python"]
    standard = [path for path in sys.path[1:] if path not in runtime_paths]
    extra = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    runtime = [path for path in runtime_paths if path not in extra]
    sys.path[:] = [
        root,
        *(layers if walled else []),
        *init.import_paths,
        *extra,
        *runtime,
        *standard,
    ]
    sys.argv[:] = [""]
    # Hidden, but kept alive: to free them would touch, and so copy, every page they lie on.
    own = [name for name in sys.modules if name.split(".")[0] in _MODULES]
    _hidden.extend(sys.modules.pop(name) for name in (*own, "__main__"))
    sys.modules["__main__"] = types.ModuleType("__main__")
    gc.enable()
