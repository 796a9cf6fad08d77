"""First stage of a zygote: build the small root, move into it, exec the zygote there.

Run by the engine as `python -I -S -B -c … <worker path> <control fd>`. The Launch packet is peeked
at, not taken, so that the second stage reads it again from the same socket. Where walls are refused
this says so in a Hello and exits: what to do about it is the engine's decision.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from samovar_worker import walls
from samovar_worker.wire import control

_DEVICES = ("null", "zero", "full", "random", "urandom")
# glibc looks at the directories of LD_LIBRARY_PATH once, at its first search, and never again at
# those that did not exist then: they have to exist before any function brings them.
_DIRECTORIES = ("proc", "tmp", "dev", "etc", "run", "var/task/lib", "opt/lib", "var/runtime")
_SECOND_STAGE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from samovar_worker.prepare import main; main(int(sys.argv[2]), sys.argv[3] == 'walled')"
)


def main(control_fd: int) -> None:
    """Exec the second stage, inside walls if asked to. Returns only where walls are refused."""
    _take_signals_back()
    connection = socket.socket(fileno=control_fd)
    data = connection.recv(control.MAX_PACKET, socket.MSG_PEEK)
    launch = control.unpack(data)
    assert isinstance(launch, control.Launch)
    walled = launch.isolation != "none"
    if walled:
        try:
            build_root(launch)
        except OSError as error:
            version = sys.version.split()[0]
            hello = control.Hello([], {"namespaces": str(error)}, version, False)
            # Taken now: a socket closed over unread data gives the engine an error, not the Hello.
            connection.recv(control.MAX_PACKET)
            connection.send(control.pack(hello))
            return
    os.set_inheritable(control_fd, True)
    executable = launch.executable
    worker_path = launch.worker_path
    if walled:
        executable = "/var/lang/bin/" + os.path.basename(launch.executable)
        worker_path = "/run/samovar/worker"
    arguments = [executable, "-I", "-S", "-B", "-c", _SECOND_STAGE, worker_path, str(control_fd)]
    arguments += ["walled" if walled else "bare", launch.marker]
    os.execve(executable, arguments, dict(launch.environment))


def _take_signals_back() -> None:
    """Undo what the engine's program ignores and blocks, which exec passes on.

    A zygote that does not hear of SIGCHLD reaps nobody, and functions are to find signals as a
    fresh process does.
    """
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Python ignores these
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def build_root(launch: control.Launch) -> None:
    """Enter a new mount namespace whose root holds what functions may see, all of it read-only.

    Where contexts can become another user (`launch.first_uid`), in a mount namespace of its own;
    otherwise in a user namespace too, where the own uid is 0. Raises OSError when the host refuses
    any of it.
    """
    uid, gid = os.getuid(), os.getgid()
    if launch.first_uid:
        walls.unshare(walls.CLONE_NEWNS)
    else:
        walls.unshare(walls.CLONE_NEWUSER | walls.CLONE_NEWNS)
        walls.map_user(0, uid, gid)
    walls.mount("none", "/", flags=walls.MS_REC | walls.MS_PRIVATE)
    root = launch.scratch
    flags = walls.MS_NOSUID | walls.MS_NODEV
    walls.mount("samovar-root", root, "tmpfs", flags, "size=16m,mode=755")
    for directory in _DIRECTORIES:
        os.makedirs(f"{root}/{directory}", exist_ok=True)
    # A mount of its own, so that a context can take it off in one call before user code runs.
    os.makedirs(f"{root}/run/samovar")
    walls.mount("samovar", f"{root}/run/samovar", "tmpfs", flags, "size=1m,mode=755")
    for source, target in launch.binds:
        _bind(source, root + target)
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"{root}/dev/{name}")
    for name, text in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{text}", f"{root}/dev/{name}")
    for text, path in launch.links:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(text, root + path)
    for path, text in launch.files:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, "w", encoding="utf-8") as file:
            file.write(text)
    if launch.first_uid:
        _name_users(root, range(launch.first_uid, launch.last_uid + 1))
    walls.read_only(root)
    # After the sealing: a context writes to /proc when it maps its user.
    walls.bind("/proc", f"{root}/proc")
    walls.pivot_root(root)


def _name_users(root: str, uids: range) -> None:
    """The name of AWS's one user for each of them; those that are given first are found first."""
    with open(f"{root}/etc/passwd", "a", encoding="ascii") as file:
        file.writelines(f"sbx_user1051:x:{uid}:{uid}::/:/bin/sh\n" for uid in uids)
    with open(f"{root}/etc/group", "a", encoding="ascii") as file:
        file.writelines(f"sbx_user1051:x:{uid}:\n" for uid in uids)


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "ab"):
            pass
    walls.bind(source, target)
