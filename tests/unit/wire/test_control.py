"""What engine and zygote say to each other: each packet arrives, nothing else does."""

from __future__ import annotations

import socket
from itertools import product

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.wire.samples import FOREIGN, LAUNCH, PACKETS, accepts, annotations, instances

from samovar_worker.wire import control
from samovar_worker.wire.control import (
    MAX_PACKET,
    Discard,
    Exited,
    Fork,
    Forked,
    Hello,
    Launch,
    Packet,
    Refusal,
)
from samovar_worker.wire.frames import ProtocolError

# In the order of their numbers, which two releases have to share.
KINDS: list[type[Packet]] = [Launch, Hello, Fork, Discard, Forked, Refusal, Exited]
any_packet = st.one_of(*(instances(kind) for kind in KINDS))


def example(kind: type[Packet]) -> Packet:
    return next(packet for packet in PACKETS if type(packet) is kind)


def test_each_packet_arrives() -> None:
    for packet in PACKETS:
        arrived = control.unpack(control.pack(packet))
        assert type(arrived) is type(packet)
        assert arrived == packet


@given(any_packet)
def test_any_values_arrive(packet: Packet) -> None:
    arrived = control.unpack(control.pack(packet))
    assert type(arrived) is type(packet)
    assert arrived == packet


def test_packets_keep_their_numbers() -> None:
    for number, kind in enumerate(KINDS):
        assert msgpack.unpackb(control.pack(example(kind))) == [number, *example(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_another_type_is_refused(kind: type[Packet]) -> None:
    for position, (field, note) in enumerate(annotations(kind).items(), start=1):
        for value in FOREIGN:
            values: list[object] = [KINDS.index(kind), *example(kind)]
            values[position] = value
            data = msgpack.packb(values)
            if accepts(note, value):
                control.unpack(data)
                continue
            with pytest.raises(ProtocolError) as caught:
                control.unpack(data)
            assert str(caught.value) == f"{kind.__name__}: {field} is of another type"


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_and_too_many_fields(kind: type[Packet]) -> None:
    good = [KINDS.index(kind), *example(kind)]
    for wrong in (good[:-1], [*good, 1], good[:1]):
        with pytest.raises(
            ProtocolError, match=f"^{kind.__name__}: not an array of {len(good) - 1}$"
        ):
            control.unpack(msgpack.packb(wrong))


def test_unknown_kinds() -> None:
    numbers = [-1, -8, 8, 255, True, None, 3.0, "3", b"3", [3]]
    for number, values in product(numbers, ([1], [1, True], [5, 0, None, 30_000, True])):
        with pytest.raises(ProtocolError, match=r"^control packet: of no kind that there is$"):
            control.unpack(msgpack.packb([number, *values]))


GARBAGE = [
    b"",
    b"\xc1",
    b"\x90",  # an empty array
    b"\x91" * 60_000,
    b"\xdd\xff\xff\xff\xff",
    b"\xc4\x02\x03\x07",  # the bytes of a Discard, as bytes
    b"\x81\x03\x07",  # as a map
    b"\xa2\x03\x07",  # as a string
    b"\x92\x05\xa1\xff",
    control.pack(LAUNCH)[:-1],
    control.pack(LAUNCH) + b"\x00",
]


def test_garbage() -> None:
    for data in GARBAGE:
        with pytest.raises(ProtocolError):
            control.unpack(data)


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    try:
        control.unpack(data)
    except ProtocolError:
        pass


@given(any_packet, st.data())
def test_a_packet_with_a_wrong_byte(packet: Packet, data: st.DataObject) -> None:
    packed = bytearray(control.pack(packet))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        arrived = control.unpack(bytes(packed))
    except ProtocolError:
        return
    for note, value in zip(annotations(type(arrived)).values(), arrived, strict=True):
        assert accepts(note, value)


def test_a_packet_that_is_too_long_is_not_sent() -> None:
    room = MAX_PACKET - len(control.pack(Refusal(1, "x" * 60_000))) + 60_000
    assert len(control.pack(Refusal(1, "x" * room))) == MAX_PACKET
    with pytest.raises(ValueError, match=f"^Refusal has {MAX_PACKET + 1} bytes, at most 65536$"):
        control.pack(Refusal(1, "x" * (room + 1)))


def test_a_packet_of_a_peer_that_is_too_long_is_no_packet() -> None:
    """The socket hands out the first MAX_PACKET bytes of it, and they are refused."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(msgpack.packb([5, 1, "x" * MAX_PACKET]))
        theirs.send(control.pack(Forked(1)))
        with pytest.raises(ProtocolError):
            control.unpack(ours.recv(MAX_PACKET))
        assert control.unpack(ours.recv(MAX_PACKET)) == Forked(1)
