"""Which system calls are refused, as programs for seccomp. Pure: bytes in the kernel's form.

A zygote puts `base` on itself, and all that it forks inherit it: what no function needs, and a
zygote no more. What a zygote does need to build walls the worker refuses itself before the first
line of the function's code (`strict`), a template first all but what it takes to fork contexts
(`template`). Filters add up, the sternest word counts; the kernel keeps a map of the calls that are
always allowed, so that most calls cost nothing more.

Programs ask for the numbers in a tree: when a filter is put on, the kernel tries it on each number.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from typing import NamedTuple

from samovar_worker import walls
from samovar_worker.call_numbers import ARCHITECTURES, NUMBERS, X32

ALLOW = 0x7FFF0000
KILL = 0x80000000  # the process
_ERRNO = 0x00050000
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_LOAD, _RETURN = 0x20, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_FORMAT = struct.Struct("=HBBI")

# What clone and unshare may not make; the one of time is in clone a part of the exit signal.
_NAMESPACES = (
    *(walls.CLONE_NEWNS, walls.CLONE_NEWUTS, walls.CLONE_NEWIPC, walls.CLONE_NEWUSER),
    *(walls.CLONE_NEWPID, walls.CLONE_NEWNET, walls.CLONE_NEWCGROUP),
)
_IN_CLONE = sum(_NAMESPACES)
_IN_UNSHARE = _IN_CLONE | walls.CLONE_NEWTIME
_TEMPLATES_NEED = walls.CLONE_NEWUSER | walls.CLONE_NEWNS | walls.CLONE_NEWPID | walls.CLONE_NEWIPC
_TMP = walls.MS_NOSUID | walls.MS_NODEV
_PROC = _TMP | walls.MS_NOEXEC

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # type into, or paste to, somebody's terminal
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0  # getaddrinfo and psutil ask it for addresses
_ADDR_NO_RANDOMIZE, _JUST_ASK = 0x0040000, 0xFFFFFFFF

# Those that walls are built with, and that are refused last.
BUILDING = ("mount", "umount2", "unshare", "setns", "sethostname")
_PARTLY = ("ioctl", "socket", "clone", "clone3", "personality")


class Step(NamedTuple):
    """One instruction; `yes` and `no` are how many to skip."""

    code: int
    value: int
    yes: int = 0
    no: int = 0


Body = tuple[Step, ...]  # what becomes of one call; ends in a return


def refuse(number: int = errno.EPERM) -> Step:
    """Return with this error."""
    return Step(_RETURN, _ERRNO | number)


_ALLOWED = Step(_RETURN, ALLOW)


def _argument(index: int) -> Step:
    """Load the lower half of an argument: all that there is of those that are judged here."""
    return Step(_LOAD, _ARGUMENTS + 8 * index)


def without(index: int, bits: int) -> Body:
    """Allowed while none of the bits are set in this argument."""
    return (_argument(index), Step(_ANY_BIT, bits, 0, 1), refuse(), _ALLOWED)


def only(index: int, *values: int) -> Body:
    """Allowed with one of these values of this argument."""
    tests = [Step(_EQUAL, value, len(values) - at) for at, value in enumerate(values)]
    return (_argument(index), *tests, refuse(), _ALLOWED)


def never(index: int, *values: int) -> Body:
    """Allowed with all but these values of this argument."""
    tests = [Step(_EQUAL, value, len(values) - at) for at, value in enumerate(values)]
    return (_argument(index), *tests, _ALLOWED, refuse())


def _sockets() -> Body:
    families = (_AF_UNIX, _AF_INET, _AF_INET6)
    tests = [Step(_EQUAL, family, 5 - at) for at, family in enumerate(families)]
    return (
        _argument(0),
        *tests,
        Step(_EQUAL, _AF_NETLINK, 0, 3),
        _argument(2),
        Step(_EQUAL, _NETLINK_ROUTE, 0, 1),
        _ALLOWED,
        refuse(),
    )


def base(machine: str) -> bytes:
    """For zygotes, and so for all processes."""
    rules: dict[str, Body] = {
        name: (refuse(),) for name in NUMBERS[machine] if name not in (*BUILDING, *_PARTLY)
    }
    rules["clone"] = without(0, _IN_CLONE)
    # Its flags are in memory, where no filter looks; libc then asks for clone.
    rules["clone3"] = (refuse(errno.ENOSYS),)
    rules["ioctl"] = never(1, _TIOCSTI, _TIOCLINUX)
    rules["socket"] = _sockets()
    rules["personality"] = only(0, 0, _ADDR_NO_RANDOMIZE, _JUST_ASK)
    return assemble(machine, rules)


def strict(machine: str) -> bytes:
    """For whoever runs a function's code, on top."""
    rules: dict[str, Body] = {name: (refuse(),) for name in BUILDING}
    rules["unshare"] = without(0, _IN_UNSHARE)
    return assemble(machine, rules)


def template(machine: str) -> bytes:
    """For templates, on top: what they need to fork a context. What is mounted where stands in
    memory; it is in mounts of their own, in a user namespace without rights outside."""
    return _template(machine, _TEMPLATES_NEED)


def offline_template(machine: str) -> bytes:
    """For templates of functions that have no network: network namespaces, too.

    Each context is to have one of its own, so that none reaches what another listens on, and the
    process that makes it is a fork of the template: it can have no rights that the template, and
    so the function's init, has not. The steward could make them instead, but nobody without rights
    over a namespace's own user namespace enters it: it would take a process more, and a user
    namespace of the steward's making, for each context. So an init may make network namespaces,
    with none but a loopback device in them, and only where the function is offline: whoever is root
    of one reaches much of the kernel, and all other templates are kept from that.
    """
    return _template(machine, _TEMPLATES_NEED | walls.CLONE_NEWNET)


def _template(machine: str, namespaces: int) -> bytes:
    rules: dict[str, Body] = {
        "umount2": (refuse(),),
        "sethostname": (refuse(),),
        "unshare": without(0, _IN_UNSHARE & ~namespaces),
        "setns": only(1, walls.CLONE_NEWUSER, walls.CLONE_NEWNS),
        "mount": only(3, _TMP, _PROC),
    }
    return assemble(machine, rules)


def assemble(machine: str, rules: Mapping[str, Body]) -> bytes:
    """A program that does this with these calls, allows all others, and kills whoever calls in the
    way of another machine. `machine`: as `platform.machine` says it; KeyError if unknown."""
    numbers = NUMBERS[machine]
    by_number = sorted((numbers[name], body) for name, body in rules.items())
    steps = [
        Step(_LOAD, _ARCH),
        Step(_EQUAL, ARCHITECTURES[machine], 1),
        Step(_RETURN, KILL),
        Step(_LOAD, _NR),
    ]
    if machine == "x86_64":
        steps += [Step(_AT_LEAST, X32, 0, 1), refuse(errno.ENOSYS)]
    steps += _tree(by_number)
    return b"".join(_FORMAT.pack(step.code, step.yes, step.no, step.value) for step in steps)


def _tree(rules: list[tuple[int, Body]]) -> list[Step]:
    if len(rules) <= 2:
        found: list[Step] = []
        for number, body in rules:
            found += [Step(_EQUAL, number, 0, len(body)), *body]
        return [*found, _ALLOWED]
    middle = len(rules) // 2
    low, high = _tree(rules[:middle]), _tree(rules[middle:])
    return [Step(_AT_LEAST, rules[middle][0], len(low)), *low, *high]
