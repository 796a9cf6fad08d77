"""The programs of the filter, run by a small interpreter of the kernel's language."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Sequence

import pytest

from samovar_worker import call_filter
from samovar_worker.call_filter import ALLOW, KILL
from samovar_worker.call_numbers import ARCHITECTURES, NUMBERS, X32

MACHINES = sorted(NUMBERS)
PROGRAMS: list[Callable[[str], bytes]] = [
    call_filter.base,
    call_filter.strict,
    call_filter.template,
]
EPERM = 0x50000 | errno.EPERM
ENOSYS = 0x50000 | errno.ENOSYS
MOST = 4096  # instructions of a program


def judge(
    program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()
) -> tuple[int, int]:
    """What a program says of a call, and how many steps that took."""
    values = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(v & (1 << 64) - 1 for v in values))
    steps = list(struct.iter_unpack("=HBBI", program))
    loaded = at = taken = 0
    while True:
        code, yes, no, value = steps[at]  # an IndexError: it runs off its end
        at, taken = at + 1, taken + 1
        match code:
            case 0x20:
                assert value % 4 == 0
                loaded = struct.unpack_from("=I", data, value)[0]
            case 0x15:
                at += yes if loaded == value else no
            case 0x35:
                at += yes if loaded >= value else no
            case 0x45:
                at += yes if loaded & value else no
            case 0x06:
                return value, taken
            case _:
                raise AssertionError(f"{code:#x} is not used here")


def says(make: Callable[[str], bytes], machine: str, name: str, *arguments: int) -> int:
    found = judge(make(machine), ARCHITECTURES[machine], NUMBERS[machine][name], arguments)
    return found[0]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("make", PROGRAMS)
def test_every_number_has_its_answer_in_few_steps(
    make: Callable[[str], bytes], machine: str
) -> None:
    program = make(machine)
    assert len(program) // 8 < MOST
    known = set(NUMBERS[machine].values())
    for number in range(600):
        verdict, taken = judge(program, ARCHITECTURES[machine], number)
        assert verdict in (ALLOW, EPERM, ENOSYS)
        assert verdict == ALLOW or number in known
        assert taken < 24


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("make", PROGRAMS)
def test_another_machines_way_to_call_is_death(make: Callable[[str], bytes], machine: str) -> None:
    others = {*ARCHITECTURES.values(), 0x40000003, 0x40000028} - {ARCHITECTURES[machine]}
    for other in others:
        assert judge(make(machine), other, 1)[0] == KILL


def test_the_numbers_of_x32_are_not_there() -> None:
    for make in PROGRAMS:
        for number in (X32, X32 + 1, X32 + NUMBERS["x86_64"]["ptrace"], 0xFFFFFFFF):
            assert judge(make("x86_64"), ARCHITECTURES["x86_64"], number)[0] == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_refused_whatever_the_arguments(machine: str) -> None:
    partly = {"ioctl", "socket", "clone", "clone3", "personality"}
    for name in NUMBERS[machine]:
        building = name in call_filter.BUILDING
        expected = ALLOW if building else EPERM
        if name not in partly:
            assert says(call_filter.base, machine, name) == expected, name
        if name not in (*call_filter.BUILDING, "unshare"):
            assert says(call_filter.strict, machine, name) == ALLOW, name
    for name in set(call_filter.BUILDING) - {"unshare"}:
        assert says(call_filter.strict, machine, name) == EPERM, name
    assert says(call_filter.base, machine, "clone3") == ENOSYS


NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)


@pytest.mark.parametrize("machine", MACHINES)
def test_namespaces(machine: str) -> None:
    threads = 0x3D0F00  # as libc makes them
    for flags in (17, threads, 0x1200011):
        assert says(call_filter.base, machine, "clone", flags) == ALLOW
    for flag in NAMESPACES:
        assert says(call_filter.base, machine, "clone", flag | 17) == EPERM
        assert says(call_filter.strict, machine, "unshare", flag) == EPERM
    assert says(call_filter.strict, machine, "unshare", 0x80) == EPERM
    assert says(call_filter.strict, machine, "unshare", 0x600) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_a_template_may_do_what_forking_takes(machine: str) -> None:
    def verdict(name: str, *arguments: int) -> int:
        return says(call_filter.template, machine, name, *arguments)

    assert verdict("unshare", 0x18020000) == verdict("unshare", 0x28000000) == ALLOW
    for flag in (0x80, 0x2000000, 0x4000000, 0x40000000):
        assert verdict("unshare", 0x10000000 | flag) == EPERM
    assert verdict("setns", 5, 0x20000) == verdict("setns", 5, 0x10000000) == ALLOW
    for kind in (0, 0x20000000, 0x40000000, 0x10020000):
        assert verdict("setns", 5, kind) == EPERM
    assert verdict("mount", 1, 1, 1, 6) == verdict("mount", 1, 1, 1, 14) == ALLOW
    for flags in (0, 2, 0x1000, 0x1006, 0x20, 0x40000):
        assert verdict("mount", 1, 1, 1, flags) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_only_an_offline_functions_template_may_make_networks(machine: str) -> None:
    def verdict(name: str, *arguments: int) -> int:
        return says(call_filter.offline_template, machine, name, *arguments)

    assert verdict("unshare", 0x58020000) == verdict("unshare", 0x68000000) == ALLOW
    for flag in (0x80, 0x2000000, 0x4000000):
        assert verdict("unshare", 0x10000000 | flag) == EPERM
    assert verdict("setns", 5, 0x40000000) == EPERM
    assert says(call_filter.template, machine, "unshare", 0x50000000) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_the_upper_half_of_an_argument_hides_nothing(machine: str) -> None:
    """The kernel takes the lower half of these."""
    above = 1 << 32
    assert says(call_filter.base, machine, "ioctl", 0, above | 0x5412) == EPERM
    assert says(call_filter.base, machine, "socket", above | 17, 3, 0) == EPERM
    assert says(call_filter.base, machine, "socket", above | 16, 3, above | 16) == EPERM


@pytest.mark.parametrize(
    ("name", "arguments", "verdict"),
    [
        ("socket", (1, 1, 0), ALLOW),
        ("socket", (2, 2, 17), ALLOW),
        ("socket", (10, 1, 6), ALLOW),
        ("socket", (16, 3, 0), ALLOW),
        ("socket", (16, 3, 16), EPERM),
        ("socket", (0, 1, 0), EPERM),
        ("socket", (17, 3, 0), EPERM),
        ("socket", (38, 5, 0), EPERM),
        ("socket", (40, 1, 0), EPERM),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), EPERM),
        ("ioctl", (0, 0x541C), EPERM),
        ("personality", (0,), ALLOW),
        ("personality", (0x40000,), ALLOW),
        ("personality", (0xFFFFFFFF,), ALLOW),
        ("personality", (0x400000,), EPERM),
        ("personality", (8,), EPERM),
    ],
)
def test_arguments(name: str, arguments: tuple[int, ...], verdict: int) -> None:
    for machine in MACHINES:
        assert says(call_filter.base, machine, name, *arguments) == verdict


def test_an_unknown_machine_has_no_program() -> None:
    with pytest.raises(KeyError):
        call_filter.base("riscv64")
