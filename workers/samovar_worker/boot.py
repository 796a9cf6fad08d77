"""After the fork: descriptors, walls, rights, environment, `sys.path`; then the loop.

Two steps. A fresh worker closes what is not its own, reports READY and waits as a spare, still
holding the rights to finish its walls; told whose code to run, it finishes them, drops the rights
for good and hides every trace of itself before the first line of the function's code.

What can be done before the fork is: each line that a child runs for the first time copies the pages
of what it touches, 4 KB for a reference count.
"""

from __future__ import annotations

import _sitebuiltins
import builtins
import errno
import gc
import importlib.util
import os
import resource
import sys
import time
import types

# Not from `signal`, which makes an enum of everything: pages that each child would copy.
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIGCHLD,
    set_wakeup_fd,
    signal,
)
from fcntl import F_DUPFD, fcntl
from functools import partial

from samovar_worker import at_fork, logs, marshal, walls
from samovar_worker.confines import (
    CAPABILITIES,
    HOST_NAME,
    IPC,
    MOST_PROCESSES,
    NETWORK,
    PROCESSES,
    Confines,
)
from samovar_worker.loop import Loop
from samovar_worker.pipes import OUTPUT, REQUEST, TEMPLATE, Wires
from samovar_worker.rehearsal import rehearse
from samovar_worker.template import Template
from samovar_worker.wire import control, frames, messages
from samovar_worker.wire.messages import Kind

_OPEN_FILES = 1024  # AWS quota: file descriptors per execution environment
_HIDDEN = "/run/samovar"
_MODULES = ("samovar_worker", "msgpack", "cython_runtime")
# Loaded before the function's code because the worker or a preload needs it, where AWS's runtime
# does not: a package's own module of such a name wins, as it would there. What both runtimes have
# loaded (logging, json, re …) is the standard library's in either.
replaceable = {
    *("array", "ctypes", "fcntl", "platform", "resource", "select", "selectors", "signal"),
    *("socket", "struct"),
}
_WATCH = 3  # descriptor of the zygote's pidfd until the rights are gone
_TASK_ROOT = "/var/task"
_LAYERS = "/opt"
# Who a function is where its uid can't be changed to one of the engine's choosing.
_USER_IN_NAMESPACE = 1051
_hidden: list[types.ModuleType] = []


class Boot:
    """The start of every worker of one zygote. Made before the fork; `run` is the child's."""

    def __init__(
        self,
        launch: control.Launch,
        walled: bool,
        pure_msgpack: bool,
        confines: Confines,
    ) -> None:
        """Turns this process into what its children are to be: streams, logging, `sys.path`, an
        empty `__main__`, none of our own modules in sight."""
        self._uids = range(launch.first_uid, launch.last_uid + 1)
        self.spawns = False  # whether pid 1 of a context can be a small program
        self._walled = walled
        self._confines = confines
        self._top = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._wires = Wires()
        ready = messages.pack(messages.Ready(sys.version.split()[0], pure_msgpack))
        self._ready = frames.encode(Kind.READY, frames.NO_INVOCATION, ready)
        self._loop = Loop(self._wires, self._ready)
        self._time_zone = os.environ.get("TZ")
        self._layers = _layer_paths(_LAYERS) if walled else []
        self._runtime = launch.runtime_paths
        self._standard = sys.path[1:]
        logs.install()
        _provide_builtins()
        os.environ.clear()
        sys.argv[:] = [""]
        marshal.runtime_paths[:] = self._runtime
        sys.path[:] = [*self._runtime, *self._standard]
        # Have the directories of the interpreter listed; children need not do it.
        importlib.util.find_spec("no_such_module")
        if walled:  # the function's own: known to be no zip file, and not listed before it is there
            sys.path_importer_cache[_TASK_ROOT] = sys.path_hooks[-1](_TASK_ROOT)
        for path in [
            path for path in sys.path_importer_cache if path.startswith(launch.worker_path)
        ]:
            del sys.path_importer_cache[path]
        # Hidden, but kept alive: to free them would touch, and so copy, every page they lie on.
        own = [name for name in sys.modules if name.split(".")[0] in _MODULES]
        own += [name for name in sys.modules if name.startswith("_cython_")]
        _hidden.extend(sys.modules.pop(name) for name in (*own, "__main__"))
        sys.modules["__main__"] = types.ModuleType("__main__")

    def run(
        self, fds: tuple[int, ...], zygote: int, spare: bool, uid: int, steward: int = -1
    ) -> None:
        """Be a context's worker; never returns normally.

        `spare`: nobody waits for it yet; `uid`: whom to become, 0 to stay; `steward`: a template's
        end of the socket to it.
        """
        set_wakeup_fd(-1)
        signal(SIGCHLD, SIG_DFL)
        os.setsid()
        os.umask(0o022)
        walls.die_with_parent()
        self._keep_descriptors(fds, zygote, steward)
        if uid not in self._uids:
            raise ValueError(f"uid {uid}: no context's")
        wires = self._wires
        if self._walled:
            self._confines.make_namespaces()
            if steward < 0:  # else the steward has
                walls.mount_proc()
            if self._confines.offline:
                walls.hide_others()
        if spare:
            rehearse()
        wires.send(self._ready)
        frame = wires.read()
        started = time.perf_counter_ns()
        init = messages.trusted_init(frame.metadata)
        confines = self._wall_in(init)
        if uid:  # who opens /dev/stdout opens the pipe anew
            os.fchown(OUTPUT, uid, uid)
        drop_rights(uid, self._walled)
        if confines.limited:
            # What a template forks is each limited by itself.
            limit = walls.limit_own_processes if init.template else walls.limit_processes
            limit(MOST_PROCESSES)
        if uid:
            walls.set_dumpable()
        if confines.offline and os.path.exists("/proc/1"):
            raise OSError(errno.EPERM, "/proc/1/net shows the host's network here")
        walls.die_with(_WATCH)
        os.close(_WATCH)
        # Without walls a template forks as anybody may.
        confines.refuse_calls(forks_contexts=init.template and self._walled)
        self._enter(init)
        made = None
        if init.template:
            made = partial(Template, self._walled, self.spawns, init.tmp_size, confines)
        self._loop.run(init, started, made)

    def _wall_in(self, init: messages.Init) -> Confines:
        """What is left of the walls of whoever runs this code, and what these come to."""
        confines = self._confines
        if self._walled:
            _finish_walls(init)
            if init.offline and not confines.offline:
                # Not ahead of need: it takes a millisecond, and a spare may become anybody's.
                confines = confines.go_offline()
        elif init.offline:
            raise OSError(errno.EPERM, "no namespaces here, and so no network of its own")
        elif not init.template:  # whose contexts are to be the steward's
            walls.become_subreaper()
        return confines

    def _keep_descriptors(self, fds: tuple[int, ...], zygote: int, steward: int) -> None:
        """Move the wires to the top of the allowed range and close everything else."""
        if max(fds) >= OUTPUT:  # a zygote that holds many mounts: none may be in another's place
            fds = tuple(fcntl(fd, F_DUPFD, _OPEN_FILES) for fd in fds)
        request, reply, output, memory = fds
        os.dup2(request, REQUEST, False)
        os.dup2(reply, REQUEST + 1, False)
        os.dup2(output, OUTPUT, False)
        os.dup2(memory, REQUEST + 2, False)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(OUTPUT, 1)
        os.dup2(OUTPUT, 2)
        if zygote != _WATCH:
            os.dup2(zygote, _WATCH, False)
        if steward >= 0:
            if steward != TEMPLATE:
                os.dup2(steward, TEMPLATE, False)
            os.closerange(_WATCH + 1, TEMPLATE)
        else:
            os.closerange(_WATCH + 1, OUTPUT)
        os.closerange(_OPEN_FILES, self._top)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def _enter(self, init: messages.Init) -> None:
        """Environment, working directory, `sys.path`, and what the function's own forks need."""
        environment = init.environment
        if init.tmp_dir is not None:
            environment["TMPDIR"] = init.tmp_dir
        for name, value in environment.items():  # `update` would ask every ABC for its subclasses
            os.environ[name] = value
        if environment.get("TZ") != self._time_zone:
            time.tzset()
        root = _TASK_ROOT if self._walled else init.task_root
        os.chdir(root)
        python_path = environment.get("PYTHONPATH", "")
        if python_path == ":".join(self._runtime):
            own = self._runtime
        else:
            extra = [path for path in python_path.split(":") if path]
            own = extra + [path for path in self._runtime if path not in extra]
        layers = self._layers
        entries = os.listdir(root)
        if init.layers is not None:
            layers = layers or _layer_paths(init.layers)
            for path in layers:
                if os.path.isdir(path):
                    entries += os.listdir(path)
        sys.path[:] = [root, *layers, *init.import_paths, *own, *self._standard]
        brought = replaceable.intersection(entry.partition(".")[0] for entry in entries)
        if brought:
            hidden = [name for name in sys.modules if name.partition(".")[0] in brought]
            _hidden.extend(map(sys.modules.pop, hidden))
        at_fork.hand_over()
        self._wires.tell_forks()
        gc.enable()


def _layer_paths(root: str) -> list[str]:
    """Where functions import from of the layers that are merged at `root`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [f"{root}/python/lib/python{version}/site-packages", f"{root}/python"]


def _provide_builtins() -> None:
    """`exit`, `quit` and `help`, which `site` brings wherever it is not left out, as on AWS."""
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()


def _finish_walls(init: messages.Init) -> None:
    if init.revived and not os.path.exists(f"{_HIDDEN}/worker"):
        return  # an earlier process of this context did it, in these same mounts
    if init.tmp_size != 512:
        flags = walls.MS_REMOUNT | walls.MS_NOSUID | walls.MS_NODEV
        walls.mount("tmp", "/tmp", "tmpfs", flags, f"size={init.tmp_size}m")  # noqa: S108
    walls.bind(init.task_root, _TASK_ROOT)
    if init.layers is not None:
        walls.bind(init.layers, _LAYERS)
    walls.unmount(_HIDDEN)


def drop_rights(uid: int, walled: bool) -> None:
    """Become nobody of importance, for good."""
    if uid:
        walls.become(uid)
    elif walled:
        # uid 0 of the zygote's user namespace, which is the engine's own user outside of it.
        walls.unshare(walls.CLONE_NEWUSER)
        walls.map_user(_USER_IN_NAMESPACE, 0, 0)
        walls.drop_capabilities()
    walls.no_new_privileges()


def missing_without_namespaces() -> dict[str, str]:
    """The walls that there are not where there are no namespaces, with the reason."""
    reason = "no namespaces here"
    return {
        "private /tmp": f"{reason}: TMPDIR names a directory of the context's own",
        "read-only root": f"{reason}: functions see the host's files, and can change packages and "
        "layers that they share with others",
        "layers at /opt": f"{reason}: sys.path names another directory, and so do PATH and "
        "LD_LIBRARY_PATH for the programs that a function starts",
        "pid namespace": f"{reason}: functions see the host's processes, and can end those of the "
        "engine's own user",
        IPC: f"{reason}: contexts find each other's System V segments, queues and semaphores",
        HOST_NAME: f"{reason}: functions see the host's",
        NETWORK: f"{reason}: functions that are to have no network are refused",
        PROCESSES: f"{reason}: the kernel counts a user's processes, the engine's among them",
        CAPABILITIES: f"{reason}: functions have those of the engine's own user, if any",
        "unprivileged uid": "functions run as the engine's own user, who owns the data directory",
    }
