"""The system calls that walls are made of, through ctypes: 3.11 has no unshare, setns or mount.

Each function raises OSError with the call's name in it. No policy in here.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import select
import signal
import struct

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_SECCOMP_SET_MODE_FILTER = 1
# No slower memory for whoever has a filter: older kernels take it for a sandbox of strangers' code.
_SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
_KEYCTL_JOIN_SESSION_KEYRING = 1

_AF_INET, _SOCK_DGRAM, _SOCK_CLOEXEC = 2, 2, 0x80000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_LOOPBACK_UP = struct.pack("16sH22x", b"lo", _IFF_UP)  # struct ifreq

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
# x86_64 and aarch64 share the number (asm-generic); other machines fall back to remounting.
_NR_MOUNT_SETATTR = 442
_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(platform.machine())
_NR_SECCOMP = {"x86_64": 317, "aarch64": 277}.get(platform.machine(), -1)
_NR_KEYCTL = {"x86_64": 250, "aarch64": 219}.get(platform.machine(), -1)

# struct sigaction of glibc and musl on 64-bit machines, which are little-endian: the handler, 128
# bytes of mask, the flags.
_SIGACTION, _FLAGS, _SA_NOCLDSTOP = 256, 136, 1
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.prctl.restype = ctypes.c_int


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(fd: int, flags: int) -> None:
    _check(_libc.setns(fd, flags), f"setns({flags:#x})")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None
    )
    _check(result, f"mount {source} on {target}")


def unmount(target: str) -> None:
    """Detach `target` from this mount namespace at once."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def bind(source: str, target: str) -> None:
    mount(source, target, flags=MS_BIND | MS_REC)


def read_only(target: str) -> None:
    """Make `target` and all mounts below it read-only and nosuid."""
    attributes = _MountAttr(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)
    result = _libc.syscall(
        _NR_MOUNT_SETATTR,
        _AT_FDCWD,
        target.encode(),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _check(result, f"mount_setattr {target}")


def pivot_root(new_root: str) -> None:
    """Make `new_root` (a mount) the root and drop the old one. Leaves the cwd at the new root."""
    if _NR_PIVOT_ROOT is None:
        raise OSError(38, f"pivot_root: unknown on {platform.machine()}")
    os.chdir(new_root)
    _check(_libc.syscall(_NR_PIVOT_ROOT, b".", b"."), "pivot_root")
    # The old root is now stacked on the new one at «.»: take it off.
    unmount(".")
    os.chdir("/")


def set_host_name(name: str) -> None:
    """For everybody in this UTS namespace."""
    text = name.encode()
    _check(_libc.sethostname(text, len(text)), "sethostname")


def die_with_parent() -> None:
    """SIGKILL for this process when the thread that forked it ends. A change of uid clears it."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl(PDEATHSIG)")


def no_new_privileges() -> None:
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)")


def set_dumpable() -> None:
    """Own the files in /proc/self again after a change of uid: /dev/stdout must stay writable."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(DUMPABLE)")


def drop_bounding_set() -> None:
    """No program that this process or its children start has a capability. Those that they have
    stay. What can't be dropped is left: whoever lacks the right has none to lose."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # EINVAL: past the kernel's last capability


def drop_capabilities() -> None:
    """Empty the bounding set and all sets of this process (needed where the uid stays 0)."""
    drop_bounding_set()
    header = _CapHeader(0x20080522, 0)
    _check(_libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())), "capset")


class Filter:
    """A program of `call_filter`, in the kernel's form; made before the fork."""

    def __init__(self, program: bytes) -> None:
        self._steps = ctypes.create_string_buffer(program, len(program))
        self._program = _FilterProgram(len(program) // 8, ctypes.addressof(self._steps))

    def put_on(self) -> None:
        """For this thread and all that it starts, for good. Needs no_new_privs."""
        result = _libc.syscall(
            _NR_SECCOMP,
            _SECCOMP_SET_MODE_FILTER,
            _SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            ctypes.byref(self._program),
        )
        _check(result, "seccomp")


def leave_session_keyring() -> None:
    """Into a new and empty one, so that the engine's user's keys are not this process's."""
    if _libc.syscall(_NR_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, None) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"keyctl: {os.strerror(number)}")


def become(uid: int) -> None:
    """Give up root for `uid` and the group of the same number; capabilities go with it."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def map_user(inside: int, outside_uid: int, outside_gid: int) -> None:
    """Give this process's new user namespace one uid and one gid."""
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inside} {outside_uid} 1")
    _write("/proc/self/gid_map", f"{inside} {outside_gid} 1")


def _write(path: str, text: str) -> None:
    # Not with `open`: what that touches, a template's children copy.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def limit_processes(most: int) -> None:
    """Processes and threads that there may be of this uid in this user namespace. After it is
    made: a limit from before would hold for all that are below the one around it together."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = _lower(most, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _lower(most: int, hard: int) -> int:
    return most if hard == resource.RLIM_INFINITY else min(most, hard)


def limit_own_processes(most: int) -> None:
    """The same until `lift_own_limit`, which whoever is limited may call, too."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (_lower(most, hard), hard))


def lift_own_limit() -> None:
    """Back to what there may be of this user in all."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))


def become_subreaper() -> None:
    """Adopt the orphans of all descendants (used where there is no pid namespace)."""
    _check(_libc.prctl(36, 1, 0, 0, 0), "prctl(CHILD_SUBREAPER)")


def hear_of_ends_only() -> None:
    """No SIGCHLD for children that are stopped or go on, which `signal` can't say: a frozen context
    would wake its zygote twice for each invocation. After the handler is set."""
    raw = bytearray(_SIGACTION)
    action = (ctypes.c_char * _SIGACTION).from_buffer(raw)
    _check(_libc.sigaction(signal.SIGCHLD, None, action), "sigaction")
    raw[_FLAGS] |= _SA_NOCLDSTOP
    _check(_libc.sigaction(signal.SIGCHLD, action, None), "sigaction")


def mount_proc() -> None:
    """Show the processes of this pid namespace only."""
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def hide_others() -> None:
    """Of the processes in /proc show nobody those that he could not trace. Before Linux 5.8 whoever
    is in the host's group 0 sees them all the same, and a further mount of one namespace's /proc
    has the options of the first, so that this is a remount."""
    flags = MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC
    try:
        mount("proc", "/proc", "proc", flags, "hidepid=4")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mount("proc", "/proc", "proc", flags, "hidepid=2")


def raise_loopback() -> None:
    """Bring up the one interface that a new network namespace has."""
    # Not through `socket`, which a template's function may have put something else in the place of.
    fd = _libc.socket(_AF_INET, _SOCK_DGRAM | _SOCK_CLOEXEC, 0)
    _check(min(fd, 0), "socket")
    try:
        fcntl.ioctl(fd, _SIOCSIFFLAGS, _LOOPBACK_UP)
    except OSError as error:
        raise OSError(error.errno, f"loopback device: {error.strerror}") from error
    finally:
        os.close(fd)


def die_with(zygote: int) -> None:
    """Die when the zygote (a pidfd) does, also if it did just now. After every change of uid."""
    die_with_parent()
    poll = select.poll()
    poll.register(zygote, select.POLLIN)
    if poll.poll(0):
        os._exit(0)
