"""What unpackers make of bytes that are meant to harm: ProtocolError, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker.wire import control, frames, messages
from samovar_worker.wire.frames import HEADER, Decoder, ProtocolError
from samovar_worker.wire.messages import Done, LeftOpen, Ready, Refused

# All that the engine unpacks, of workers, of zygotes and of stewards.
UNPACKERS: list[Callable[[bytes], object]] = [
    messages.unpack_done,
    control.unpack,
    *(
        lambda data, kind=kind: messages.unpack(kind, data)  # type: ignore[misc]
        for kind in (Ready, Done, Refused, LeftOpen)
    ),
]
LONGEST = HEADER.size + frames.MAX_METADATA + frames.MAX_INLINE_PAYLOAD


def _map(pairs: list[tuple[object, object]]) -> dict[object, object]:
    found: dict[object, object] = {}
    for key, value in pairs:
        try:
            found[key] = value
        except TypeError:
            continue
    return found


# msgpack that is one, whatever it says: its own types, extensions, times, NaN, numbers of 64 bits.
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5),
    st.binary(max_size=5), st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5)),
    st.builds(msgpack.Timestamp, st.integers(0, 2**40), st.integers(0, 999_999_999)),
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(st.tuples(leaves, inner), max_size=3).map(_map)
    ),
    max_leaves=10,
)


def raised(unpack: Callable[[bytes], object], data: bytes) -> str:
    """The complaint; anything but a ProtocolError comes out."""
    try:
        unpack(data)
    except ProtocolError as error:
        return str(error)
    return ""


@given(values, st.integers(0, 40), st.integers(0, 255))
def test_msgpack_of_any_kind(value: object, at: int, byte: int) -> None:
    data = msgpack.packb(value)
    spoilt = data[:at] + bytes([byte]) + data[at + 1 :]
    for unpack in UNPACKERS:
        for said in (data, spoilt, data + data, data[:at]):
            assert len(raised(unpack, said)) < 300


FULL = frames.MAX_METADATA
BOMBS = {
    "empty maps": b"\xdd" + (FULL - 5).to_bytes(4, "big") + b"\x80" * (FULL - 5),
    "empty arrays": b"\xdd" + (FULL - 5).to_bytes(4, "big") + b"\x90" * (FULL - 5),
    "numbers": b"\xdd" + (FULL - 5).to_bytes(4, "big") + b"\xcc" * (FULL - 5),
    "depth": b"\x91" * FULL,
    "depth of maps": b"\x81\xa1a" * (FULL // 3),
    "lengths that are not there": b"\x92\xdd\xff\xff\xff\xff" * (FULL // 6),
    "a text": b"\xdb" + (FULL - 5).to_bytes(4, "big") + b"\xff" * (FULL - 5),
    "more than one": b"\x94\x01\x02\xa0\x00" + b"\x01" * (FULL - 5),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    """A byte is an object of 72 bytes at most; what is said of it does not quote it."""
    bomb = BOMBS[name]
    for unpack in (UNPACKERS[0], UNPACKERS[-1]):
        tracemalloc.start()
        try:
            complaint = raised(unpack, bomb)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 0 < len(complaint) < 300
        assert peak < 100 * FULL


def test_bytes_that_dribble_are_not_copied_over_and_over() -> None:
    """What is held grows in place: the cost of a byte is not what came before it."""
    frame = frames.encode(19, 1, b"m" * 1000, b"p" * 5000)
    decoder = Decoder(1)
    held = decoder.held
    for at in range(len(frame) - 1):
        assert decoder.feed(frame[at : at + 1]) == []
        assert decoder.held is held
    (found,) = decoder.feed(frame[-1:] + b"\x13")
    assert (found.metadata, found.payload) == (b"m" * 1000, b"p" * 5000)
    assert type(found.metadata) is type(found.payload) is bytes
    assert decoder.held == b"\x13"


headers = st.builds(
    HEADER.pack, st.integers(0, 255), st.integers(0, 1), st.just(1),
    st.sampled_from([0, 5, FULL - 1, FULL, FULL + 1, 2**32 - 1]),
    st.sampled_from([0, 5, frames.MAX_INLINE_PAYLOAD, 6_291_556, 2**32 - 1]),
    st.integers(0, 2**64 - 1),
)  # fmt: skip


@given(st.lists(headers | st.binary(max_size=30) | st.just(bytes(65536)), max_size=12))
def test_no_more_than_a_frame_is_held(pieces: list[bytes]) -> None:
    decoder = Decoder(6_291_556)
    try:
        for piece in pieces:
            decoder.feed(piece)
            assert len(decoder.held) < LONGEST
    except ProtocolError:
        assert len(decoder.held) < LONGEST + 65536
