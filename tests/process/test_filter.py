"""The system calls that no function may make, and all that it may: with walls and without."""

from __future__ import annotations

import json
import platform
from typing import Any

from tests.process.conftest import RunEngine
from tests.process.house import result
from tests.process.template_house import call, create_published, write_published

from samovar.engine import Engine
from samovar_worker.call_numbers import NUMBERS

HERE = NUMBERS[platform.machine()]
NONE = -1  # no descriptor, no process, no address
# With these no kernel does anything; without a filter most would say EBADF, EFAULT or EINVAL.
SPECIAL: list[tuple[str, str, list[int], str | None]] = [
    ("a user namespace", "unshare", [0x10000000], "EPERM"),
    ("a time namespace", "unshare", [0x80], "EPERM"),
    ("own files", "unshare", [0x400], None),
    ("a child in a user namespace", "clone", [0x10000011, 0, 0, 0, 0], "EPERM"),
    ("clone3", "clone3", [0, 0], "ENOSYS"),
    ("type into a terminal", "ioctl", [NONE, 0x5412, 0], "EPERM"),
    ("paste to a terminal", "ioctl", [NONE, 0x541C, 0], "EPERM"),
    ("another ioctl", "ioctl", [NONE, 0x5413, 0], "EBADF"),
    ("vsock", "socket", [40, 1, 0], "EPERM"),
    ("packets", "socket", [17, 3, 0], "EPERM"),
    ("kernel's cryptography", "socket", [38, 5, 0], "EPERM"),
    ("generic netlink", "socket", [16, 3, 16], "EPERM"),
    ("routes", "socket", [16, 3, 0], None),
    ("internet", "socket", [2, 1, 0], None),
    ("internet 6", "socket", [10, 1, 0], None),
    ("local", "socket", [1, 1, 0], None),
    ("another personality", "personality", [0x0400000], "EPERM"),
    ("no random addresses", "personality", [0x0040000], None),
    ("ask for the personality", "personality", [0xFFFFFFFF], None),
]
PARTLY = {name for _, name, _, _ in SPECIAL}
CALLS = [[name, number, [NONE] * 6] for name, number in HERE.items() if name not in PARTLY]
CALLS += [[what, HERE[name], arguments] for what, name, arguments, _ in SPECIAL]
EXPECTED: dict[str, Any] = {name: "EPERM" for name in HERE if name not in PARTLY}
EXPECTED |= {what: error for what, _, _, error in SPECIAL} | {"filters": "2"}
ORDINARY = {
    "subprocess": "a\n",
    "asyncio": "x\n",
    "multiprocessing": 7,
    "fork": 3,
    "sqlite": 5,
    "threads": [1, 2],
    "http": "answer",
    "addresses": True,
    "interfaces": True,
    "clock": True,
}


def test_what_no_function_may_call(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        assert "system call filter" in engine.report().walls_held
        await create_published(engine, "surroundings.forbidden", timeout=30)
        assert await result(engine, {"calls": CALLS}) == EXPECTED
        assert json.loads((await call(engine, {"calls": CALLS})).payload) == EXPECTED

    run_engine(scenario)


IN_A_TEMPLATE = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def error(name, *arguments):
    return errno.errorcode[ctypes.get_errno()] if getattr(libc, name)(*arguments) else None
during = {
    "a network": error("unshare", 0x40000000),
    "a user and a network": error("unshare", 0x50000000),
    "enter": error("setns", -1, 0x40000000),
    "bind": error("mount", b"/usr", b"/tmp", None, 0x1000, None),
    "umount": error("umount2", b"/tmp", 2),
    "ptrace": error("ptrace", 0, 0, 0, 0),
}
def handler(event, context):
    return during
"""


def test_what_a_template_may_not_call_either(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await write_published(engine, IN_A_TEMPLATE, timeout=30)
        seen = json.loads((await call(engine)).payload)
        assert set(seen.values()) == {"EPERM"}, seen
        assert len(engine.templates()) == 1

    run_walled(scenario)


def test_what_functions_do_all_day(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create_published(engine, "surroundings.ordinary", timeout=30, memory_size=512)
        assert await result(engine) == ORDINARY
        assert json.loads((await call(engine)).payload) == ORDINARY

    run_engine(scenario)
