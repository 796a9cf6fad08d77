"""A small zygote: what forking one walled process costs when nothing else is done.

Runs as a script (`python -I -S walled_zygote.py UID CODE_DIR [MODULE PATH…]`), stdlib only, few
modules: each megabyte of a zygote costs every fork about 90 us. Commands come on fd 0, one byte
each, and the number behind it as four bytes, little endian:

    F n  fork n processes, each of which says «+» on fd 1 once its walls stand
    S n  the same, but each sleeps one second before it says it (a 1 s handler)

With a MODULE, to be found below PATHs, the zygote imports that before it forks, and each process
runs its handler before it says «+». What is forked then waits; E lets all of them go, is answered
with «=» when they are reaped.
"""

import ctypes
import gc
import importlib
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 0x1, 0x2, 0x4, 0x20
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_NO_NEW_PRIVS = 38

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def build_walls(uid: int, code: bytes) -> None:
    """Mount namespace, private /tmp, read-only code, NOFILE 1024, another user, no new rights."""
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"", b"/", None, MS_REC | MS_PRIVATE, None))
    check(libc.mount(code, code, None, MS_BIND, None))
    read_only = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV
    check(libc.mount(code, code, None, read_only, None))
    os.chdir(code)
    check(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, b"size=512m,mode=1777"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def fork_walled(
    own: int, uid: int, code: bytes, gate: tuple[int, int], work: Callable[[], object]
) -> int:
    """The child's pid; `gate` is a pipe whose closing lets the child go."""
    check(libc.unshare(CLONE_NEWPID))
    pid = os.fork()
    if pid:
        check(libc.setns(own, CLONE_NEWPID))
        return pid
    try:
        os.close(gate[1])
        build_walls(uid, code)
        work()
        os.write(1, b"+")
        os.read(gate[0], 1)
    finally:
        os._exit(0)


def main() -> None:
    uid, code = int(sys.argv[1]), os.fsencode(sys.argv[2])
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    gate = os.pipe()
    children: list[int] = []
    work: Callable[[], object] = int
    if len(sys.argv) > 3:
        sys.path[:0] = sys.argv[4:]
        work = partial(importlib.import_module(sys.argv[3]).handler, {})
    gc.collect()
    gc.freeze()
    os.write(1, b"*")
    while len(command := os.read(0, 5)) == 5:
        if command[:1] == b"E":
            os.close(gate[1])
            for pid in children:
                os.waitpid(pid, 0)
            os.close(gate[0])
            children, gate = [], os.pipe()
            os.write(1, b"=")
            continue
        then = partial(time.sleep, 1) if command[:1] == b"S" else work
        for _ in range(int.from_bytes(command[1:], "little")):
            children.append(fork_walled(own, uid, code, gate, then))


main()
